"""What both forms of raw frames share: sizes, facts, and bytes ready to be written."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.ledger import BlockRecord

PIECE = 2**20
Coding = Literal["fast", "dense"]
"""Of an array's chunks. fast: blosc-lz4 at level 1; dense: blosc-zstd at level 3, a
third smaller for two and a half times the processor. Both shuffle bytes, both give
back every bit, and a reader tells them apart by what stands in each chunk."""


@dataclass(frozen=True, slots=True)
class RawShape:
    """The size of one unit's array and of its chunks."""

    frames: int
    height: int
    width: int
    block_frames: int


@dataclass(frozen=True, slots=True)
class RawFacts:
    """What a file of frames says of them to other programs."""

    pixel_um: float
    exposure_ms: float
    name: str
    coding: Coding = "fast"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The bytes of one block as they will stand on disk."""

    data: memoryview
    sha256: str
    frames: int


def digest(data: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, as hex digits."""
    return hashlib.sha256(data).hexdigest()


def block_name(record: BlockRecord) -> str:
    """Return how a sentence names a block."""
    return f"block {record.key.block} of {record.key.field}/{record.key.channel}"


def require_same(path: Path, offset: int, wanted: memoryview) -> None:
    """Read bytes of a file back; raise `IntegrityError` unless they are ``wanted``.

    Compared byte by byte: as strict as a second checksum, and a quarter of its cost.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        is_same = _same(descriptor, offset, wanted.cast("B"))
    finally:
        os.close(descriptor)
    if not is_same:
        raise IntegrityError(
            f"{path} does not read back as it was written", path=str(path)
        )


def _same(descriptor: int, offset: int, wanted: memoryview) -> bool:
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    done = 0
    while done < len(wanted):
        part = view[: min(PIECE, len(wanted) - done)]
        count = os.preadv(descriptor, [part], offset + done)
        found = buffer if count == PIECE else buffer[:count]
        # a bytearray compares by memcmp, a memoryview item by item
        if count == 0 or found != wanted[done : done + count]:
            return False
        done += count
    return True
