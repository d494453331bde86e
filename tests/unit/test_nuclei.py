"""Nuclei are found, parted, described and, where they must be, refused."""

import numpy as np
import pytest
from scipy import ndimage

from her2sr_proc.errors import DataError
from her2sr_proc.nuclei import Exclusion, describe, outline
from her2sr_proc.schema.count_params import NucleiParams
from her2sr_proc.segmentation.choice import segment

PIXEL_UM = 0.13
PARAMS = NucleiParams()
SHAPE = (256, 256)
WITHIN = {"network": 0.08, "classical": 0.05}
"""Of an area. The network draws outlines a pixel wider, as its annotators did."""


def dapi(*discs, level=40.0, seed=3):
    """Noisy discs: (y, x, radius) in pixels, as seen by a counting camera."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 8.0)
    for cy, cx, radius in discs:
        image += level / (1 + np.exp(np.hypot(y - cy, x - cx) - radius))
    return np.random.default_rng(seed).poisson(image * 10).astype(np.float32) / 10


@pytest.fixture(params=["network", "classical"])
def params(request):
    return NucleiParams(method=request.param)


@pytest.fixture
def nuclei(params):
    def find(image):
        labels = segment(image, pixel_um=PIXEL_UM, params=params).labels
        return labels, describe(labels, image, pixel_um=PIXEL_UM, params=params)

    return find


def test_nuclei_apart_are_found_where_they_are(nuclei, params):
    labels, found = nuclei(dapi((60, 70, 38), (180, 170, 42)))
    assert labels.dtype == np.int32
    places = [(n.y_px, n.x_px) for n in found]
    np.testing.assert_allclose(places, [(60, 70), (180, 170)], atol=1.0)
    areas = [n.area_um2 for n in found]
    np.testing.assert_allclose(
        areas, np.pi * (np.array([38, 42]) * PIXEL_UM) ** 2, rtol=WITHIN[params.method]
    )
    assert all(n.exclusion_reason == "" for n in found)


def test_touching_nuclei_are_parted(nuclei):
    labels, found = nuclei(dapi((128, 80, 40), (128, 156, 38)))
    assert len(found) == 2
    assert labels[128, 80] != labels[128, 156]


def test_a_faint_thin_nucleus_beside_bright_ones_keeps_its_size(nuclei):
    bright = dapi((70, 70, 38), (70, 190, 38))
    faint = dapi((190, 130, 34), level=9.0, seed=4) - 8.0
    _, found = nuclei(bright + faint)
    assert len(found) == 3
    area = min(found, key=lambda n: abs(n.y_px - 190)).area_um2
    assert area == pytest.approx(np.pi * (34 * PIXEL_UM) ** 2, rel=0.1)


def test_one_long_nucleus_is_not_parted(nuclei):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = ((y - 128) / 30) ** 2 + ((x - 128) / 46) ** 2 < 1
    _, found = nuclei(np.where(inside, 50.0, 8.0).astype(np.float32))
    assert len(found) == 1


def test_a_nucleus_at_the_border_is_excluded_by_name(nuclei):
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
def test_an_empty_field_has_no_nuclei(seed, nuclei):
    labels, found = nuclei(dapi(seed=seed))
    assert not labels.any()
    assert found == []


def test_a_sharp_nucleus_has_more_quality_than_a_blurred_one(nuclei):
    sharp = dapi((128, 128, 40))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    blurred = 8 + 40 * np.exp(-(((y - 128) ** 2 + (x - 128) ** 2) / 2 / 40**2))
    (_, (first,)), (_, (second,)) = nuclei(sharp), nuclei(blurred.astype(np.float32))
    assert first.quality > 0.7 > second.quality


def test_the_outline_runs_round_the_nucleus(nuclei):
    labels, _ = nuclei(dapi((128, 100, 40)))
    path = outline(labels, 1)
    np.testing.assert_array_equal(path[0], path[-1])
    radius = np.hypot(path[:, 0] - 128, path[:, 1] - 100)
    # the network draws a pixel wider, as its annotators did; corners stick out
    np.testing.assert_allclose(radius, 40, atol=2.5)
    assert radius.mean() == pytest.approx(40, abs=1.5)


def two_discs(*, apart):
    """Light of two discs that adds up where they lie over each other."""
    image, labels = np.full(SHAPE, 8.0), np.zeros(SHAPE, np.int32)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for label, centre in enumerate((128 - apart / 2, 128 + apart / 2), 1):
        away = np.hypot(y - 128, x - centre)
        image += 40 / (1 + np.exp(away - 36))
        labels[(away < 36) & ((x < 128) == (label == 1))] = label
    return labels, image.astype(np.float32)


@pytest.mark.parametrize(("apart", "reason"), [(74, ""), (56, Exclusion.OVERLAPPED)])
def test_nuclei_over_each_other_are_told_from_touching_ones(apart, reason):
    labels, image = two_discs(apart=apart)
    found = describe(labels, image, pixel_um=PIXEL_UM, params=PARAMS)
    assert [n.exclusion_reason for n in found] == [reason, reason]


@pytest.mark.parametrize(("sigma_px", "reason"), [(2, ""), (10, Exclusion.BLURRED)])
def test_a_nucleus_out_of_focus_is_excluded_by_name(sigma_px, reason):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.hypot(y - 128, x - 128) < 36
    image = ndimage.gaussian_filter(8 + 40.0 * inside, sigma_px).astype(np.float32)
    (found,) = describe(
        inside.astype(np.int32), image, pixel_um=PIXEL_UM, params=PARAMS
    )
    assert found.exclusion_reason == reason


@pytest.mark.parametrize("light", [0.0, -40.0])
def test_what_is_no_brighter_than_the_background_is_not_scored(light):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.hypot(y - 128, x - 128) < 36
    image = (50.0 + light * inside).astype(np.float32)
    (found,) = describe(
        inside.astype(np.int32), image, pixel_um=PIXEL_UM, params=PARAMS
    )
    assert found.exclusions == (Exclusion.DARK,)
    assert found.quality == 0.0


NO_IMAGES = [
    pytest.param(np.full(SHAPE, np.nan), "65536 pixels that are no numbers", id="nan"),
    pytest.param(
        np.where(np.eye(256, k=255) > 0, np.inf, 1.0), "1 pixels that", id="infinite"
    ),
    pytest.param(np.zeros((3, 8, 8)), "one plane", id="a stack"),
    pytest.param(np.zeros((0, 0)), "one plane", id="empty"),
    pytest.param(np.zeros((1, 9)), "one plane", id="a row"),
]


@pytest.mark.parametrize(("image", "words"), NO_IMAGES)
def test_what_is_no_image_is_refused_and_not_called_empty(image, words, params):
    dark = image.astype(np.float32)
    with pytest.raises(DataError, match=words):
        segment(dark, pixel_um=PIXEL_UM, params=params)
    labels = np.ones(image.shape, np.int32)
    with pytest.raises(DataError, match=words):
        describe(labels, dark, pixel_um=PIXEL_UM, params=params)


def test_labels_of_another_image_are_not_judged():
    labels = np.ones((9, 9), np.int32)
    with pytest.raises(DataError, match=r"labels have shape \(9, 9\)"):
        describe(labels, np.ones((9, 8), np.float32), pixel_um=PIXEL_UM, params=PARAMS)


def test_every_reason_is_named():
    labels = np.zeros(SHAPE, np.int32)
    labels[0:12, 20:32] = 1
    (found,) = describe(labels, dapi((6, 26, 6)), pixel_um=PIXEL_UM, params=PARAMS)
    assert found.exclusions == (Exclusion.BORDER, Exclusion.SMALL)
    assert found.exclusion_reason == "touches the border of the frame; too small"


def test_each_fault_lowers_the_quality():
    labels, image = two_discs(apart=74)
    good = describe(labels, image, pixel_um=PIXEL_UM, params=PARAMS)
    over_labels, over = two_discs(apart=56)
    overlapped = describe(over_labels, over, pixel_um=PIXEL_UM, params=PARAMS)
    blurred = describe(
        labels, ndimage.gaussian_filter(image, 8), pixel_um=PIXEL_UM, params=PARAMS
    )
    strict = NucleiParams(minimum_area_um2=150.0)
    small = describe(labels, image, pixel_um=PIXEL_UM, params=strict)
    for worse in (overlapped, blurred, small):
        assert worse[0].quality < good[0].quality
