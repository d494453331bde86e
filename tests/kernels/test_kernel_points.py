"""Points are drawn, sampled and made finer as scipy does it, compiled or not."""

import numpy as np
import pytest
from scipy import ndimage

from her2sr_proc.kernels import points

RNG = np.random.default_rng(7)
IMAGE = ndimage.gaussian_filter(RNG.normal(size=(23, 31)), 1.0)
Y = np.array([0.0, 5.0, 11.3, 22.0, -0.4, 14.7])
X = np.array([0.0, 7.0, 30.0, 3.6, 12.2, 30.3])


def both(name):
    compiled = getattr(points, name)
    return pytest.mark.parametrize(
        "run",
        [compiled, getattr(compiled, "py_func", compiled)],
        ids=["compiled", "python"],
    )


@both("draw_points")
def test_points_are_gaussians_that_end_at_the_edge(run):
    image = np.ones((20, 30))
    y, x = np.array([10.2, 0.0, 40.0]), np.array([15.7, 29.0, 5.0])
    variance, height = np.array([2.0, 1.0, 1.0]), np.array([3.0, 5.0, 1.0])
    run(y, x, variance, height, 8.0, image)
    rows, columns = np.mgrid[:20, :30]
    wanted = 1.0 + sum(
        h * np.exp(-((rows - a) ** 2 + (columns - b) ** 2) / (2 * v))
        for a, b, v, h in zip(y, x, variance, height, strict=True)
    )
    np.testing.assert_allclose(image, wanted, atol=1e-9)


@both("middle_of")
def test_a_spot_that_was_placed_wrongly_is_pulled_to_its_middle(run):
    rows, columns = np.mgrid[:31, :31]

    def spot(y, x):
        return 4.0 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 4.0))

    rest = spot(15.2, 14.9) - spot(15.0, 15.0)
    total, along_y, along_x = run(rest, 15.0, 15.0, 4.0, 4.0)
    assert 2 * along_y / total == pytest.approx(0.2, abs=0.03)
    assert 2 * along_x / total == pytest.approx(-0.1, abs=0.03)


@both("splined_at")
def test_values_between_pixels_are_those_of_scipys_cubic_spline(run):
    out = np.full(Y.size, np.nan)
    run(IMAGE, Y, X, out)
    wanted = ndimage.map_coordinates(IMAGE, [Y, X], order=3, mode="nearest")
    np.testing.assert_allclose(out, wanted, atol=3e-5)


@both("splined_at")
def test_at_a_pixel_the_spline_is_the_pixel(run):
    out = np.full(1, np.nan)
    run(IMAGE, np.array([9.0]), np.array([14.0]), out)
    assert out[0] == pytest.approx(IMAGE[9, 14], abs=1e-5)


@both("blurred_at")
def test_values_of_the_blurred_image_are_those_of_blurring_it_whole(run):
    out = np.full(Y.size, np.nan)
    at = np.rint(np.abs(Y)), np.rint(X)
    run(IMAGE, *at, 1.5, 6, out)
    whole = ndimage.gaussian_filter(IMAGE, 1.5, mode="nearest", radius=6)
    wanted = whole[at[0].astype(int), at[1].astype(int)]
    np.testing.assert_allclose(out, wanted, atol=1e-12)


@both("doubled")
@pytest.mark.parametrize("shape", [(23, 31), (1, 1), (2, 5)])
def test_twice_as_fine_is_scipys_zoom(run, shape):
    image = IMAGE[: shape[0], : shape[1]].copy()
    out = np.full((2 * shape[0], 2 * shape[1]), np.nan, np.float32)
    run(image, out)
    wanted = ndimage.zoom(image, 2, order=3, grid_mode=True, mode="nearest")
    np.testing.assert_allclose(out, wanted, atol=1e-5)
