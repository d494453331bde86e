"""Raw frames of one unit: OME-Zarr 0.5, one chunk a block, each chunk whole or absent.

zarr-python writes the metadata and reads; chunks are written here, because its local
store renames without forcing to disk. The bytes are those of zarr's own blosc codec.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs.blosc import SHUFFLE, Blosc

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store.atomic import sync_folder, write_bytes

U16 = npt.NDArray[np.uint16]
ARRAY = "0"


@dataclass(frozen=True, slots=True)
class RawShape:
    """The size of one unit's array and of its chunks."""

    frames: int
    height: int
    width: int
    block_frames: int


def create(
    path: Path, shape: RawShape, *, pixel_um: float, exposure_ms: float, name: str
) -> None:
    """Create the group and array of one unit, without any frame.

    The array's length is the number of frames asked for; which of them are there
    is told by the ledger alone, never by the shape.
    """
    group = zarr.create_group(store=str(path), zarr_format=3)
    group.attrs["ome"] = _ome(pixel_um, exposure_ms, name)
    group.create_array(
        ARRAY,
        shape=(shape.frames, shape.height, shape.width),
        chunks=(shape.block_frames, shape.height, shape.width),
        dtype="uint16",
        compressors=zarr.codecs.BloscCodec(
            cname="lz4", clevel=1, shuffle="shuffle", typesize=2
        ),
        fill_value=0,
        dimension_names=("t", "y", "x"),
    )
    sync_folder(path)


def chunk_path(path: Path, block: int) -> Path:
    """Return where the chunk of a block stands."""
    return path / ARRAY / "c" / str(block) / "0" / "0"


def write_block(path: Path, block: int, adu: U16) -> tuple[int, str]:
    """Write one block durably; return the chunk's length in bytes and its SHA-256.

    Parameters
    ----------
    path : Path
        The unit's OME-Zarr, made by `create`.
    block : int
        Number of the block, and the index of its chunk.
    adu : uint16 array, shape (frames, height, width)
        C-contiguous; as many frames as the array's chunks hold.
    """
    codec = Blosc(cname="lz4", clevel=1, shuffle=SHUFFLE)
    data = bytes(codec.encode(np.ascontiguousarray(adu, dtype="<u2")))
    write_bytes(chunk_path(path, block), data)
    return len(data), hashlib.sha256(data).hexdigest()


def read_block(path: Path, record: BlockRecord) -> U16:
    """Return the frames of one block after comparing its checksum.

    Raises `IntegrityError` when the chunk is absent or differs from the ledger.
    """
    chunk = chunk_path(path, record.key.block)
    where = f"block {record.key.block} of {record.key.field}/{record.key.channel}"
    if not chunk.exists():
        raise IntegrityError(f"{where} is missing", path=str(chunk))
    data = chunk.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise IntegrityError(f"{where} does not match its checksum", path=str(chunk))
    array = open_array(path)
    pixels = np.frombuffer(Blosc().decode(data), dtype="<u2")
    height, width = array.shape[1:]
    if pixels.size != record.frames * height * width:
        raise IntegrityError(f"{where} holds another number of frames than the ledger")
    return pixels.reshape(record.frames, height, width)


def open_array(path: Path) -> Any:  # noqa: ANN401 - zarr ships no usable types
    """Return the zarr array of a unit. Raises `MovieError` when there is none."""
    try:
        return zarr.open_array(store=str(path / ARRAY), mode="r")
    except (FileNotFoundError, ValueError, KeyError) as exc:
        raise MovieError(f"{path} is not an OME-Zarr with an array '{ARRAY}'") from exc


def _ome(pixel_um: float, exposure_ms: float, name: str) -> dict[str, object]:
    scale = [exposure_ms / 1000.0, pixel_um, pixel_um]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
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
