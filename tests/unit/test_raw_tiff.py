"""Raw frames as BigTIFF: what other programs see is exactly what the ledger holds."""

import numpy as np
import pytest
import tifffile
from run_folders import add_unit, make_run

from her2sr_proc.errors import DataError, IntegrityError, MovieError
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.export import export_tiff, is_exported
from her2sr_proc.store.frames import open_movie
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger

UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
FRAMES = np.random.default_rng(7).integers(90, 65535, (12, 6, 5)).astype(np.uint16)


@pytest.fixture
def path(tmp_path):
    run = RunFolder(tmp_path / "r1")
    file = run.raw(UNIT, "ome-tiff")
    shape = raw.RawShape(frames=12, height=6, width=5, block_frames=4)
    raw.create(file, shape, pixel_um=0.13, exposure_ms=30.0, name="r00_c00/561 <&>")
    return file


def write(path, *blocks):
    records = []
    for block in blocks:
        size, digest = raw.write_block(path, block, FRAMES[4 * block :][:4])
        records.append(
            BlockRecord(
                key=BlockKey(**UNIT.model_dump(), block=block),
                first_frame=4 * block,
                frames=4,
                bytes=size,
                sha256=digest,
                t_s=(0.0,) * 4,
                published=False,
            )
        )
    return records


def test_a_unit_as_tiff_is_found_and_named_in_the_run_folder(path):
    run = RunFolder(path.parents[2])
    assert path.name == "561.ome.tif"
    assert run.raw(UNIT) == path
    assert list(run.units()) == [UNIT]


def test_blocks_read_back_in_any_order(path):
    records = write(path, 2, 0)
    np.testing.assert_array_equal(raw.read_block(path, records[0]), FRAMES[8:])
    np.testing.assert_array_equal(raw.read_block(path, records[1]), FRAMES[:4])
    np.testing.assert_array_equal(raw.open_array(path)[8:], FRAMES[8:])


def test_a_finished_file_opens_elsewhere_with_every_page_and_its_scale(path):
    raw.finish(path, write(path, 0, 1, 2))
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        assert file.is_ome
        assert file.series[0].shape == (12, 6, 5)
        np.testing.assert_array_equal(file.asarray(), FRAMES)
        assert file.pages[3].is_contiguous
        assert 'PhysicalSizeX="0.13"' in file.ome_metadata
    movie = open_movie(path)
    np.testing.assert_array_equal(movie.read(3, 9), FRAMES[3:9])
    movie.close()


def test_before_it_is_finished_no_program_takes_zeros_for_frames(path):
    write(path, 0)
    with pytest.raises(MovieError):
        open_movie(path)


def test_a_burst_that_was_killed_shows_the_frames_of_the_ledger_alone(path):
    records = write(path, 0, 2)
    raw.finish(path, records)
    np.testing.assert_array_equal(
        tifffile.imread(path), np.concatenate([FRAMES[:4], FRAMES[8:]])
    )
    raw.finish(path, records[:1])
    np.testing.assert_array_equal(tifffile.imread(path), FRAMES[:4])
    raw.finish(path, [])
    with pytest.raises(MovieError):
        open_movie(path)


def test_a_flipped_bit_and_a_cut_end_are_found(path):
    records = write(path, 0, 1)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"block 1 .* checksum"):
        raw.read_block(path, records[1])
    path.write_bytes(data[:-1])
    with pytest.raises(IntegrityError, match="missing"):
        raw.read_block(path, records[1])
    assert raw.read_block(path, records[0]).shape == (4, 6, 5)
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        raw.read_block(path, records[0])


def test_another_tiff_is_not_taken_for_raw_frames(tmp_path):
    path = tmp_path / "other.ome.tif"
    tifffile.imwrite(path, FRAMES)
    with pytest.raises(MovieError, match="no TIFF of raw frames"):
        raw.open_array(path)


# --- exported from an OME-Zarr


def test_an_export_has_the_pages_of_the_unit(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 12}, size=6)
    movie = FRAMES[:, :, :5].repeat(2, 2)[:, :, :6]
    key = add_unit(run, "561", movie, block=4)
    assert export_tiff(run, key, tmp_path / "out.tif") == 12
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), movie)
    assert is_exported(run, read_ledger(run.ledger)[key], tmp_path / "out.tif")


def test_a_partial_unit_exports_the_frames_that_it_has(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 20}, size=6)
    movie = np.full((8, 6, 6), 7, np.uint16)
    key = add_unit(run, "561", movie, block=4, requested=20)
    assert export_tiff(run, key, tmp_path / "out.tif") == 8
    assert tifffile.imread(tmp_path / "out.tif").shape == (8, 6, 6)


def test_an_export_of_a_damaged_unit_leaves_no_file(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 8}, size=6)
    key = add_unit(run, "561", np.full((8, 6, 6), 7, np.uint16), block=4)
    raw.chunk_path(run.raw(key), 1).write_bytes(b"rot")
    with pytest.raises(DataError, match="block 1"):
        export_tiff(run, key, tmp_path / "out" / "x.tif")
    assert list((tmp_path / "out").iterdir()) == []
