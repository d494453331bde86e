"""Who holds a data folder: one hardware process at a time, by a lock of the kernel.

The lock dies with its process, however that ends; the text beside it says whom to ask.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from her2sr_acq.errors import RunConflictError
from her2sr_proc.schema.model import Frozen
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.locks import try_lock

TRIES = 5
PAUSE_S = 0.05
"""`holder` looks by taking the lock for a moment; a start must not fail by that."""


class Holder(Frozen):
    """The process that owns the hardware and this data folder."""

    pid: int
    started_utc: str
    configuration: str
    runtime: str
    url: str | None = None
    """Where its REST service listens, if it was started with one."""


class Hold:
    """Keeps a data folder from the moment it is entered until it is left."""

    def __init__(
        self, data: Path, holder: Holder, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._path = DataFolder(data).daemon
        self._holder = holder
        self._sleep = sleep
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the folder. Raises `RunConflictError` naming who has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        for attempt in range(1, TRIES + 1):
            if try_lock(self._descriptor, fcntl.LOCK_EX):
                break
            if attempt == TRIES:
                self._close()
                raise _conflict(self._path)
            self._sleep(PAUSE_S)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._holder.model_dump_json().encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._descriptor, 0)
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def holder(data: Path) -> Holder | None:
    """Return who holds a data folder now, or None."""
    path = DataFolder(data).daemon
    if not path.is_file():
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if try_lock(descriptor, fcntl.LOCK_SH):
            return None
        return _read(path)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Holder | None:
    try:
        return Holder.model_validate_json(path.read_text())
    except (OSError, ValidationError):
        return None


def _conflict(path: Path) -> RunConflictError:
    owner = _read(path)
    who = f"process {owner.pid}" if owner else "another process"
    return RunConflictError(
        f"{path.parent} is held by {who}; use its service, stop it, or choose another "
        f"data folder",
        pid=owner.pid if owner else None,
    )
