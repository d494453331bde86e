"""Raw frames of one unit as a BigTIFF, written by us: pixels in one run, pages known.

The room of the page directories is taken when the file is made, so that a block is one
write at a known place. The file shows no page at all until `finish`: pages that were
never written would read as zeros, which look like frames.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store.rawform import Prepared, RawFacts, RawShape, block_name, digest

U16 = npt.NDArray[np.uint16]
HEAD = struct.Struct("<2sHHHQ")
"""Order, 43, bytes of an offset, 0, place of the first page directory."""
FACTS = struct.Struct("<8s4Q2d")
"""After the head: our mark, frames, height, width, frames a block, um, ms."""
MARK = b"her2sr01"
NAME_BYTES = 256
TEXT_AT = HEAD.size + FACTS.size + NAME_BYTES
TEXT_BYTES = 4096 - TEXT_AT
"""Room of the OME-XML; its length does not depend on the number of frames."""
DIRECTORIES_AT = TEXT_AT + TEXT_BYTES
ENTRY = struct.Struct("<HHQ8s")
SHORT, LONG8, RATIONAL, ASCII = 3, 16, 5, 2
ENTRIES = 14
DIRECTORY_BYTES = 8 + ENTRIES * ENTRY.size + 8
ALIGNED = 4096
UM_PER_CM = 10_000


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything of one file stands."""

    shape: RawShape
    facts: RawFacts

    @property
    def frame_bytes(self) -> int:
        return 2 * self.shape.height * self.shape.width

    @property
    def pixels_at(self) -> int:
        end = DIRECTORIES_AT + self.shape.frames * DIRECTORY_BYTES
        return -(-end // ALIGNED) * ALIGNED

    def frame_at(self, frame: int) -> int:
        return self.pixels_at + frame * self.frame_bytes

    def directory_at(self, frame: int) -> int:
        return DIRECTORIES_AT + frame * DIRECTORY_BYTES


def create(path: Path, shape: RawShape, facts: RawFacts) -> None:
    """Create the file with room for every page directory; it shows no page yet."""
    plan = _Plan(shape, facts)
    name = facts.name.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
    numbers = (shape.frames, shape.height, shape.width, shape.block_frames)
    head = HEAD.pack(b"II", 43, 8, 0, 0)
    known = FACTS.pack(MARK, *numbers, facts.pixel_um, facts.exposure_ms)
    rest = bytes(plan.pixels_at - TEXT_AT)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _write_at(descriptor, head + known + name + rest, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare(adu: U16) -> Prepared:
    """Return the pixels of a block with their checksum; nothing is copied."""
    flat = np.ascontiguousarray(adu, dtype="<u2").reshape(-1)
    data = memoryview(flat.data).cast("B")
    return Prepared(data, digest(data), len(adu))


def write_block(path: Path, block: int, prepared: Prepared) -> None:
    """Write the pixels of one block at their place, durably."""
    offset = block_offset(path, block)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        _write_at(descriptor, prepared.data, offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def block_offset(path: Path, block: int) -> int:
    """Return where the pixels of a block begin."""
    plan = _plan_of(path)
    return plan.frame_at(block * plan.shape.block_frames)


def stretch(path: Path, record: BlockRecord) -> tuple[int, int]:
    """Return where the pixels of a block begin, and their length in bytes."""
    plan = _plan_of(path)
    return plan.frame_at(record.first_frame), record.frames * plan.frame_bytes


def read_block(path: Path, record: BlockRecord) -> U16:
    """Return the frames of one block after comparing its checksum."""
    where = block_name(record)
    if not path.exists():
        raise IntegrityError(f"{where} is missing", path=str(path))
    plan = _plan_of(path)
    wanted = record.frames * plan.frame_bytes
    with path.open("rb") as file:
        file.seek(plan.frame_at(record.first_frame))
        data = file.read(wanted)
    if len(data) < wanted:
        raise IntegrityError(f"{where} is missing", path=str(path))
    if digest(data) != record.sha256:
        raise IntegrityError(f"{where} does not match its checksum", path=str(path))
    pixels = np.frombuffer(data, dtype="<u2")
    return pixels.reshape(record.frames, plan.shape.height, plan.shape.width)


def open_array(path: Path) -> Any:  # noqa: ANN401 - as the array of the other form
    """Return the frames that the file reaches, mapped into memory."""
    plan = _plan_of(path)
    frames = (path.stat().st_size - plan.pixels_at) // plan.frame_bytes
    if frames <= 0:
        raise MovieError(f"{path} holds no frames yet", path=str(path))
    shape = (frames, plan.shape.height, plan.shape.width)
    return np.memmap(path, "<u2", "r", plan.pixels_at, shape)


def pages(path: Path) -> int:
    """Return how many pages other programs see."""
    with path.open("rb") as file:
        count, at = 0, HEAD.unpack(file.read(HEAD.size))[4]
        while at:
            count += 1
            file.seek(at + DIRECTORY_BYTES - 8)
            at = struct.unpack("<Q", file.read(8))[0]
    return count


def finish(path: Path, records: Iterable[BlockRecord]) -> None:
    """Show exactly the frames of ``records`` as pages, in order. Safe to do again.

    The directories are written first and reach the disk before the head names them.
    """
    plan = _plan_of(path)
    frames = [
        frame
        for record in sorted(records, key=lambda r: r.first_frame)
        for frame in range(record.first_frame, record.first_frame + record.frames)
    ]
    descriptor = os.open(path, os.O_RDWR)
    try:
        _write_at(descriptor, HEAD.pack(b"II", 43, 8, 0, 0), 0)
        if frames:
            text = _ome_xml(plan, len(frames))
            _write_at(descriptor, text, TEXT_AT)
            _write_at(descriptor, _directories(plan, frames, len(text)), DIRECTORIES_AT)
            os.fsync(descriptor)
            head = HEAD.pack(b"II", 43, 8, 0, DIRECTORIES_AT)
            _write_at(descriptor, head, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _directories(plan: _Plan, frames: Sequence[int], text_bytes: int) -> bytes:
    """Return the chain of page directories, one for each frame that is there."""
    parts = []
    for page, frame in enumerate(frames):
        following = plan.directory_at(page + 1) if page + 1 < len(frames) else 0
        parts.append(_directory(plan, frame, text_bytes if page == 0 else 0, following))
    return b"".join(parts)


def _directory(plan: _Plan, frame: int, text_bytes: int, following: int) -> bytes:
    per_cm = struct.pack("<2I", round(1000 * UM_PER_CM / plan.facts.pixel_um), 1000)
    entries = [
        _number(254, LONG8, 0),
        _number(256, LONG8, plan.shape.width),
        _number(257, LONG8, plan.shape.height),
        _number(258, SHORT, 16),
        _number(259, SHORT, 1),
        _number(262, SHORT, 1),
        _text(text_bytes),
        _number(273, LONG8, plan.frame_at(frame)),
        _number(277, SHORT, 1),
        _number(278, LONG8, plan.shape.height),
        _number(279, LONG8, plan.frame_bytes),
        ENTRY.pack(282, RATIONAL, 1, per_cm),
        ENTRY.pack(283, RATIONAL, 1, per_cm),
        _number(296, SHORT, 3),
    ]
    return struct.pack("<Q", ENTRIES) + b"".join(entries) + struct.pack("<Q", following)


def _number(tag: int, kind: int, value: int) -> bytes:
    return ENTRY.pack(tag, kind, 1, struct.pack("<Q", value))


def _text(length: int) -> bytes:
    if length == 0:
        return ENTRY.pack(270, ASCII, 1, bytes(8))
    return ENTRY.pack(270, ASCII, length, struct.pack("<Q", TEXT_AT))


def _ome_xml(plan: _Plan, frames: int) -> bytes:
    shape, facts = plan.shape, plan.facts
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0" Name={quoteattr(facts.name)}>'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        f'BigEndian="false" SizeX="{shape.width}" SizeY="{shape.height}" SizeZ="1" '
        f'SizeC="1" SizeT="{frames}" PhysicalSizeX="{facts.pixel_um:g}" '
        f'PhysicalSizeY="{facts.pixel_um:g}" '
        f'TimeIncrement="{facts.exposure_ms / 1000:g}" TimeIncrementUnit="s">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="{frames}"/></Pixels></Image></OME>'
    )
    return text.encode() + b"\0"


def _plan_of(path: Path) -> _Plan:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _read_plan(descriptor, path)
    finally:
        os.close(descriptor)


def _read_plan(descriptor: int, path: Path) -> _Plan:
    data = os.pread(descriptor, FACTS.size + NAME_BYTES, HEAD.size)
    if len(data) < FACTS.size + NAME_BYTES or not data.startswith(MARK):
        raise MovieError(f"{path} is no TIFF of raw frames of this program")
    _, frames, height, width, block, pixel_um, exposure_ms = FACTS.unpack_from(data)
    name = data[FACTS.size :].rstrip(b"\0").decode(errors="replace")
    return _Plan(
        RawShape(frames, height, width, block), RawFacts(pixel_um, exposure_ms, name)
    )


def _write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    left = memoryview(data)
    while left:
        count = os.pwrite(descriptor, left, offset)
        left, offset = left[count:], offset + count
