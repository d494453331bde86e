"""Write ``docs/openapi.json``: the REST interface as the service declares it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from her2sr_acq.control import ControlClient
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_proc.store.layout import DataFolder

TARGET = Path(__file__).parents[1] / "docs" / "openapi.json"


def main() -> None:
    """Write the file; nothing is asked of any process."""
    nowhere = Path("nowhere")
    context = Context(
        control=ControlClient(nowhere),
        guard=GuardClient(nowhere),
        archive=Archive(DataFolder(nowhere)),
        now=lambda: datetime.now(UTC),
    )
    schema = create_app(context).openapi()
    TARGET.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
