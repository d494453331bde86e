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

from her2sr_acq.errors import AcqError, ConfigError, RunConflictError
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
        """Take the folder. Raises `RunConflictError` naming who has it.

        Raises `ConfigError` where the file system knows no locks.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take()
        except AcqError:
            self._close()
            raise
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._holder.model_dump_json().encode(), 0)
        return self

    def _take(self) -> None:
        for attempt in range(1, TRIES + 1):
            if try_own(self._path, self._descriptor, fcntl.LOCK_EX):
                return
            if attempt < TRIES:
                self._sleep(PAUSE_S)
        raise _conflict(self._path)

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._descriptor, 0)
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def holder(data: Path) -> Holder | None:
    """Return who holds a data folder now, or None.

    None where the file system knows no locks: no service starts there.
    """
    path = DataFolder(data).daemon
    if not path.is_file():
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if try_own(path, descriptor, fcntl.LOCK_SH):
            return None
        return _read(path)
    except ConfigError:
        return None
    finally:
        os.close(descriptor)


def require_locks(data: Path) -> None:
    """Raise `ConfigError` where a data folder cannot be held by one service alone."""
    path = DataFolder(data).daemon
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try_own(path, descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def try_own(path: Path, descriptor: int, kind: int) -> bool:
    """Lock an open file at once; return False where others have it.

    Raises `ConfigError` where the file system knows no locks.
    """
    try:
        return try_lock(descriptor, kind)
    except OSError as exc:
        raise ConfigError(
            f"{path.parent} lies on a file system that knows no locks "
            f"({exc.strerror}), so that two services could take it at once; choose a "
            f"folder on a disk of this computer, or start the lock service of the share"
        ) from exc


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
