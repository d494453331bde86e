"""Least squares: slopes, weights, edges. ThunderSTORM's own rows are held elsewhere."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, least_squares
from scipy.stats import norm

from her2sr_proc.kernels import squares

both = pytest.mark.parametrize(
    "run",
    [squares.fit_spots, getattr(squares.fit_spots, "py_func", squares.fit_spots)],
    ids=["compiled", "interpreted"],
)


def model(theta, shape):
    x, y, photons, background, sigma = theta
    down, across = (
        np.diff(norm.cdf(np.arange(n + 1) - 0.5, c, sigma))
        for n, c in zip(shape, (y, x), strict=True)
    )
    return background + photons * np.outer(down, across)


def fit(image, row, column, run=squares.fit_spots, *, weighted=True, **change):
    adu = np.ascontiguousarray(image, np.uint16)
    zero, one = (np.full((1, adu.shape[1]), v, np.float32) for v in (0, 1))
    results, status = np.empty((1, squares.RESULTS)), np.empty(1, np.int16)
    at = [np.array([v], np.int32) for v in (row, column)]
    run(
        adu, zero, one, *at, 3, change.get("sigma", 1.6), weighted, 1.0,
        change.get("ceiling", 65535.0), change.get("steps", 1000), results, status,
    )  # fmt: skip
    return results[0], status[0]


@both
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("sigma", [0.9, 1.6])
def test_a_bright_spot_is_recovered(run, weighted, sigma):
    theta = (9.3, 7.8, 60_000.0, 900.0, sigma)
    image = np.rint(model(theta, (16, 18)))
    result, status = fit(image, 8, 9, run, weighted=weighted)
    assert status == squares.CONVERGED
    np.testing.assert_allclose(result[:5], theta, rtol=3e-3)


def test_the_slope_is_that_of_finite_differences():
    rng = np.random.default_rng(1)
    light = rng.poisson(model((3.2, 2.7, 900.0, 20.0, 1.3), (7, 7))).astype(float)
    weight = 1.0 / light
    roots = np.array([3.0, 3.1, 28.0, 5.0, 1.5])
    shares, system = np.empty((6, 7)), np.empty((6, 5))
    squares.evaluate(light, weight, roots, shares, system)

    def total(other):
        return squares.evaluate(
            light, weight, other, np.empty((6, 7)), np.empty((6, 5))
        )

    slopes = approx_fprime(roots, total, 1e-7)
    np.testing.assert_allclose(system[0], -0.5 * slopes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("weighted", [True, False])
def test_it_ends_where_scipy_ends(weighted):
    rng = np.random.default_rng(2)
    image = rng.poisson(model((8.2, 7.9, 3000.0, 40.0, 1.3), (17, 17)))
    box = image[5:12, 5:12].astype(float)
    weight = np.minimum(1 / box, 1000 / box.max()) if weighted else np.ones_like(box)

    def residuals(theta):
        return (np.sqrt(weight) * (box - model(theta, box.shape))).ravel()

    best = least_squares(residuals, (3.0, 3.0, 2500.0, 40.0, 1.6), x_scale="jac").x
    found, _ = fit(image, 8, 8, weighted=weighted)
    np.testing.assert_allclose(found[:5], np.add(best, [5, 5, 0, 0, 0]), rtol=1e-4)


@both
def test_a_box_with_black_pixels_is_fitted_too(run):
    image = model((8.3, 7.8, 9000.0, 0.0, 1.1), (17, 17))
    image[image < 30.0] = 0.0  # the root of the ground starts where its slope is zero
    box = image[5:12, 5:12]
    weight = np.minimum(1 / np.maximum(box, 1e-9), 1000 / box.max())

    def residuals(theta):
        return (np.sqrt(weight) * (box - model(theta, box.shape))).ravel()

    def bare(theta):
        return residuals((*theta[:3], 0.0, theta[3]))

    best = least_squares(bare, (3.0, 3.0, 8000.0, 1.6), x_scale="jac").x
    found, status = fit(np.rint(image), 8, 8, run)
    assert status == squares.CONVERGED
    np.testing.assert_allclose(found[[0, 1]], best[:2] + 5, atol=0.01)
    np.testing.assert_allclose(found[[2, 4]], best[2:], rtol=0.01)


@pytest.mark.parametrize(("row", "column"), [(2, 8), (8, 2), (14, 8), (8, 14)])
def test_a_box_that_leaves_the_frame_is_not_fitted(row, column):
    assert fit(np.full((17, 17), 50), row, column)[1] == squares.LOST


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((9, 9)), squares.BAD_DATA),
        (model((30.0, 4.0, 60_000.0, 50.0, 8.0), (9, 9)), squares.LOST),
    ],
    ids=["black", "brighter outside"],
)
def test_what_is_no_spot_has_a_status_of_its_own(image, expected):
    assert fit(image, 4, 4)[1] == expected


def test_a_full_pixel_and_too_few_steps_are_told():
    image = np.rint(model((8.2, 7.9, 9000.0, 30.0, 1.2), (17, 17)))
    assert fit(image, 8, 8, ceiling=float(image.max()))[1] == squares.SATURATED
    assert fit(image, 8, 8, steps=1)[1] == squares.UNSETTLED
