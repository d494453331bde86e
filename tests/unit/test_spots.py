"""Spots of every width are found, measured and told apart, in light and in variance."""

import numpy as np
import pytest
from scipy import ndimage

from her2sr_proc.schema.count_params import SpotParams
from her2sr_proc.spots import Optics, Spots, TwoScales, draw, find_spots, noise_of

FINE_PX, COARSE_PX, BLOB_PX = 1.0, 2.0, 0.65
SHAPE = (96, 96)
PARAMS = SpotParams()


def spots(*rows):
    """Rows of y, x, width and strength, in pixels."""
    y, x, width, strength = np.array(rows, float).T
    return Spots(y, x, width**2, strength, np.zeros(len(y)))


def seen(truth, power, noise=0.0, seed=4):
    """What the counter is given: both scales of an image, with noise in each."""
    optics = Optics(power, BLOB_PX)
    generator = np.random.default_rng(seed)
    images = [
        draw(truth, SHAPE, smooth, optics) + noise * generator.normal(size=SHAPE)
        for smooth in (FINE_PX, COARSE_PX)
    ]
    return TwoScales(*images, FINE_PX, COARSE_PX, optics)


def matched(found, truth):
    """Return the found spot nearest to each true one, and its distance."""
    gap = np.hypot(truth.y_px[:, None] - found.y_px, truth.x_px[:, None] - found.x_px)
    return found.take(gap.argmin(axis=1)), gap.min(axis=1)


ONE_OF_EACH = spots((20, 20, 0.7, 1e5), (24, 70, 1.6, 1e5), (70, 40, 3.5, 1e5))


@pytest.mark.parametrize("power", [1, 2])
def test_position_width_and_strength_come_back(power):
    image = seen(ONE_OF_EACH, power)
    noisy = seen(ONE_OF_EACH, power, noise=float(image.coarse.max()) / 5000)
    found = find_spots(noisy, PARAMS)
    assert len(found) == 3
    nearest, gap = matched(found, ONE_OF_EACH)
    assert gap.max() < 0.2
    np.testing.assert_allclose(
        np.sqrt(nearest.width_px2), np.sqrt(ONE_OF_EACH.width_px2), rtol=0.15
    )
    np.testing.assert_allclose(nearest.strength, ONE_OF_EACH.strength, rtol=0.15)


@pytest.mark.parametrize("power", [1, 2])
def test_strength_does_not_depend_on_focus(power):
    strengths = []
    for width in (0.6, 1.2, 2.4, 3.6):
        truth = spots((48, 48, width, 5e4))
        (strength,) = find_spots(seen(truth, power, noise=1e-3), PARAMS).strength
        strengths.append(strength)
    np.testing.assert_allclose(strengths, 5e4, rtol=0.1)


def test_a_wide_spot_beside_a_bright_narrow_one_is_found():
    truth = spots((48, 48, 0.7, 5e4), (48, 52.5, 3.0, 5e4))
    image = seen(truth, 2, noise=0.3)
    alone = draw(truth.take(np.array([1])), SHAPE, FINE_PX, image.optics).max()
    assert image.fine.max() > 30 * alone
    _, gap = matched(find_spots(image, PARAMS), truth)
    assert gap.max() < 1.5


def test_two_sharp_spots_300_nm_apart_are_two_and_150_nm_apart_are_one():
    for apart_px, number in ((2.4, 2), (1.1, 1)):
        pair = spots((40, 40, 0.7, 5e4), (40, 40 + apart_px, 0.7, 5e4))
        found = find_spots(seen(pair, 2, noise=0.3), PARAMS)
        assert (found.strength > 0.25 * 5e4).sum() == number


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_no_spots(seed):
    nothing = spots((0, 0, 1, 0.0))
    assert len(find_spots(seen(nothing, 2, noise=1.0, seed=seed), PARAMS)) == 0


def test_one_spot_leaves_no_second_one_behind():
    for seed in range(5):
        image = seen(spots((48.3, 47.6, 2.0, 5e4)), 2, noise=0.2, seed=seed)
        assert len(find_spots(image, PARAMS)) == 1


def test_a_black_image_has_no_spots():
    assert len(find_spots(seen(spots((0, 0, 1, 0.0)), 1), PARAMS)) == 0


def test_noise_is_measured_beside_spots():
    image = seen(ONE_OF_EACH, 2, noise=2.0)
    assert noise_of(image.fine) == pytest.approx(2.0, rel=0.1)


def test_a_blinking_point_far_brighter_than_the_rest_has_no_companions():
    """It is narrower than any blob of dyes, so that no model takes all of it off."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :96]
    light = np.exp(-((x - 50.3) ** 2 + (y - 47.8) ** 2) / (2 * 0.7**2))
    variance = 2e5 * light**2 + rng.normal(0.0, 20.0, light.shape)
    parts = [ndimage.gaussian_filter(variance, s) for s in (FINE_PX, COARSE_PX)]
    optics = Optics(power=2, blob_px=BLOB_PX)
    image = TwoScales(*parts, fine_px=FINE_PX, coarse_px=COARSE_PX, optics=optics)
    assert len(find_spots(image, PARAMS)) == 1
