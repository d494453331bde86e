"""The service as a process: ``python -m her2sr_acq.service``."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from her2sr_acq.control import ControlClient
from her2sr_acq.errors import ConfigError
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_acq.service.loopback import require_loopback
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.store.layout import DataFolder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m her2sr_acq.service")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    return parser.parse_args()


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Serve until told to stop. Returns 2 when the address may not be served."""
    arguments = _arguments()
    try:
        require_loopback(arguments.host)
    except ConfigError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    end_with_starter()
    context = Context(
        control=ControlClient(arguments.runtime),
        guard=GuardClient(arguments.runtime),
        archive=Archive(DataFolder(arguments.data.resolve())),
        now=_now,
    )
    uvicorn.run(
        create_app(context),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=100,
        # Without a limit an open page keeps the process from ever ending.
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
