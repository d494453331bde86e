"""Nuclei are found, parted, described and, where they must be, refused."""

import numpy as np
import pytest

from her2sr_proc.nuclei import describe, outline, segment
from her2sr_proc.schema.params import NucleiParams

PIXEL_UM = 0.13
PARAMS = NucleiParams()
SHAPE = (256, 256)


def dapi(*discs, level=40.0, seed=3):
    """Noisy discs: (y, x, radius) in pixels, as seen by a counting camera."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 8.0)
    for cy, cx, radius in discs:
        image += level / (1 + np.exp(np.hypot(y - cy, x - cx) - radius))
    return np.random.default_rng(seed).poisson(image * 10).astype(np.float32) / 10


def nuclei(image):
    labels = segment(image, pixel_um=PIXEL_UM, params=PARAMS)
    return labels, describe(labels, image, pixel_um=PIXEL_UM, params=PARAMS)


def test_nuclei_apart_are_found_where_they_are():
    labels, found = nuclei(dapi((60, 70, 38), (180, 170, 42)))
    assert labels.dtype == np.int32
    places = [(n.y_px, n.x_px) for n in found]
    np.testing.assert_allclose(places, [(60, 70), (180, 170)], atol=1.0)
    areas = [n.area_um2 for n in found]
    np.testing.assert_allclose(
        areas, np.pi * (np.array([38, 42]) * PIXEL_UM) ** 2, rtol=0.05
    )
    assert all(n.exclusion_reason == "" for n in found)


def test_touching_nuclei_are_parted():
    labels, found = nuclei(dapi((128, 80, 40), (128, 156, 38)))
    assert len(found) == 2
    assert labels[128, 80] != labels[128, 156]


def test_a_faint_thin_nucleus_beside_bright_ones_keeps_its_size():
    bright = dapi((70, 70, 38), (70, 190, 38))
    faint = dapi((190, 130, 34), level=9.0, seed=4) - 8.0
    _, found = nuclei(bright + faint)
    assert len(found) == 3
    area = min(found, key=lambda n: abs(n.y_px - 190)).area_um2
    assert area == pytest.approx(np.pi * (34 * PIXEL_UM) ** 2, rel=0.1)


def test_one_long_nucleus_is_not_parted():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = ((y - 128) / 30) ** 2 + ((x - 128) / 46) ** 2 < 1
    _, found = nuclei(np.where(inside, 50.0, 8.0).astype(np.float32))
    assert len(found) == 1


def test_a_nucleus_at_the_border_is_excluded_by_name():
    _, found = nuclei(dapi((10, 128, 40), (150, 128, 40)))
    assert [n.exclusion_reason for n in found] == [
        "touches the border of the frame",
        "",
    ]


def test_small_and_ragged_nuclei_are_excluded_with_their_reason():
    labels = np.zeros(SHAPE, np.int32)
    labels[20:40, 20:40] = 1
    labels[100:180, 100:115] = 2
    labels[165:180, 100:180] = 2
    found = describe(labels, dapi(), pixel_um=PIXEL_UM, params=PARAMS)
    assert [n.exclusion_reason for n in found] == [
        "too small",
        "not convex: overlapping or torn",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_an_empty_field_has_no_nuclei(seed):
    labels, found = nuclei(dapi(seed=seed))
    assert not labels.any()
    assert found == []


def test_a_sharp_nucleus_has_more_quality_than_a_blurred_one():
    sharp = dapi((128, 128, 40))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    blurred = 8 + 40 * np.exp(-(((y - 128) ** 2 + (x - 128) ** 2) / 2 / 40**2))
    (_, (first,)), (_, (second,)) = nuclei(sharp), nuclei(blurred.astype(np.float32))
    assert first.quality > 0.7 > second.quality


def test_the_outline_runs_round_the_nucleus():
    labels, _ = nuclei(dapi((128, 100, 40)))
    path = outline(labels, 1)
    np.testing.assert_array_equal(path[0], path[-1])
    radius = np.hypot(path[:, 0] - 128, path[:, 1] - 100)
    np.testing.assert_allclose(radius, 40, atol=2)
