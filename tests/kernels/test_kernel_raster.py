"""Drawing, compiled and interpreted, against scipy and numpy."""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.kernels import raster


def modes(function):
    return pytest.mark.parametrize(
        "run",
        [function, getattr(function, "py_func", function)],
        ids=["compiled", "interpreted"],
    )


def points(*rows):
    return np.array(rows, np.float64).reshape(-1, 3).T.copy()


def drawn(run, *rows, shape=(20, 24)):
    image = np.zeros(shape, np.float32)
    run(*points(*rows), image)
    return image


@modes(raster.draw_gaussians)
@pytest.mark.parametrize(("x", "y", "sigma"), [(9.3, 12.8, 1.7), (11.0, 8.0, 0.3)])
def test_a_point_is_a_gaussian_integrated_over_pixels(run, x, y, sigma):
    expected = np.outer(
        np.diff(norm.cdf(np.arange(21) - 0.5, y, sigma)),
        np.diff(norm.cdf(np.arange(25) - 0.5, x, sigma)),
    )
    np.testing.assert_allclose(drawn(run, (x, y, sigma)), expected, atol=1e-5)


@modes(raster.draw_gaussians)
def test_points_add_up_and_keep_their_volume(run):
    image = drawn(run, (9, 9, 1), (9, 9, 1), (14.2, 10.1, 0.7))
    assert image.sum() == pytest.approx(3.0, rel=2e-4)


@modes(raster.draw_gaussians)
def test_half_of_a_point_on_the_edge_is_lost(run):
    assert drawn(run, (-0.5, 9, 1.5)).sum() == pytest.approx(0.5, rel=1e-3)
    assert drawn(run, (-40.0, 9, 1.5)).sum() == 0


@modes(raster.draw_gaussians)
def test_points_that_are_no_points_are_left_out(run):
    nan, inf = np.nan, np.inf
    bad = [(nan, 5, 1), (5, inf, 1), (5, 5, nan), (5, 5, 0), (5, 5, -1), (5, 5, inf)]
    image = drawn(run, *bad, (9, 9, 1))
    assert image.sum() == pytest.approx(1.0, rel=2e-4)


def test_one_wide_point_fills_a_small_image_without_reading_past_it():
    image = drawn(raster.draw_gaussians, (0.0, 0.0, 500.0), shape=(3, 2))
    np.testing.assert_allclose(image, image[0, 0], rtol=1e-3)


@modes(raster.draw_counts)
def test_counts_are_those_of_a_histogram(run):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-3, 26, 500), rng.uniform(-3, 22, 500)
    image = np.zeros((20, 24), np.float32)
    run(x, y, image)
    edges = np.arange(21) - 0.5, np.arange(25) - 0.5
    np.testing.assert_array_equal(image, np.histogram2d(y, x, bins=edges)[0])


def test_nothing_drawn_leaves_the_image_as_it_is():
    image = np.ones((4, 4), np.float32)
    none = np.empty(0)
    raster.draw_counts(none, none, image)
    raster.draw_gaussians(none, none, none, image)
    raster.draw_counts(np.array([np.nan]), np.array([1.0]), image)
    np.testing.assert_array_equal(image, 1.0)
