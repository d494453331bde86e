"""Movies of every form give the same frames; what is no movie is refused plainly."""

import contextlib

import numpy as np
import pytest
import tifffile
import zarr
from run_folders import add_unit, make_run

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.store import raw
from her2sr_proc.store.frames import open_movie

MOVIE = np.random.default_rng(1).integers(90, 4000, (12, 9, 11)).astype(np.uint16)


def page_by_page(path):
    with tifffile.TiffWriter(path) as writer:
        for frame in MOVIE:
            writer.write(frame, contiguous=False, photometric="minisblack")


def folder_of_frames(path):
    path.mkdir()
    for index, frame in enumerate(MOVIE):
        tifffile.imwrite(path / f"img_{index}.tif", frame)


def ome_zarr(path):
    shape = raw.RawShape(frames=12, height=9, width=11, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x")
    for block in range(3):
        raw.write_block(path, block, MOVIE[4 * block : 4 * block + 4])


def five_axes(path):
    group = zarr.create_group(store=str(path))
    group.create_array("0", data=MOVIE[:, None, None])


def ome_tiff(path):
    tifffile.imwrite(path, MOVIE, metadata={"axes": "TYX"}, photometric="minisblack")


def one_page_imagej(path):
    """As ImageJ writes stacks over 4 GB: one page, all pixels behind it."""
    tifffile.imwrite(path, MOVIE, imagej=True)
    with tifffile.TiffFile(path, mode="r+") as file:
        first = file.pages.first
        end_of_first = first.offset + 2 + 12 * len(first.tags)
        file.filehandle.seek(end_of_first)
        file.filehandle.write(b"\0\0\0\0")


FORMS = {
    "plain.tif": lambda p: tifffile.imwrite(p, MOVIE, photometric="minisblack"),
    "pages.tif": page_by_page,
    "packed.tif": lambda p: tifffile.imwrite(
        p, MOVIE, compression="zlib", photometric="minisblack"
    ),
    "tiled.tif": lambda p: tifffile.imwrite(
        p, MOVIE, tile=(16, 16), photometric="minisblack"
    ),
    "big.tif": lambda p: tifffile.imwrite(
        p, MOVIE, bigtiff=True, photometric="minisblack"
    ),
    "motorola.tif": lambda p: tifffile.imwrite(
        p, MOVIE, byteorder=">", photometric="minisblack"
    ),
    "imagej.tif": lambda p: tifffile.imwrite(p, MOVIE, imagej=True),
    "huge_imagej.tif": one_page_imagej,
    "x.ome.tif": ome_tiff,
    "folder": folder_of_frames,
    "x.npy": lambda p: np.save(p, MOVIE),
    "x.npz": lambda p: np.savez(p, movie=MOVIE),
    "packed.npz": lambda p: np.savez_compressed(p, other=np.zeros(3), frames=MOVIE),
    "x.ome.zarr": ome_zarr,
    "five_axes.zarr": five_axes,
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_frames_in_any_order(name, tmp_path):
    path = tmp_path / name
    FORMS[name](path)
    with contextlib.closing(open_movie(path)) as movie:
        assert movie.shape == MOVIE.shape
        for start, stop in [(0, 5), (5, 12), (3, 4), (0, 12)]:
            frames = movie.read(start, stop)
            assert frames.dtype == np.uint16
            np.testing.assert_array_equal(frames, MOVIE[start:stop])
        movie.close()


def test_a_single_frame_and_8_bit_pixels_are_a_movie(tmp_path):
    frame = MOVIE[0].astype(np.uint8)
    tifffile.imwrite(tmp_path / "one.tif", frame)
    with contextlib.closing(open_movie(tmp_path / "one.tif")) as movie:
        np.testing.assert_array_equal(movie.read(0, 1)[0], frame)


@pytest.mark.parametrize("frames", [3, 4])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1"])
@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
def test_few_frames_that_tifffile_took_for_colours_are_frames(tmp_path, frames, dtype):
    path, few = tmp_path / "few.tif", (MOVIE[:frames] // 20).astype(dtype)
    tifffile.imwrite(path, few)
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.photometric.name == "RGB"  # or this tests nothing
    np.testing.assert_array_equal(whole(path), few)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MovieError, match="truncated"):
        whole(path)


def test_frames_are_sorted_as_people_count(tmp_path):
    folder_of_frames(tmp_path / "f")
    with contextlib.closing(open_movie(tmp_path / "f")) as movie:
        np.testing.assert_array_equal(movie.read(10, 11)[0], MOVIE[10])


def test_hidden_files_of_a_folder_are_no_frames(tmp_path):
    folder_of_frames(tmp_path / "f")
    (tmp_path / "f" / "._img_3.tif").write_bytes(b"\0\5\x16\7 of macOS")
    with contextlib.closing(open_movie(tmp_path / "f")) as movie:
        assert movie.shape == MOVIE.shape


@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
def test_a_unit_of_a_run_is_compared_with_its_ledger_as_it_is_read(tmp_path, form):
    run = make_run(tmp_path / "r1", frames={"561": 12}, size=9)
    square = MOVIE[:, :, :9]
    unit = add_unit(run, "561", square, block=4, form=form)
    path = run.raw(unit, form)
    np.testing.assert_array_equal(whole(path), square)
    part = path if form == "ome-tiff" else raw.chunk_path(path, 1)
    data = bytearray(part.read_bytes())
    at = data.index(square[5].tobytes()) if form == "ome-tiff" else len(data) // 2
    data[at] ^= 4
    part.write_bytes(data)
    sentence = r"does not match its checksum; restore it .* --frames 0:4"
    with pytest.raises(IntegrityError, match=sentence):
        whole(path)
    with contextlib.closing(open_movie(path)) as movie:
        np.testing.assert_array_equal(movie.read(0, 4), square[:4])
        np.testing.assert_array_equal(movie.read(9, 11), square[9:11])


def test_frames_that_a_ledger_does_not_name_are_not_there(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 12}, size=9)
    unit = add_unit(run, "561", MOVIE[:8, :, :9], block=4, requested=12)
    raw.write_block(run.raw(unit), 2, MOVIE[8:, :, :9])
    with pytest.raises(MovieError, match=r"frame 8 of .* never written .* 0:8"):
        whole(run.raw(unit))


def fill(path, data: bytes):
    path.write_bytes(data)


def truncated(name, share):
    def write(path):
        whole = path.with_name("whole_" + name)
        FORMS[name](whole)
        data = whole.read_bytes()
        whole.unlink()
        path.write_bytes(data[: int(share * len(data))])

    return write


def overwritten(name, share):
    """The bytes of a file lost, from a share of its length on for a while."""

    def write(path):
        FORMS[name](path)
        data = bytearray(path.read_bytes())
        at = int(share * len(data))
        data[at : at + 99] = b"\xff" * 99
        path.write_bytes(data)

    return write


def mistold(tag, value):
    """The first page of a TIFF says of itself what cannot be."""

    def write(path):
        FORMS["plain.tif"](path)
        with tifffile.TiffFile(path) as file:
            entry = file.pages.first.tags[tag]
        data = bytearray(path.read_bytes())
        data[entry.offset + 8 : entry.offset + 12] = value.to_bytes(4, "little")
        path.write_bytes(data)

    return write


def uneven_folder(path):
    folder_of_frames(path)
    tifffile.imwrite(path / "img_5.tif", MOVIE[0, :4])


def stacks_in_folder(path):
    path.mkdir()
    tifffile.imwrite(path / "a.tif", MOVIE, photometric="minisblack")


def unfinished_zarr(path):
    ome_zarr(path)
    raw.chunk_path(path, 1).unlink()


def headless_zarr(path):
    ome_zarr(path)
    raw.chunk_path(path, 0).unlink()


def tiled_zarr(path, fill_value=0):
    """Chunks that are parts of frames; one of them is lost."""
    array = zarr.create_group(store=str(path)).create_array(
        "0", shape=MOVIE.shape, chunks=(4, 5, 6), dtype="u2", fill_value=fill_value
    )
    array[:] = MOVIE
    (path / "0" / "c" / "1" / "1" / "0").unlink()


def rgb(path):
    tifffile.imwrite(path, np.zeros((9, 9, 3), np.uint8), photometric="rgb")


def two_channels(path):
    tifffile.imwrite(
        path, np.stack([MOVIE, MOVIE], 1), imagej=True, metadata={"axes": "TCYX"}
    )


BAD = {
    "missing.tif": (lambda p: None, "no movie"),
    "empty.tif": (lambda p: fill(p, b""), "is empty"),
    "text.tif": (lambda p: fill(p, b"a text, not an image"), "cannot be read as TIFF"),
    "half.tif": (truncated("plain.tif", 0.5), "truncated"),
    "nearly.tif": (truncated("plain.tif", 0.97), "truncated"),
    "half_pages.tif": (truncated("pages.tif", 0.5), "truncated"),
    "last_page.tif": (truncated("pages.tif", 0.99), "truncated"),
    "half_big.tif": (truncated("big.tif", 0.5), "truncated"),
    "half_imagej.tif": (truncated("imagej.tif", 0.5), "truncated"),
    "half_huge.tif": (truncated("huge_imagej.tif", 0.3), "truncated"),
    "half_ome.ome.tif": (truncated("x.ome.tif", 0.5), "truncated"),
    "half_packed.tif": (truncated("packed.tif", 0.5), "truncated"),
    "no_page.tif": (lambda p: fill(p, b"II*" + b"\0" * 13), "holds no page"),
    "no_width.tif": (mistold("ImageWidth", 0), "tags cannot be true"),
    "vast.tif": (mistold("ImageWidth", 1 << 29), "more than any camera has"),
    "no_colour.tif": (mistold("PhotometricInterpretation", 77), "tags cannot be true"),
    "no_bits.tif": (mistold("BitsPerSample", 0), "tags cannot be true"),
    "rgb.tif": (rgb, "colour image"),
    "channels.tif": (two_channels, "one channel"),
    "float.tif": (lambda p: tifffile.imwrite(p, MOVIE / 1.5), "float64 pixels"),
    "nan.npy": (lambda p: np.save(p, MOVIE * np.float32(np.nan)), "float32 pixels"),
    "wide.npy": (lambda p: np.save(p, MOVIE.astype(np.int64)), "int64 pixels"),
    "none.npy": (lambda p: np.save(p, MOVIE[:0]), "no frames"),
    "none.npz": (lambda p: np.savez(p, MOVIE[:0]), "no frames"),
    "line.npy": (lambda p: np.save(p, MOVIE[0, 0]), "shape"),
    "half.npy": (truncated("x.npy", 0.5), "cannot be read"),
    "half.npz": (truncated("x.npz", 0.5), "cannot be read"),
    "overwritten.npz": (overwritten("packed.npz", 0.5), "cannot be read"),
    "torn_header.npy": (
        lambda p: fill(p, b"\x93NUMPY\x01\x00\x07\x00{'descr"),
        "cannot be read",
    ),
    "two.npz": (lambda p: np.savez(p, a=MOVIE, b=MOVIE), "it holds: a, b"),
    "movie.avi": (lambda p: fill(p, b"RIFF"), "no movie this program reads"),
    "folder": (lambda p: p.mkdir(), "neither TIFF frames"),
    "uneven": (uneven_folder, "frames of one size"),
    "stacks": (stacks_in_folder, "each file is one frame"),
    "unfinished.zarr": (unfinished_zarr, "never written"),
    "headless.zarr": (headless_zarr, "early.*; copy it again"),
    "tile.zarr": (tiled_zarr, "frame 4 of .* was never written"),
    "filled.zarr": (lambda p: tiled_zarr(p, 100), "frame 4 of .* was never written"),
    "float.zarr": (
        lambda p: zarr.create_group(store=str(p)).create_array("0", data=MOVIE / 2),
        "float64 pixels",
    ),
    "empty.zarr": (lambda p: zarr.create_group(store=str(p)), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_movie_is_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / name
    write, message = BAD[name]
    write(path)
    with pytest.raises(MovieError, match=message) as caught:
        whole(path)
    assert "\n" not in str(caught.value)


def whole(path):
    with contextlib.closing(open_movie(path)) as movie:
        return movie.read(0, movie.shape[0])


def test_a_unit_that_ended_early_can_be_read_as_far_as_it_goes(tmp_path):
    unfinished_zarr(tmp_path / "x.zarr")
    with contextlib.closing(open_movie(tmp_path / "x.zarr")) as movie:
        np.testing.assert_array_equal(movie.read(0, 4), MOVIE[:4])


def test_a_range_outside_the_movie_is_the_callers_mistake(tmp_path):
    np.save(tmp_path / "x.npy", MOVIE)
    movie = open_movie(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="frames 5:13"):
        movie.read(5, 13)
