"""Blocks that are read into one room are those of the disk, whatever came before."""

import numpy as np
import pytest

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.rawform import digest
from her2sr_proc.store.unit_movie import UnitMovie

UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
SIDE = 24


def record(number, frames, size, digest, first=None):
    return BlockRecord(
        key=BlockKey(**UNIT.model_dump(), block=number),
        first_frame=4 * number if first is None else first,
        frames=frames,
        bytes=size,
        sha256=digest,
        t_s=(0.0,) * frames,
        published=True,
    )


def written(path, blocks, frames):
    """Write blocks of four frames; the last is filled up beyond the movie's end."""
    shape = raw.RawShape(frames, SIDE, SIDE, 4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="561")
    found = []
    for number, adu in enumerate(blocks):
        size, digest = raw.write_block(path, number, adu)
        found.append(record(number, min(4, frames - 4 * number), size, digest))
    return found


@pytest.fixture
def blocks():
    chance = np.random.default_rng(1)
    flat = np.full((4, SIDE, SIDE), 7, np.uint16)  # a tenth of the others' bytes
    return [chance.integers(0, 65535, flat.shape).astype(np.uint16), flat] * 2


@pytest.mark.parametrize("name", ["561.ome.zarr", "561.ome.tif"])
def test_long_and_short_blocks_in_turn_are_read_as_written(tmp_path, blocks, name):
    path = tmp_path / "run" / "raw" / name
    records, room = written(path, blocks, 16), raw.BlockRoom()
    for one, expected in zip(records, blocks, strict=True):
        np.testing.assert_array_equal(raw.read_block(path, one, room), expected)
        np.testing.assert_array_equal(raw.read_block(path, one), expected)


def test_without_a_room_frames_are_the_callers_own(tmp_path, blocks):
    path = tmp_path / "run" / "raw" / "561.ome.zarr"
    records = written(path, blocks, 16)
    first = raw.read_block(path, records[0])
    raw.read_block(path, records[1])
    np.testing.assert_array_equal(first, blocks[0])


def test_the_last_block_ends_with_the_movie(tmp_path, blocks):
    path = tmp_path / "run" / "raw" / "561.ome.zarr"
    records = written(path, blocks, 14)
    room = raw.BlockRoom()
    np.testing.assert_array_equal(
        raw.read_block(path, records[-1], room), blocks[-1][:2]
    )


@pytest.mark.parametrize("damage", [b"", b"\0" * 9, None], ids=["empty", "short", "no"])
def test_a_chunk_of_other_length_is_refused_by_name(tmp_path, blocks, damage):
    path = tmp_path / "run" / "raw" / "561.ome.zarr"
    records, room = written(path, blocks, 16), raw.BlockRoom()
    chunk = raw.chunk_path(path, 1)
    two_frames = bytes(raw.prepare(path, blocks[1][:2]).data)
    data = two_frames if damage is None else damage
    chunk.write_bytes(data)
    claim = record(1, 4, max(1, len(data)), digest(data))
    with pytest.raises(IntegrityError, match="another number of frames"):
        raw.read_block(path, claim, room)
    with pytest.raises(IntegrityError, match="does not match"):
        raw.read_block(path, records[1], room)
    np.testing.assert_array_equal(raw.read_block(path, records[0], room), blocks[0])


def test_frames_of_a_unit_are_found_beside_a_gap(tmp_path, blocks):
    path = tmp_path / "run" / "raw" / "561.ome.zarr"
    records = written(path, blocks, 16)
    movie = UnitMovie(path, (16, SIDE, SIDE), [records[0], *records[2:]])
    np.testing.assert_array_equal(movie.read(0, 4), blocks[0])
    np.testing.assert_array_equal(
        movie.read(10, 16), np.concatenate([blocks[2][2:], blocks[3]])
    )
    with pytest.raises(MovieError, match="frame 4 of"):
        movie.read(2, 9)
