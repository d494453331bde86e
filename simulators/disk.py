"""Disks that are slow, full or broken, as writers of blocks.

A device configuration names one under ``simulator.disk``: ``maker`` is its dotted path
and the rest its arguments. A maker takes the true writer and returns the one to use.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

U16 = npt.NDArray[np.uint16]
WriteBlock = Callable[[Path, int, U16], tuple[int, str]]


class SlowDisk:
    """Takes ``delay_s`` longer for each block, from the ``at_block``-th call on."""

    def __init__(
        self,
        write_block: WriteBlock,
        *,
        delay_s: float,
        at_block: int = 0,
        count: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``at_block`` counts from 0 over all units; ``count`` 0 is for ever."""
        self._write = write_block
        self._delay_s = delay_s
        self._turn = _Turn(at_block, count, None)
        self._sleep = sleep

    def __call__(self, path: Path, block: int, adu: U16) -> tuple[int, str]:
        """Wait, then write."""
        if self._turn.comes():
            self._sleep(self._delay_s)
        return self._write(path, block, adu)


class FailingDisk:
    """Refuses blocks with one error of the operating system.

    ``while_file`` names a file: the disk fails only while that exists, so that a test
    heals it by deleting the file.
    """

    number = errno.EIO

    def __init__(
        self,
        write_block: WriteBlock,
        *,
        at_block: int = 0,
        count: int = 0,
        while_file: str | None = None,
    ) -> None:
        """``at_block`` counts from 0 over all units; ``count`` 0 is for ever."""
        self._write = write_block
        self._turn = _Turn(at_block, count, while_file)

    def __call__(self, path: Path, block: int, adu: U16) -> tuple[int, str]:
        """Write, or raise `OSError` as a write to this disk does."""
        if self._turn.comes():
            raise OSError(self.number, os.strerror(self.number), str(path))
        return self._write(path, block, adu)


class FullDisk(FailingDisk):
    """Has no room left: ENOSPC."""

    number = errno.ENOSPC


class BrokenDisk(FailingDisk):
    """Cannot be written: EIO."""


class _Turn:
    """Counts calls; one thread writes blocks, so there is no lock."""

    def __init__(self, first: int, count: int, while_file: str | None) -> None:
        self._first, self._count = first, count
        self._file = None if while_file is None else Path(while_file)
        self._calls = 0

    def comes(self) -> bool:
        """Count one call; return whether it is struck."""
        call, self._calls = self._calls, self._calls + 1
        if call < self._first or (self._count and call >= self._first + self._count):
            return False
        return self._file is None or self._file.exists()
