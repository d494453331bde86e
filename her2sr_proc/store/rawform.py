"""What both forms of raw frames share: sizes, facts, and bytes ready to be written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store.direct import is_same

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
    if not is_same(path, offset, wanted.cast("B")):
        raise IntegrityError(
            f"{path} does not read back as it was written", path=str(path)
        )
