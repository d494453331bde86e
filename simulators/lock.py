"""One simulated microscope a runtime folder, by a lock that dies with its process.

A second one would take over the sockets of the first, and a run would go on with a
camera on one slide and a stage under another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from her2sr_acq.errors import RunConflictError

LOCK = "microscope.lock"


@contextmanager
def alone(runtime: Path) -> Iterator[None]:
    """Hold the runtime folder. Raises `RunConflictError` when another has it."""
    descriptor = os.open(runtime / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunConflictError(
                f"another simulated microscope has {runtime}; use it, or stop it first"
            ) from None
        yield
    finally:
        os.close(descriptor)
