"""Room on a disk: a reserve that is given up when it is full, and the low water."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from her2sr_acq.config_storage import StorageConfig
from her2sr_proc.store.atomic import sync_file, sync_folder

MB = 10**6
LARGEST_SHARE = 0.02
"""Part of a file system that the reserve may take, however much was asked for."""
PIECE = bytes(MB)

Allocate = Callable[[int, int], None]
"""Gives an open file, by its descriptor, so many bytes of the disk."""


def fill(descriptor: int, size: int) -> None:
    """Take ``size`` bytes of the disk for an open file. Raises `OSError`."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for start in range(0, size, len(PIECE)):
        os.write(descriptor, PIECE[: size - start])


class Reserve:
    """A file without content that keeps room, so that a full disk can be written down.

    Ledger, events and database stand on the same disk as the frames that fill it.
    """

    def __init__(self, path: Path, size_mb: int, *, allocate: Allocate = fill) -> None:
        self._path = path
        self._asked = size_mb * MB
        self._allocate = allocate

    def restore(self) -> bool:
        """Keep the room, if it can be had; return whether it is kept.

        Nothing is done for a reserve that is there. One that would take the last room
        is not made: it would itself be the full disk.
        """
        try:
            disk = shutil.disk_usage(self._path.parent)
        except OSError:  # the data folder is gone, with its disk
            return False
        size = min(self._asked, int(LARGEST_SHARE * disk.total))
        with suppress(FileNotFoundError):
            if self._path.stat().st_size == size:
                return True
        if size == 0 or disk.free < 2 * size:
            return False
        try:
            self._make(size)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the room up. Safe to call twice, and on a full disk."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _make(self, size: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._allocate(descriptor, size)
        finally:
            os.close(descriptor)
        sync_file(self._path)
        sync_folder(self._path.parent)


def low_water(data: Path, needed_bytes: int, config: StorageConfig) -> str:
    """Return why so many bytes may not be begun in a data folder; empty: they may.

    ``needed_bytes`` are those of the frames without any compression: how well frames
    compress is known only afterwards.
    """
    try:
        free = shutil.disk_usage(data).free
    except OSError as exc:
        return f"{data} cannot be reached ({exc.strerror}); mount its disk again"
    left = free - needed_bytes
    if left >= config.low_water_mb * MB:
        return ""
    missing = config.low_water_mb * MB - left
    return (
        f"{free / MB:.0f} MB are free in {data}; {needed_bytes / MB:.0f} MB for what "
        f"comes next and {config.low_water_mb} MB of reserve are needed: free "
        f"{missing / MB:.0f} MB, or move finished runs away with `her2sr offload`"
    )
