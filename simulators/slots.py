"""The pixels between two processes: a mapped file of frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

U16 = npt.NDArray[np.uint16]

RING = "ring.bin"
SLOTS = 16
MAX_SLOTS = 256
SMALL_BYTES = 2 * 2**20
"""Small frames have more slots, up to this size of the ring."""
_PAGE = 4096


class FrameRing:
    """The mapped file: ``slots`` frames of one shape.

    Every page is written once when the ring is made, so that no frame pays for it.
    """

    def __init__(
        self, path: Path, shape: tuple[int, int], *, slots: int | None = None
    ) -> None:
        """Map an existing ring. Raises `OSError` when the file is too small."""
        self.shape = shape
        slots = slots or slots_for(shape)
        self.slots = slots
        stride = _stride(shape)
        pages = np.memmap(path, np.uint8, mode="r+", shape=(slots, stride))
        self._frames = [
            pages[slot, : 2 * shape[0] * shape[1]].view(np.uint16).reshape(shape)
            for slot in range(slots)
        ]

    @classmethod
    def make(
        cls, path: Path, shape: tuple[int, int], *, slots: int | None = None
    ) -> Self:
        """Create the file, private to this user, and touch every page of it.

        Raises `OSError` when the file system has no room for it: a mapped file
        without its blocks would kill the process at the first write instead.
        """
        slots = slots or slots_for(shape)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, slots * _stride(shape))
        finally:
            os.close(descriptor)
        ring = cls(path, shape, slots=slots)
        for slot in range(slots):
            ring.frame(slot)[:] = 0
        return ring

    def frame(self, slot: int) -> U16:
        """Return the pixels of one slot, shape (height, width); not a copy."""
        return self._frames[slot]


def slots_for(shape: tuple[int, int]) -> int:
    """Return how many frames of this size a ring has room for."""
    return max(SLOTS, min(MAX_SLOTS, SMALL_BYTES // _stride(shape)))


def _stride(shape: tuple[int, int]) -> int:
    used = 2 * shape[0] * shape[1]
    return -(-used // _PAGE) * _PAGE
