"""Images as files: pixels and their size survive; previews show what is there."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.images import (
    PreviewStyle,
    read_tiff,
    write_preview,
    write_tiff,
)

RAMP = np.linspace(0, 500, 40 * 50).reshape(40, 50)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_a_tiff_keeps_its_pixels_and_their_size(tmp_path, dtype):
    path = tmp_path / "new" / "image.tif"
    write_tiff(path, RAMP.astype(dtype), pixel_nm=26.0)
    back = read_tiff(path)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, RAMP.astype(dtype))
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        pixels, cm = page.tags["XResolution"].value
        assert 1e7 * cm / pixels == pytest.approx(26.0, rel=1e-4)
        assert page.tags["ResolutionUnit"].value == 3
        assert BANNER in page.description


@pytest.mark.parametrize("image", [RAMP, RAMP.astype("u2")[None], RAMP > 3])
def test_what_a_tiff_cannot_hold_is_refused(tmp_path, image):
    with pytest.raises(RequestError, match="cannot be written as TIFF"):
        write_tiff(tmp_path / "x.tif", image, pixel_nm=26.0)
    assert not (tmp_path / "x.tif").exists()


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "x.tif").write_bytes(b"no image")
    with pytest.raises(DataError, match="cannot be read as TIFF"):
        read_tiff(tmp_path / "x.tif")
    stack = np.zeros((3, 4, 5), np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    with pytest.raises(DataError, match="one plane"):
        read_tiff(tmp_path / "stack.tif")


def test_page_directories_that_run_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((4, 5), np.uint16))
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    at = first + 2 + 12 * entries
    data[at : at + 4] = first.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DataError, match="runs in a circle"):
        read_tiff(path)


def preview(tmp_path, image, **style) -> np.ndarray:
    write_preview(tmp_path / "p.png", image, PreviewStyle(**style))
    with Image.open(tmp_path / "p.png") as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    ("colour", "strongest"), [("red", 0), ("green", 1), ("blue", 2)]
)
def test_a_preview_has_the_colour_of_its_channel(tmp_path, colour, strongest):
    shown = preview(tmp_path, RAMP, colour=colour)
    assert shown.shape == (40, 50, 3)
    middle = shown[20, 25].astype(int)
    assert middle.argmax() == strongest
    assert shown[0, 0].max() == 0
    assert shown[-1, -1].min() > 200


def test_a_single_bright_pixel_does_not_darken_the_rest(tmp_path):
    image = RAMP.copy()
    image[3, 3] = 1e9
    assert preview(tmp_path, image)[20, 25, 0] > 100


def test_a_sparse_image_is_visible(tmp_path):
    image = np.zeros((60, 60), np.float32)
    image[10:14, 10:14] = 0.01
    shown = preview(tmp_path, image)
    assert shown[12, 12, 0] > 200
    assert shown[40, 40, 0] == 0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_image_of_nothing_is_black(tmp_path, value):
    assert preview(tmp_path, np.full((9, 9), value)).max() == 0


def test_large_images_are_reduced_by_averaging(tmp_path):
    assert preview(tmp_path, np.ones((500, 300)), longest_px=100).shape == (100, 60, 3)


@pytest.mark.parametrize(("pixel_nm", "bar_px"), [(100.0, 100), (20.0, 100)])
def test_the_scale_bar_has_the_length_it_says(tmp_path, pixel_nm, bar_px):
    width = 430 if pixel_nm == 100 else 450
    shown = preview(tmp_path, np.zeros((300, width)), pixel_nm=pixel_nm)
    rows = (shown.min(axis=2) == 255).sum(axis=1)
    bottom = rows[260:]
    assert bottom.max() == pytest.approx(bar_px, abs=3)


def test_a_preview_carries_the_banner(tmp_path):
    preview(tmp_path, RAMP)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.text["Comment"] == BANNER
