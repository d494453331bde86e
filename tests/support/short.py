"""A temporary folder whose path is short enough for a unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_folder() -> Iterator[Path]:
    """Yield a private folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="h2-") as name:
        yield Path(name)
