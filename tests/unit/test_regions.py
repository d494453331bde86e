"""Labels go to ImageJ and QuPath and come back, half a pixel where it belongs."""

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
import roifile
import tifffile

from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.store.regions import LARGEST_ROI_BYTES, read_labels, write_labels

SHAPE = (40, 60)


def labels():
    """A square, an L beside it, a diagonal pair of pixels, one with a hole."""
    image = np.zeros(SHAPE, np.int32)
    image[2:8, 3:9] = 1
    image[2:20, 9:12] = 2
    image[17:20, 9:30] = 2
    image[30, 5] = image[31, 6] = 3
    image[22:38, 40:58] = 4
    return image


@pytest.mark.parametrize("name", ["l.tif", "l.zip", "l.geojson"])
def test_labels_come_back_as_they_went(tmp_path, name):
    write_labels(tmp_path / name, labels(), pixel_nm=130.0)
    np.testing.assert_array_equal(read_labels(tmp_path / name, SHAPE), labels())


def test_a_nucleus_in_pieces_and_with_a_hole_keeps_both_in_geojson(tmp_path):
    image = labels()
    image[28:32, 46:50] = 0
    image[5, 50] = 4
    write_labels(tmp_path / "l.geojson", image, pixel_nm=130.0)
    np.testing.assert_array_equal(read_labels(tmp_path / "l.geojson", SHAPE), image)


def test_imagej_measures_from_the_corner_of_the_first_pixel(tmp_path):
    write_labels(tmp_path / "l.zip", labels(), pixel_nm=130.0)
    with zipfile.ZipFile(tmp_path / "l.zip") as archive:
        roi = roifile.ImagejRoi.frombytes(archive.read("nucleus 1.roi"))
    x, y = roi.coordinates().T
    # columns 3 to 8 and rows 2 to 7, whose centres lie half a pixel further
    assert (x.min(), x.max(), y.min(), y.max()) == (3.0, 9.0, 2.0, 8.0)


def test_qupath_measures_from_the_corner_of_the_first_pixel(tmp_path):
    write_labels(tmp_path / "l.geojson", labels(), pixel_nm=130.0)
    found = json.loads((tmp_path / "l.geojson").read_text())
    ring = np.array(found["features"][0]["geometry"]["coordinates"][0])
    assert ring.min(0).tolist() == [3.0, 2.0]
    assert ring.max(0).tolist() == [9.0, 8.0]
    np.testing.assert_array_equal(ring[0], ring[-1])


def rectangle(left, top, right, bottom, kind=roifile.ROI_TYPE.RECT):
    roi = roifile.ImagejRoi()
    roi.roitype, roi.name = kind, "drawn"
    roi.left, roi.top, roi.right, roi.bottom = left, top, right, bottom
    return roi


def archive(path, *rois):
    with zipfile.ZipFile(path, "w") as out:
        for number, roi in enumerate(rois):
            out.writestr(f"{number:04}.roi", roi.tobytes())


def test_a_rectangle_drawn_in_imagej_covers_its_pixels(tmp_path):
    archive(tmp_path / "r.zip", rectangle(10, 5, 14, 8))
    expected = np.zeros(SHAPE, np.int32)
    expected[5:8, 10:14] = 1
    np.testing.assert_array_equal(read_labels(tmp_path / "r.zip", SHAPE), expected)


def test_a_polygon_of_whole_corners_covers_its_pixels(tmp_path):
    corners = np.array([[10, 5], [14, 5], [14, 8], [10, 8]], np.int32)
    archive(tmp_path / "p.zip", roifile.ImagejRoi.frompoints(corners, name="p"))
    expected = np.zeros(SHAPE, np.int32)
    expected[5:8, 10:14] = 1
    np.testing.assert_array_equal(read_labels(tmp_path / "p.zip", SHAPE), expected)


def test_where_regions_overlap_the_first_keeps_the_pixel(tmp_path):
    archive(tmp_path / "o.zip", rectangle(0, 0, 10, 10), rectangle(5, 0, 20, 10))
    found = read_labels(tmp_path / "o.zip", SHAPE)
    assert [(found == k).sum() for k in (1, 2)] == [100, 100]


def test_a_float_label_image_of_whole_numbers_is_taken(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "f.tif", (labels() * 7).astype(np.float32))
    np.testing.assert_array_equal(read_labels(tmp_path / "f.tif", SHAPE), labels())


def feature(kind, coordinates):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}}


SQUARE = [[[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]]
FAR = [[[900, 900], [905, 900], [905, 905], [900, 900]]]


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(feature("Polygon", SQUARE), id="one feature"),
        pytest.param([feature("Polygon", SQUARE)], id="a list"),
        pytest.param({"features": [feature("MultiPolygon", [SQUARE])]}, id="multi"),
    ],
)
def test_every_form_of_qupaths_geojson_is_read(tmp_path, whole):
    (tmp_path / "q.geojson").write_text(json.dumps(whole))
    found = read_labels(tmp_path / "q.geojson", SHAPE)
    assert found[1:5, 1:5].all()
    assert found.sum() == 16


def raw_zip(name, content=b"nothing"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(name, content)
    return stream.getvalue()


WRONG = [
    pytest.param("a.zip", b"no zip", "no zip of ImageJ", id="no zip"),
    pytest.param("a.zip", raw_zip("a.txt"), "holds no .roi", id="no roi"),
    pytest.param("a.zip", raw_zip("a.roi"), "no zip of ImageJ", id="broken roi"),
    pytest.param("a.geojson", b"{", "no GeoJSON", id="no json"),
    pytest.param("a.geojson", b'{"features": []}', "no feature", id="nothing in it"),
    pytest.param(
        "a.geojson",
        json.dumps(feature("Point", [1, 2])).encode(),
        "Point",
        id="a point",
    ),
    pytest.param(
        "a.geojson",
        json.dumps(feature("Polygon", FAR)).encode(),
        "covers no pixel",
        id="of another image",
    ),
    pytest.param("a.tif", b"no tiff", "cannot be read", id="no tiff"),
    pytest.param("a.geojson", b"[" * 200_000, "no GeoJSON", id="too deep"),
    pytest.param(
        "a.geojson",
        json.dumps(feature("Polygon", [[[10**400, 1], [1, 2], [3, 3]]])).encode(),
        "no GeoJSON",
        id="a number beyond all bounds",
    ),
    pytest.param(
        "a.geojson",
        json.dumps(feature("Polygon", [[1, 2, 3]])).encode(),
        "no GeoJSON",
        id="numbers for points",
    ),
    pytest.param(
        "a.geojson",
        json.dumps(feature("Polygon", [[[1], [2], [3]]])).encode(),
        "no GeoJSON",
        id="half of each point",
    ),
    pytest.param(
        "a.geojson",
        json.dumps([feature("Polygon", SQUARE), feature("Polygon", SQUARE)]).encode(),
        "'feature 2' lies wholly under others",
        id="the same twice",
    ),
    pytest.param(
        "a.zip",
        raw_zip("a.roi", bytes(LARGEST_ROI_BYTES + 1)),
        "has more than",
        id="a bomb",
    ),
]


@pytest.mark.parametrize(("name", "content", "words"), WRONG)
def test_a_file_that_is_no_regions_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_labels(tmp_path / name, SHAPE)


def test_a_line_is_no_nucleus(tmp_path):
    archive(tmp_path / "l.zip", rectangle(1, 1, 5, 5, roifile.ROI_TYPE.LINE))
    with pytest.raises(DataError, match="is a line, not an area"):
        read_labels(tmp_path / "l.zip", SHAPE)


def test_labels_of_another_size_are_refused(tmp_path):
    write_labels(tmp_path / "l.tif", labels(), pixel_nm=130.0)
    with pytest.raises(DataError, match="40 x 60 pixels and the image 40 x 61"):
        read_labels(tmp_path / "l.tif", (40, 61))


def test_a_name_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"\.geojson for QuPath"):
        write_labels(tmp_path / "labels.png", labels(), pixel_nm=130.0)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full(SHAPE, 1e300), id="beyond whole numbers"),
        pytest.param(np.full(SHAPE, 2**63 + 5, np.uint64), id="beyond 32 bits"),
        pytest.param(np.ones(SHAPE, np.complex64), id="complex"),
        pytest.param(np.full(SHAPE, np.nan, np.float32), id="not a number"),
        pytest.param(np.full(SHAPE, -1, np.int16), id="below zero"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path, values):
    import tifffile

    tifffile.imwrite(tmp_path / "v.tif", values)
    with pytest.raises(DataError, match="is no label image"):
        read_labels(tmp_path / "v.tif", SHAPE)


def test_what_macos_puts_into_a_zip_is_passed_over(tmp_path):
    archive(tmp_path / "m.zip", rectangle(1, 1, 5, 5))
    with zipfile.ZipFile(tmp_path / "m.zip", "a") as out:
        out.writestr("__MACOSX/._0000.roi", b"\0\5\x16\7")
    assert (read_labels(tmp_path / "m.zip", SHAPE) > 0).sum() == 16


def test_geojson_with_the_mark_of_a_windows_editor_is_read(tmp_path):
    text = json.dumps(feature("Polygon", SQUARE))
    (tmp_path / "w.geojson").write_text(text, encoding="utf-8-sig")
    assert (read_labels(tmp_path / "w.geojson", SHAPE) > 0).sum() == 16


@pytest.mark.parametrize(
    "packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_damaged_anywhere_gives_labels_or_one_sentence(tmp_path, packing):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w", packing) as out:
        for n in range(3):
            box = rectangle(5 * n, 5 * n, 5 * n + 4, 5 * n + 4)
            out.writestr(f"{n}.roi", box.tobytes())
    whole, rng = path.read_bytes(), np.random.default_rng(3)
    for at in rng.integers(0, len(whole) - 2, 300).tolist():
        path.write_bytes(whole[:at] + rng.bytes(2) + whole[at + 2 :])
        with contextlib.suppress(DataError):
            assert read_labels(path, SHAPE).shape == SHAPE


def test_a_label_tiff_damaged_anywhere_gives_labels_or_one_sentence(tmp_path):
    path, rng = tmp_path / "l.tif", np.random.default_rng(4)
    tifffile.imwrite(path, np.arange(64, dtype=np.uint16).reshape(8, 8))
    whole = path.read_bytes()
    for at in range(8, len(whole)):
        for value in (0, *rng.bytes(2)):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            with contextlib.suppress(DataError):
                assert read_labels(path, (8, 8)).shape == (8, 8)
