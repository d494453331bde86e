"""Raw frames of one unit, in the form that its name says: OME-Zarr or OME-TIFF.

Either way a block is whole or absent, and the ledger alone tells which are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw_tiff, raw_zarr
from her2sr_proc.store.atomic import sync_folder
from her2sr_proc.store.block_room import BlockRoom
from her2sr_proc.store.raw_zarr import ARRAY, chunk_path
from her2sr_proc.store.rawform import (
    Coding,
    Prepared,
    RawFacts,
    RawShape,
    require_same,
)

__all__ = ["ARRAY", "BlockRoom", "Coding", "Prepared", "RawShape", "chunk_path"]

U16 = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a block stand."""

    file: Path
    offset: int = 0
    length: int | None = None
    """In bytes; None: they are the whole file."""


def create(
    path: Path,
    shape: RawShape,
    *,
    pixel_um: float,
    exposure_ms: float,
    name: str,
    coding: Coding = "fast",
) -> None:
    """Create the file or folder of one unit, without any frame, durably.

    Its length is the number of frames asked for; which of them are there is told by
    the ledger alone, never by the shape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = RawFacts(pixel_um, exposure_ms, name, coding)
    if is_tiff(path):
        raw_tiff.create(path, shape, facts)
    else:
        raw_zarr.create(path, shape, facts)
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        sync_folder(folder)


def is_tiff(path: Path) -> bool:
    """Return whether a unit stands in one TIFF file."""
    return path.suffix in (".tif", ".tiff")


def prepare(path: Path, adu: U16) -> Prepared:
    """Return the bytes of a block as they will stand in ``path``; write nothing."""
    if is_tiff(path):
        return raw_tiff.prepare(adu)
    return raw_zarr.prepare(adu, raw_zarr.coding_of(path))


def write_block(path: Path, block: int, adu: U16 | Prepared) -> tuple[int, str]:
    """Write one block durably; return its length in bytes and its SHA-256.

    Parameters
    ----------
    path : Path
        The unit's raw frames, made by `create`.
    block : int
        Number of the block, and the index of its chunk.
    adu : uint16 array, shape (frames, height, width), or `Prepared`
        As many frames as the array's chunks hold, or what `prepare` made of them.
    """
    ready = adu if isinstance(adu, Prepared) else prepare(path, adu)
    if is_tiff(path):
        raw_tiff.write_block(path, block, ready)
    else:
        raw_zarr.write_block(path, block, ready)
    return len(ready.data), ready.sha256


def check_block(path: Path, block: int, prepared: Prepared) -> None:
    """Read a written block back. Raises `IntegrityError` when it differs.

    Large chunks come from the disk where it allows that, else from the system's memory
    while they are still there; what a disk loses later is found by `read_block`.
    """
    if is_tiff(path):
        offset = raw_tiff.block_offset(path, block)
        require_same(path, offset, prepared.data)
    else:
        require_same(chunk_path(path, block), 0, prepared.data)


def read_block(path: Path, record: BlockRecord, room: BlockRoom | None = None) -> U16:
    """Return the frames of one block after comparing its checksum.

    They are lent where there is ``room`` for them: the next block overwrites them.
    Raises `IntegrityError` when it is absent or differs from the ledger.
    """
    if is_tiff(path):
        return raw_tiff.read_block(path, record)
    return raw_zarr.read_block(path, record, room or BlockRoom())


def place(path: Path, record: BlockRecord) -> Place:
    """Return where the bytes stand whose SHA-256 the ledger has of a block.

    Raises `MovieError` for a TIFF whose head is damaged, `OSError` for one that cannot
    be read.
    """
    if is_tiff(path):
        return Place(path, *raw_tiff.stretch(path, record))
    return Place(chunk_path(path, record.key.block))


def open_array(path: Path) -> Any:  # noqa: ANN401 - zarr ships no usable types
    """Return what can be sliced as an array (frames, height, width).

    Raises `MovieError` when there is none.
    """
    return raw_tiff.open_array(path) if is_tiff(path) else raw_zarr.open_array(path)


def finish(path: Path, records: Iterable[BlockRecord]) -> None:
    """Let other programs see exactly the frames of ``records``.

    An OME-TIFF shows no page before; an OME-Zarr needs nothing. Safe to do again.
    """
    if is_tiff(path) and path.exists():
        raw_tiff.finish(path, records)
