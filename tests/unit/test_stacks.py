"""Stacks apart and together: frames, order, names, and what is known beside pixels."""

import re
from contextlib import closing
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
from run_folders import add_unit, make_run

from her2sr_proc.errors import MovieError, RequestError, WriteError
from her2sr_proc.offline.stacks import Spent, blocks, stream, unchanged
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store import stack
from her2sr_proc.store.frames import open_movie
from her2sr_proc.store.stack import stem_of, write_frames, write_stack
from her2sr_proc.store.stack_facts import StackFacts
from her2sr_proc.store.stack_reader import read_facts
from her2sr_proc.store.views import (
    JoinedFrames,
    KeptFrames,
    in_order,
    kept_range,
    missing_number,
)

COUNTS = np.dtype(np.uint16)


def counts(frames=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 900, (frames, 12, 17)).astype(np.uint16)


def write(path, frames, facts=StackFacts()):  # noqa: B008 - frozen
    write_stack(path, [frames], frames.shape, facts, dtype=frames.dtype)
    return path


def frames_of(path):
    with closing(open_movie(path, floats=True)) as movie:
        return movie.read(0, movie.shape[0])


OME = """<?xml version="1.0" encoding="UTF-8"?><OME
 xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"
 Creator="Scope 3"><Experimenter ID="Experimenter:0" LastName="Somebody"/>
<Image ID="Image:0" Name="S12-3456"
><AcquisitionDate>2023-05-04T10:00:00</AcquisitionDate>
<Description>block A</Description>
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="17" SizeY="12"
 SizeZ="10" SizeC="1" SizeT="1" SignificantBits="12" PhysicalSizeX="130"
 PhysicalSizeXUnit="nm" TimeIncrement="30" TimeIncrementUnit="ms">
<Channel ID="Channel:0:0" SamplesPerPixel="1" EmissionWavelength="520"/>
<TiffData IFD="0" PlaneCount="10"/>PLANES</Pixels></Image></OME>""".replace(
    "PLANES",
    "".join(
        f'<Plane TheZ="{n}" TheT="0" TheC="0" DeltaT="{n / 10}"/>' for n in range(10)
    ),
)


def ome_movie(path):
    frames = counts()
    tifffile.imwrite(
        path, frames, photometric="minisblack", metadata=None, description=OME.encode()
    )
    return frames


def pixels_of(path):
    with tifffile.TiffFile(path) as file:
        root = ET.fromstring(file.ome_metadata)
    return root, root.find("{*}Image/{*}Pixels")


KEPT = [
    pytest.param((1, None, 1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], id="all"),
    pytest.param((3, 3, 1), [3], id="one"),
    pytest.param((2, 9, 3), [2, 5, 8], id="steps"),
    pytest.param((1, 10, 20), [1], id="longer step than movie"),
    pytest.param((10, None, 2), [10], id="the last"),
]


@pytest.mark.parametrize(("asked", "slices"), KEPT)
def test_slices_are_kept_as_imagej_counts_them(tmp_path, asked, slices):
    frames = counts()
    movie = open_movie(write(tmp_path / "m.tif", frames))
    kept = KeptFrames(movie, kept_range(*asked, frames=10))
    wanted = frames[np.array(slices) - 1]
    np.testing.assert_array_equal(kept.read(0, len(slices)), wanted)
    if len(slices) > 1:
        np.testing.assert_array_equal(kept.read(1, 2), wanted[1:2])
    kept.close()


@pytest.mark.parametrize(
    "asked", [(0, None, 1), (1, 11, 1), (5, 4, 1), (11, None, 1), (1, None, 0)]
)
def test_slices_that_are_not_there_are_refused(asked):
    with pytest.raises(RequestError):
        kept_range(*asked, frames=10)


def test_movies_of_several_lengths_join_across_their_seams(tmp_path):
    parts = [counts(n, seed=n) for n in (3, 1, 4)]
    paths = [write(tmp_path / f"{n}.tif", part) for n, part in enumerate(parts)]
    joined, wanted = JoinedFrames(paths), np.concatenate(parts)
    assert joined.shape == wanted.shape
    for start in range(8):
        for stop in range(start + 1, 9):
            np.testing.assert_array_equal(joined.read(start, stop), wanted[start:stop])
    joined.close()


def test_movies_of_two_sizes_or_kinds_do_not_join(tmp_path):
    a = write(tmp_path / "a.tif", counts())
    b = write(tmp_path / "b.tif", counts()[:, 1:])
    c = write(tmp_path / "c.tif", counts().astype(np.float32))
    with pytest.raises(MovieError, match="11 x 17"):
        JoinedFrames([a, b])
    joined = JoinedFrames([a, c])
    with pytest.raises(MovieError, match="join movies of one kind"):
        joined.read(8, 12)
    joined.close()


def test_files_come_in_the_order_that_people_mean(tmp_path):
    names = ["m_10.tif", "m_9.tif", "m_1.tif", "m_100.tif"]
    ordered = in_order([tmp_path / name for name in names])
    assert [p.name for p in ordered] == ["m_1.tif", "m_9.tif", "m_10.tif", "m_100.tif"]


GAPS = [
    pytest.param(["a1", "a2", "a4"], 3, id="gap"),
    pytest.param(["a1", "a2", "a3"], None, id="none"),
    pytest.param(["t0", "t10", "t20", "t40"], 30, id="in tens"),
    pytest.param(["s1_c488", "s2_c488", "s4_c488"], 3, id="beside a fixed number"),
    pytest.param(["a1", "b7", "c9"], None, id="no series by letters"),
    pytest.param(["a", "b", "d"], None, id="no numbers"),
    pytest.param(["a1", "a9"], None, id="two say nothing"),
    pytest.param(["x1y1", "x2y4", "x3y9"], None, id="two numbers move"),
]


@pytest.mark.parametrize(("names", "missing"), GAPS)
def test_a_number_left_out_of_names_is_found(names, missing):
    assert missing_number(names) == missing


def test_frames_stream_in_order_for_any_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("her2sr_proc.offline.stacks.MAX_BLOCK_FRAMES", 3)
    frames = counts(20)
    movie = open_movie(write(tmp_path / "m.tif", frames))
    told = []
    for jobs in (1, 3):
        spent = Spent()
        got = stream(
            movie,
            lambda some, first: some + np.uint16(first),
            jobs=jobs,
            progress=lambda *done: told.append(done),
            spent=spent,
        )
        shift = np.arange(20) // 3 * 3
        wanted = frames + shift[:, None, None].astype(np.uint16)
        np.testing.assert_array_equal(np.concatenate(list(got)), wanted)
        assert spent.input_s > 0
    assert told[-1] == (20, 20)
    movie.close()


def test_no_more_than_a_few_blocks_are_read_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr("her2sr_proc.offline.stacks.MAX_BLOCK_FRAMES", 1)
    movie = open_movie(write(tmp_path / "m.tif", counts(50)))
    read = []

    class Watched:
        shape, dtype = movie.shape, movie.dtype

        def read(self, start, stop):
            read.append(start)
            return movie.read(start, stop)

        def close(self):
            movie.close()

    out = stream(Watched(), unchanged, jobs=2, progress=lambda *_: None, spent=Spent())
    for taken in range(1, 10):
        next(out)
        assert len(read) <= taken + 4
    out.close()
    movie.close()


def test_a_block_has_a_frame_however_large_it_is():
    class Huge:
        shape, dtype = (3, 100_000, 100_000), COUNTS

    assert list(blocks(Huge())) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_stack_reads_as_it_was_written(tmp_path, name, dtype):
    frames = counts().astype(dtype)
    facts = StackFacts(pixel_um=0.13, interval_s=0.03, name="m", note="a step")
    path = write(tmp_path / name, frames, facts)
    np.testing.assert_array_equal(frames_of(path), frames)
    assert frames_of(path).dtype == dtype
    back = read_facts(path)
    assert (back.pixel_um, back.interval_s) == pytest.approx((0.13, 0.03), rel=1e-6)
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej is (name == "m.tif")
        assert file.is_ome is (name == "m.ome.tif")
        assert len(file.pages) == 10
        text = file.pages.first.description + str(file.imagej_metadata)
    assert text.count(BANNER) == 1
    assert "a step" in text


def test_a_stack_without_room_in_a_classic_tiff_is_an_ome_bigtiff(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(stack, "CLASSIC_BYTES", 100)
    path = write(tmp_path / "m.tif", counts(), StackFacts(pixel_um=0.1))
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        assert file.is_ome
    np.testing.assert_array_equal(frames_of(path), counts())
    assert read_facts(path).pixel_um == pytest.approx(0.1)


def test_ome_metadata_goes_with_the_frames_that_are_kept(tmp_path):
    path, out = tmp_path / "m.tif", tmp_path / "k.tif"
    frames = ome_movie(path)
    facts = read_facts(path)
    assert (facts.pixel_um, facts.interval_s) == pytest.approx((0.13, 0.03))
    kept = range(1, 10, 3)
    write(out, frames[1:10:3], facts.of(kept))
    root, pixels = pixels_of(out)
    sizes = [pixels.get(f"Size{axis}") for axis in "XYZCT"]
    assert sizes == ["17", "12", "1", "1", "3"]
    planes = pixels.findall("{*}Plane")
    assert [(p.get("TheT"), p.get("DeltaT")) for p in planes] == [
        ("0", "0.1"),
        ("1", "0.4"),
        ("2", "0.7"),
    ]
    assert float(pixels.get("TimeIncrement")) == pytest.approx(0.09)
    assert pixels.find("{*}Channel").get("EmissionWavelength") == "520"
    assert root.find("{*}Experimenter").get("LastName") == "Somebody"
    assert root.get("UUID") is None
    assert [c.tag.rpartition("}")[2] for c in root.find("{*}Image")] == [
        "AcquisitionDate",
        "Description",
        "Pixels",
    ]
    np.testing.assert_array_equal(frames_of(out), frames[1:10:3])


def test_nothing_but_scale_and_interval_is_left_of_scrubbed_metadata(tmp_path):
    path, out = tmp_path / "S12-3456.tif", tmp_path / "k.ome.tif"
    frames = ome_movie(path)
    write(out, frames, read_facts(path).scrubbed())
    data = out.read_bytes()
    for word in (b"3456", b"Somebody", b"2023", b"block A", b"Scope"):
        assert word not in data
    assert read_facts(out).pixel_um == pytest.approx(0.13)
    assert read_facts(out).interval_s == pytest.approx(0.03)


def test_imagej_labels_and_text_go_with_the_frames(tmp_path):
    labels = tuple(f"slice {n}" for n in range(10))
    facts = StackFacts(info="stain B", labels=labels)
    path = write(tmp_path / "m.tif", counts(), facts)
    back = read_facts(path)
    assert back.labels == labels
    assert back.info == "stain B"
    assert back.of(range(2, 9, 3)).labels == ("slice 2", "slice 5", "slice 8")
    scrubbed = write(tmp_path / "s.tif", counts(), back.scrubbed())
    assert b"stain" not in scrubbed.read_bytes()
    assert b"slice 1" not in scrubbed.read_bytes()


def test_broken_ome_xml_is_left_out_and_the_frames_are_not(tmp_path):
    path = tmp_path / "m.ome.tif"
    text = OME.replace("</Pixels>", "").encode()
    tifffile.imwrite(path, counts(), metadata=None, description=text)
    assert read_facts(path).ome is None


def test_frames_apart_are_numbered_from_one_and_come_back_in_order(tmp_path):
    frames = counts(12)
    folder = tmp_path / "frames"
    write_frames(folder, [frames[:5], frames[5:]], StackFacts(), stem="m", count=12)
    names = sorted(p.name for p in folder.iterdir())
    assert (names[0], names[-1]) == ("m-0001.tif", "m-0012.tif")
    np.testing.assert_array_equal(frames_of(folder), frames)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a b.ome.tif", "a_b"), ("488.ome.zarr", "488"), ("x.npy", "x"), ("m.tif", "m")],
)
def test_a_movie_s_name_is_fit_for_files(tmp_path, name, stem):
    assert stem_of(tmp_path / name) == stem


def broken_after(frames):
    yield frames[:5]
    raise MovieError("page 6 is truncated")


def test_a_movie_that_breaks_leaves_no_stack_and_what_stood_there_stays(tmp_path):
    out, folder = tmp_path / "m.tif", tmp_path / "frames"
    out.write_text("before")
    with pytest.raises(MovieError, match="page 6"):
        write_stack(
            out, broken_after(counts()), (10, 12, 17), StackFacts(), dtype=COUNTS
        )
    with pytest.raises(MovieError, match="page 6"):
        write_frames(folder, broken_after(counts()), StackFacts(), stem="m", count=10)
    assert out.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(WriteError, match="No space left"):
        write(tmp_path / "m.tif", counts())
    assert not list(tmp_path.iterdir())


def test_a_resolution_in_dots_per_inch_is_no_scale_of_a_microscope(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(
        path, counts(), metadata=None, resolution=(1, 1), resolutionunit="INCH"
    )
    assert read_facts(path).pixel_um is None
    tifffile.imwrite(
        path, counts(), metadata=None, resolution=(76923, 76923), resolutionunit=3
    )
    assert read_facts(path).pixel_um == pytest.approx(0.13, rel=1e-4)


def test_a_text_of_units_is_read_in_every_spelling(tmp_path):
    for unit, factor in (("um", 1), ("\\u00B5m", 1), ("micron", 1), ("nm", 1e-3)):
        path = tmp_path / f"{len(unit)}{re.sub(r'[^a-z]', '', unit)}.tif"
        tifffile.imwrite(
            path,
            counts(),
            imagej=True,
            metadata={"axes": "TYX", "unit": unit},
            resolution=(factor / 0.13, factor / 0.13),
        )
        assert read_facts(path).pixel_um == pytest.approx(0.13, rel=1e-4), unit


def raw_movie(tmp_path, form):
    """Return the path and the frames of one unit of a run."""
    frames = np.random.default_rng(0).integers(1, 900, (6, 16, 16)).astype(np.uint16)
    run = make_run(tmp_path / "run", frames={"561": 6}, size=16)
    unit = add_unit(run, "561", frames, block=3, form=form)
    return run.raw(unit, form), frames


def test_raw_frames_of_a_run_tell_their_scale(tmp_path):
    path, frames = raw_movie(tmp_path, "ome-zarr")
    facts = read_facts(path)
    assert (facts.pixel_um, facts.interval_s) == pytest.approx((0.13, 0.03))
    out = tmp_path / "k.tif"
    write(out, frames_of(path)[2:], facts.of(range(2, 6)))
    np.testing.assert_array_equal(frames_of(out), frames[2:])
    assert read_facts(out).pixel_um == pytest.approx(0.13)


def test_a_raw_tiff_that_shows_no_page_yet_says_nothing_of_its_scale(tmp_path):
    path, frames = raw_movie(tmp_path, "ome-tiff")
    assert read_facts(path) == StackFacts(name="561")
    np.testing.assert_array_equal(frames_of(path), frames)


@pytest.mark.parametrize("is_imagej", [True, False], ids=["ImageJ", "tifffile"])
def test_a_stack_that_lacks_its_last_page_is_told_by_numbers(tmp_path, is_imagej):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, counts(), imagej=is_imagej, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as file:
        offset = file.pages[8].offset  # of the directory that names the last one
    data = bytearray(path.read_bytes())
    entries = int.from_bytes(data[offset : offset + 2], "little")
    after = offset + 2 + 12 * entries
    data[after : after + 4] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(MovieError, match="9 of 10 frames are there"):
        open_movie(path)
