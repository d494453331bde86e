"""Memory for one block after another, taken once. Knows sizes; no form of block.

A block of full frames is larger than what the C library keeps for the next one: each
would be new memory, which the system clears page by page, at half the time of reading.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

U16 = npt.NDArray[np.uint16]


class BlockRoom:
    """Room for the bytes of one block and for its pixels. Not thread-safe.

    What is lent is overwritten by the next block.
    """

    def __init__(self) -> None:
        self._coded = bytearray()
        self._pixels: U16 = np.empty(0, "<u2")

    def read(self, path: Path) -> memoryview:
        """Return the bytes of a file, lent. Raises `OSError`."""
        with path.open("rb", buffering=0) as file:
            filled = 0
            while True:
                if filled == len(self._coded):
                    self._grow(max(path.stat().st_size, filled) + 1)
                got = file.readinto(memoryview(self._coded)[filled:])
                if not got:
                    return memoryview(self._coded)[:filled]
                filled += got

    def pixels(self, count: int) -> U16:
        """Return so many pixels, lent, of any value."""
        if self._pixels.size < count:
            self._pixels = np.empty(0, "<u2")  # both at once would be too much
            self._pixels = np.empty(count, "<u2")
        return self._pixels[:count]

    def _grow(self, size: int) -> None:
        larger = bytearray(size)
        larger[: len(self._coded)] = self._coded
        self._coded = larger
