"""Deep Zoom and OME-Zarr of pictures at many scales: what viewers find in them."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scattered import drawing_of, put, scattered, table, whole

from her2sr_proc.errors import RequestError
from her2sr_proc.pyramid.making import make
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.levels import Tile, Tiling
from her2sr_proc.schema.pyramid import PyramidFacts
from her2sr_proc.store import deepzoom, ngff
from her2sr_proc.store.atomic import replacing_folder
from her2sr_proc.store.images import palette
from her2sr_proc.store.rectangles import rectangles

SIZE = {"height_px": 100, "width_px": 150}
DZI = "{http://schemas.microsoft.com/deepzoom/2008}"


def facts_of(drawing, **changes) -> PyramidFacts:
    levels = drawing.levels
    known = {
        "source": "locs.parquet",
        "channel": None,
        "method": "gaussian",
        "pixel_nm": levels.pixel_nm,
        "levels": levels.count,
        "height_px": levels.height_px,
        "width_px": levels.width_px,
        "space": "table",
        "left_um": -0.065,
        "top_um": -0.065,
        "localizations": 9,
        "drawn": 9,
        "white_per_um2": 400.0,
        "gamma": 0.4,
        "colour": "hot",
    }
    return PyramidFacts(**(known | changes))


def written(store, path, drawing, **changes):
    facts = facts_of(drawing, **changes)
    with store.writing(path, drawing.levels, facts) as writer:
        make(drawing, writer, jobs=2, progress=lambda done, total: None)
    return path


def drawing_for(store):
    """Light in the upper left part alone, in tiles as a format has them, but small."""
    rows = scattered(1, 300, height_px=60, width_px=60)
    tiling = Tiling(64, store.TILING.overlap_px)
    return drawing_of(rows, **SIZE, pixel_nm=20.0, tiling=tiling)


@pytest.fixture(scope="module")
def drawing():
    return drawing_for(deepzoom)


@pytest.fixture(scope="module")
def dzi(drawing, tmp_path_factory):
    return written(deepzoom, tmp_path_factory.mktemp("dzi") / "sr.dzi", drawing)


def opened(path):
    """A .dzi as OpenSeadragon 6.1 reads it: size, tile, overlap, rectangles."""
    root = ET.parse(path).getroot()
    assert root.tag == f"{DZI}Image"
    size = root.find(f"{DZI}Size")
    rects = [
        [int(place.get(n)) for n in ("X", "Y", "Width", "Height")]
        + [int(rect.get("MinLevel")), int(rect.get("MaxLevel"))]
        for rect in root.iter(f"{DZI}DisplayRect")
        for place in rect.iter(f"{DZI}Rect")
    ]
    numbers = [int(root.get(n)) for n in ("TileSize", "Overlap")]
    return int(size.get("Height")), int(size.get("Width")), *numbers, rects


def exists(rects, side, finest, level, column, row) -> bool:
    """Whether OpenSeadragon asks for a tile: any rectangle of its level touches it."""
    mine = [r for r in rects if r[4] <= level <= r[5]]
    scale = 0.5 ** (finest - level)
    return not mine or any(
        x * scale // side <= column < -(-(x + w) * scale // side)
        and y * scale // side <= row < -(-(y + h) * scale // side)
        for x, y, w, h, _, _ in mine
    )


def test_a_viewer_asks_for_the_tiles_that_are_there_and_for_no_others(dzi):
    height, width, side, overlap, rects = opened(dzi)
    assert (side, overlap) == (64, 1)
    finest = (max(height, width) - 1).bit_length()
    missing = 0
    for level in range(finest + 1):
        shape = [-(-n >> (finest - level)) for n in (-height, -width)]
        shape = [-n for n in shape]
        for row in range(-(-shape[0] // side)):
            for column in range(-(-shape[1] // side)):
                name = deepzoom.files_of(dzi) / str(level) / f"{column}_{row}.png"
                asked = exists(rects, side, finest, level, column, row)
                assert name.exists() == asked, name
                missing += not asked
    assert missing > 50


def test_tiles_have_the_sizes_that_a_viewer_expects(dzi):
    height, width, side, overlap, _ = opened(dzi)
    finest = (max(height, width) - 1).bit_length()
    for path in deepzoom.files_of(dzi).glob("*/*.png"):
        size = [
            max(1, -(-n // 2 ** (finest - int(path.parent.name))))
            for n in (width, height)
        ]
        at = [int(n) for n in path.stem.split("_")]
        expected = tuple(
            min(n, (k + 1) * side + overlap) - max(0, k * side - overlap)
            for n, k in zip(size, at, strict=True)
        )
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == (expected, "P")


def shades(path, drawing, level):
    """The shades of one level, put together from its PNG tiles."""
    finest = (max(drawing.levels.shape_at(0)) - 1).bit_length()
    image = np.zeros(drawing.levels.shape_at(level), np.uint8)
    for name in (deepzoom.files_of(path) / str(finest - level)).glob("*.png"):
        column, row = (int(n) for n in name.stem.split("_"))
        with Image.open(name) as picture:
            put(image, drawing.levels, Tile(level, row, column), np.asarray(picture))
    return image


def test_one_density_has_one_shade_in_all_tiles_of_all_levels(dzi, drawing):
    for level in drawing.levels:
        area_um2 = (drawing.levels.pixel_nm_at(level) / 1000) ** 2
        density = whole(drawing, level) / area_um2
        expected = 255 * np.minimum(density / 400.0, 1) ** 0.4
        assert np.abs(shades(dzi, drawing, level) - expected).max() < 0.51


def test_tiles_agree_where_they_overlap(dzi, drawing):
    finest = (max(drawing.levels.shape_at(0)) - 1).bit_length()
    folder = deepzoom.files_of(dzi) / str(finest)
    with Image.open(folder / "0_0.png") as a, Image.open(folder / "1_0.png") as b:
        left, right = np.asarray(a), np.asarray(b)
    np.testing.assert_array_equal(left[:, -2:], right[:, :2])
    assert left[:, -2:].any()


def test_tiles_have_the_colours_asked_for_and_say_what_they_are_for(drawing, tmp_path):
    path = written(deepzoom, tmp_path / "g.dzi", drawing, colour="green")
    name = sorted(deepzoom.files_of(path).glob("*/0_0.png"))[0]
    with Image.open(name) as picture:
        assert picture.text["Comment"] == BANNER
        np.testing.assert_array_equal(
            np.reshape(picture.getpalette(), (-1, 3)), palette("green")
        )


def test_thumbnails_are_means_down_to_a_single_pixel(dzi, drawing):
    coarsest = drawing.levels.count - 1
    pixel_um = drawing.levels.pixel_nm_at(coarsest) / 1000
    mean = whole(drawing, coarsest).sum() / pixel_um**2
    finest = (max(drawing.levels.shape_at(0)) - 1).bit_length()
    mean /= 4 ** (finest - coarsest)
    with Image.open(deepzoom.files_of(dzi) / "0" / "0_0.png") as picture:
        assert picture.size == (1, 1)
        expected = 255 * (mean / 400) ** 0.4
        assert picture.getpixel((0, 0)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("store", [deepzoom, ngff], ids=["dzi", "zarr"])
def test_a_picture_without_light_is_a_picture(store, tmp_path):
    tiling = Tiling(64, store.TILING.overlap_px)
    dark = drawing_of(table([], []), **SIZE, tiling=tiling)
    path = written(store, tmp_path / "dark.x", dark)
    if store is ngff:
        assert not zarr.open_group(path, mode="r")["0"][:].any()
        return
    *_, rects = opened(path)
    finest = (max(dark.levels.shape_at(0)) - 1).bit_length()
    assert not exists(rects, 64, finest, finest, 0, 0)
    levels = finest - dark.levels.count + 2  # the coarsest, and its thumbnails
    assert len(list(deepzoom.files_of(path).glob("*/*.png"))) == levels == 7


@pytest.fixture(scope="module")
def omezarr(drawing, tmp_path_factory):
    chunked = drawing_for(ngff)
    path = tmp_path_factory.mktemp("zarr") / "sr.ome.zarr"
    return written(ngff, path, chunked), chunked


def test_the_metadata_are_those_of_ngff_04(omezarr):
    path, drawing = omezarr
    yaozarrs.validate_zarr_store(str(path))
    attributes = json.loads((path / ".zattrs").read_text())
    image = yaozarrs.validate_ome_json(json.dumps(attributes), yaozarrs.v04.Image)
    (scales,) = image.multiscales
    assert [axis.name for axis in scales.axes] == ["c", "y", "x"]
    assert len(scales.datasets) == drawing.levels.count
    assert attributes["omero"]["channels"][0]["window"]["end"] == 400.0
    assert attributes["her2sr"]["banner"] == BANNER


def test_numbers_are_densities_and_dark_chunks_are_not_stored(omezarr):
    path, drawing = omezarr
    group = zarr.open_group(path, mode="r")
    for level in drawing.levels:
        array = group[str(level)]
        assert array.chunks == (1, 64, 64)
        area_um2 = (drawing.levels.pixel_nm_at(level) / 1000) ** 2
        expected = whole(drawing, level) / area_um2
        np.testing.assert_allclose(array[0], expected, rtol=1e-5, atol=1e-5)
    chunks = [p for p in (path / "0").rglob("*") if p.is_file() and p.name != ".zarray"]
    assert 0 < len(chunks) < 0.5 * np.prod(drawing.levels.grid_at(0))


def test_every_level_puts_a_localization_at_its_nanometres(tmp_path):
    size = {"height_px": 60, "width_px": 100}
    rows = table([4321.0], [1234.5], 40.0)
    drawing = drawing_of(rows, **size, pixel_nm=5.0, tiling=Tiling(512, 0))
    path = written(ngff, tmp_path / "one.ome.zarr", drawing)
    group = zarr.open_group(path, mode="r")
    (scales,) = group.attrs["multiscales"]
    assert len(scales["datasets"]) == 4
    for dataset in scales["datasets"]:
        scale, shift = dataset["coordinateTransformations"]
        image = group[dataset["path"]][0].astype(np.float64)
        for axis, place_nm in ((1, 1234.5), (2, 4321.0)):
            shares = image.sum(axis=2 - axis)
            centroid = np.arange(shares.size) @ shares / shares.sum()
            um = centroid * scale["scale"][axis] + shift["translation"][axis]
            assert um * 1000 == pytest.approx(place_nm, abs=0.05)


def content(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def torn(store, path, drawing):
    tile = Tile(0, 0, 0)
    with store.writing(path, drawing.levels, facts_of(drawing)) as writer:
        writer.put(tile, np.ones(drawing.levels.box(tile).shape, np.float32))
        raise OSError("the disk is full")


@pytest.mark.parametrize(
    ("store", "name"), [(deepzoom, "sr.dzi"), (ngff, "sr.ome.zarr")]
)
def test_a_picture_that_fails_half_way_leaves_what_stood_there(store, name, tmp_path):
    drawing = drawing_for(store)
    path = written(store, tmp_path / name, drawing)
    before = content(tmp_path)
    assert len(before) > 30
    with pytest.raises(OSError, match="disk"):
        torn(store, path, drawing)
    assert content(tmp_path) == before
    written(store, path, drawing, white_per_um2=50.0)
    after = content(tmp_path)
    assert after.keys() == before.keys()
    assert after != before


def test_nobody_opens_new_tiles_by_an_old_description(tmp_path):
    announcement, folder = tmp_path / "a.dzi", tmp_path / "a_files"
    announcement.touch()
    folder.mkdir()
    (folder / "old").touch()
    with replacing_folder(folder, announced_by=announcement) as beside:
        (beside / "new").touch()
        assert announcement.exists()
        assert (folder / "old").exists()
    assert not announcement.exists()
    assert [p.name for p in tmp_path.rglob("*")] == ["a_files", "new"]


@pytest.mark.parametrize(
    ("store", "name", "folder"),
    [(deepzoom, "x.dzi", "x_files"), (ngff, "x.ome.zarr", "x.ome.zarr")],
)
def test_a_folder_of_something_else_is_not_replaced(store, name, folder, tmp_path):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "thesis.txt").touch()
    with pytest.raises(RequestError, match="is in the way"):
        store.require_place(tmp_path / name)
    store.require_place(tmp_path / f"other{name}")


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_rectangles_cover_every_place_once_and_no_other(places):
    covered = [
        (row, column)
        for r in rectangles(places)
        for row in range(r.top, r.bottom)
        for column in range(r.left, r.right)
    ]
    assert sorted(covered) == sorted(places)


def test_a_full_grid_is_one_rectangle():
    full = [(row, column) for row in range(7) for column in range(9)]
    assert rectangles(full) == [(0, 0, 7, 9)]
