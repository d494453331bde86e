"""Raw frames of one unit as OME-Zarr 0.5: one chunk a block, each whole or absent.

zarr-python writes the metadata and reads; chunks are written here, because its local
store renames without forcing to disk. The bytes are those of zarr's own blosc codec.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs.blosc import SHUFFLE, Blosc

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store.atomic import sync_file, sync_folder, write_text
from her2sr_proc.store.block_room import BlockRoom
from her2sr_proc.store.direct import write_new
from her2sr_proc.store.rawform import (
    Coding,
    Prepared,
    RawFacts,
    RawShape,
    block_name,
    digest,
)

U16 = npt.NDArray[np.uint16]
ARRAY = "0"
CODERS: dict[Coding, tuple[str, int]] = {"fast": ("lz4", 1), "dense": ("zstd", 3)}
"""Name and level of blosc's coder."""
PART_BYTES = 2**18
"""Of a chunk that is shuffled and coded at a time. The smaller parts that blosc chooses
cost a tenth more of the processor, and give 1.472:1 instead of 1.516:1 on tissue."""
HEADER = 16
"""Bytes before a chunk's content; the second four are the length when decoded."""


def create(path: Path, shape: RawShape, facts: RawFacts) -> None:
    """Create the group and array of one unit, without any frame, durably."""
    group = zarr.create_group(store=str(path), zarr_format=3)
    group.attrs["ome"] = _ome(facts)
    group.create_array(
        ARRAY,
        shape=(shape.frames, shape.height, shape.width),
        chunks=(shape.block_frames, shape.height, shape.width),
        dtype="uint16",
        compressors=zarr.codecs.BloscCodec(
            cname=CODERS[facts.coding][0],
            clevel=CODERS[facts.coding][1],
            shuffle="shuffle",
            typesize=2,
            blocksize=PART_BYTES,
        ),
        fill_value=0,
        dimension_names=("t", "y", "x"),
    )
    chunks = path / ARRAY / "c"
    chunks.mkdir()
    for file in (path / "zarr.json", path / ARRAY / "zarr.json"):
        sync_file(file)
    for folder in (chunks, path / ARRAY, path):
        sync_folder(folder)


def chunk_path(path: Path, block: int) -> Path:
    """Return where the chunk of a block stands."""
    return path / ARRAY / "c" / str(block) / "0" / "0"


def coding_of(path: Path) -> Coding:
    """Return how new chunks of a unit are to be coded, by its metadata.

    What cannot be read there is coded fast: a chunk says itself how it is coded, and no
    frame of a bleached place is given up for want of a word.
    """
    meta = path / ARRAY / "zarr.json"
    try:
        (coder,) = (
            codec["configuration"]["cname"]
            for codec in json.loads(meta.read_bytes())["codecs"]
            if codec["name"] == "blosc"
        )
        return next(coding for coding, one in CODERS.items() if one[0] == coder)
    except (OSError, ValueError, KeyError, StopIteration):
        return "fast"


def mark_coding(path: Path, coding: Coding) -> None:
    """Let the metadata of a unit name a coding; its chunks may still be mixed."""
    meta = path / ARRAY / "zarr.json"
    said = json.loads(meta.read_bytes())
    for codec in said["codecs"]:
        if codec["name"] == "blosc":
            name, level = CODERS[coding]
            codec["configuration"] |= {"cname": name, "clevel": level}
    write_text(meta, json.dumps(said, indent=2))


def prepare(adu: U16, coding: Coding = "fast") -> Prepared:
    """Return the bytes of a chunk with their checksum. Uses the processor alone."""
    name, level = CODERS[coding]
    codec = Blosc(cname=name, clevel=level, shuffle=SHUFFLE, blocksize=PART_BYTES)
    data = memoryview(codec.encode(np.ascontiguousarray(adu, dtype="<u2")))
    return Prepared(data, digest(data), len(adu))


def write_block(path: Path, block: int, prepared: Prepared) -> None:
    """Write one chunk durably: it and the folders above it are whole or absent.

    A last chunk of fewer frames than the others is to be filled up to their length.
    Raises `FileNotFoundError` where what `create` made is gone, with a disk that was
    unmounted: made anew, frames of one unit would lie in two places.
    """
    chunk = chunk_path(path, block)
    for folder in (chunk.parent.parent, chunk.parent):
        folder.mkdir(exist_ok=True)
    beside = chunk.with_name(f".0.partial-{os.getpid()}")
    try:
        write_new(beside, prepared.data)
        beside.replace(chunk)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    for folder in (chunk.parent, chunk.parent.parent, chunk.parent.parent.parent):
        sync_folder(folder)


def read_block(path: Path, record: BlockRecord, room: BlockRoom) -> U16:
    """Return the frames of one block, lent, after comparing its checksum."""
    chunk, where = chunk_path(path, record.key.block), block_name(record)
    if not chunk.exists():
        raise IntegrityError(f"{where} is missing", path=str(chunk))
    data = room.read(chunk)
    if digest(data) not in record.digests:
        raise IntegrityError(f"{where} does not match its checksum", path=str(chunk))
    (length, height, width), chunk_frames = _sizes(path)
    # the last chunk of an array is as long as the others, filled up behind its end
    is_last = record.first_frame + record.frames == length
    expected = chunk_frames if is_last else record.frames
    count = expected * height * width
    if len(data) < HEADER or int.from_bytes(data[4:8], "little") != 2 * count:
        raise IntegrityError(f"{where} holds another number of frames than the ledger")
    pixels = room.pixels(count)
    Blosc().decode(data, out=pixels)
    return pixels.reshape(expected, height, width)[: record.frames]


def _sizes(path: Path) -> tuple[tuple[int, int, int], int]:
    """Return the shape of a unit's array and the frames of a chunk.

    Asked for every block, and zarr takes longer to open an array than a small block
    takes to decode. Raises `MovieError` when there is none.
    """
    try:
        said = json.loads((path / ARRAY / "zarr.json").read_bytes())
        frames, height, width = map(int, said["shape"])
        chunk = said["chunk_grid"]["configuration"]["chunk_shape"]
        return (frames, height, width), int(chunk[0])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise MovieError(f"{path} is not an OME-Zarr with an array '{ARRAY}'") from exc


def open_array(path: Path) -> Any:  # noqa: ANN401 - zarr ships no usable types
    """Return the zarr array of a unit. Raises `MovieError` when there is none."""
    try:
        return zarr.open_array(store=str(path / ARRAY), mode="r")
    except (FileNotFoundError, ValueError, KeyError) as exc:
        raise MovieError(f"{path} is not an OME-Zarr with an array '{ARRAY}'") from exc


def _ome(facts: RawFacts) -> dict[str, object]:
    scale = [facts.exposure_ms / 1000.0, facts.pixel_um, facts.pixel_um]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": facts.name,
                "axes": [
                    {"name": "t", "type": "time", "unit": "second"},
                    {"name": "y", "type": "space", "unit": "micrometer"},
                    {"name": "x", "type": "space", "unit": "micrometer"},
                ],
                "datasets": [
                    {
                        "path": ARRAY,
                        "coordinateTransformations": [
                            {"type": "scale", "scale": scale}
                        ],
                    }
                ],
            }
        ],
    }
