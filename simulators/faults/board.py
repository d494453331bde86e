"""Which devices have a fault before them: a byte each, in a mapped file.

A device looks there before every call, which costs nothing; only where a byte is set
does it ask the microscope what befalls the call.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection
from pathlib import Path
from typing import get_args

from simulators.faults.options import FaultyDevice

BOARD = "faults.bin"
_PLACE = {device: place for place, device in enumerate(get_args(FaultyDevice))}


class FaultBoard:
    """The mapped bytes. One process writes them."""

    def __init__(self, path: Path) -> None:
        """Map the board. Raises `OSError` when there is none."""
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), len(_PLACE))

    @classmethod
    def make(cls, path: Path) -> FaultBoard:
        """Create the file, private to this user, with nothing set."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, len(_PLACE))
        finally:
            os.close(descriptor)
        return cls(path)

    def write(self, devices: Collection[FaultyDevice]) -> None:
        """Set the bytes of these devices and clear the others."""
        for device, place in _PLACE.items():
            self._bytes[place] = device in devices

    def has(self, device: FaultyDevice) -> bool:
        """Return whether a device has a fault before it."""
        return self._bytes[_PLACE[device]] != 0
