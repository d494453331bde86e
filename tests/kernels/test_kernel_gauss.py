"""The fit, compiled and interpreted: model, derivatives, bound, estimates, edges."""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.kernels import gauss

THETAS = [
    pytest.param((4.0, 4.0, 1000.0, 10.0, 1.3), id="centred"),
    pytest.param((3.3, 4.8, 250.0, 2.0, 0.65), id="narrow"),
    pytest.param((4.4, 3.1, 9000.0, 120.0, 2.7), id="wide"),
    pytest.param((0.1, 7.6, 800.0, 30.0, 1.1), id="at the edge"),
]
VARIANCE = np.random.default_rng(1).uniform(0.5, 9, (8, 9))
COUNTS = np.random.default_rng(2).poisson(60, (8, 9)) + VARIANCE


def interpreted(function):
    return getattr(function, "py_func", function)


def both(function):
    return pytest.mark.parametrize(
        "run", [function, interpreted(function)], ids=["compiled", "interpreted"]
    )


def model(theta, shape) -> np.ndarray:
    """The mean image from the normal distribution function of scipy."""
    x, y, photons, background, sigma = theta
    share_y = np.diff(norm.cdf(np.arange(shape[0] + 1) - 0.5, y, sigma))
    share_x = np.diff(norm.cdf(np.arange(shape[1] + 1) - 0.5, x, sigma))
    return background + photons * np.outer(share_y, share_x)


def evaluate(theta, counts=COUNTS, variance=VARIANCE, run=gauss.evaluate):
    """Log-likelihood, gradient and Fisher matrix."""
    system = np.full((6, 5), np.nan)
    shares = np.full((6, max(counts.shape)), np.nan)
    value = run(counts, variance, np.array(theta), shares, system)
    return value, system[0], system[1:]


def steps(theta):
    """Every parameter moved a little, both ways."""
    for a in range(5):
        shift = np.zeros(5)
        shift[a] = 1e-5 * max(abs(theta[a]), 1.0)
        yield a, np.array(theta) + shift, np.array(theta) - shift, 2 * shift[a]


@both(gauss.axis_shares)
@pytest.mark.parametrize(("centre", "sigma"), [(4.2, 1.3), (-0.4, 0.65), (9.0, 3.0)])
def test_shares_and_their_derivatives_match_scipy(run, centre, sigma):
    out = np.full((3, 9), np.nan)
    run(centre, sigma, out)
    edges = np.arange(10) - 0.5

    def share(c, s):
        return np.diff(norm.cdf(edges, c, s))

    h = 1e-6
    np.testing.assert_allclose(out[0], share(centre, sigma), atol=1e-14)
    by_centre = (share(centre + h, sigma) - share(centre - h, sigma)) / (2 * h)
    by_sigma = (share(centre, sigma + h) - share(centre, sigma - h)) / (2 * h)
    np.testing.assert_allclose(out[1], by_centre, atol=1e-9)
    np.testing.assert_allclose(out[2], by_sigma, atol=1e-9)


@both(gauss.evaluate)
@pytest.mark.parametrize("theta", THETAS)
def test_likelihood_is_that_of_poisson_counts(run, theta):
    mean = model(theta, COUNTS.shape) + VARIANCE
    expected = (COUNTS * np.log(mean) - mean).sum()
    assert evaluate(theta, run=run)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("theta", THETAS)
def test_gradient_is_the_finite_difference_of_the_likelihood(theta):
    _, gradient, _ = evaluate(theta)
    for a, ahead, behind, width in steps(theta):
        slope = (evaluate(ahead)[0] - evaluate(behind)[0]) / width
        assert gradient[a] == pytest.approx(slope, rel=1e-4, abs=1e-5)


@both(gauss.evaluate)
@pytest.mark.parametrize("theta", THETAS)
def test_fisher_matrix_is_made_of_finite_differences_of_the_model(run, theta):
    slopes = np.array(
        [
            (model(ahead, COUNTS.shape) - model(behind, COUNTS.shape)) / width
            for _, ahead, behind, width in steps(theta)
        ]
    )
    mean = model(theta, COUNTS.shape) + VARIANCE
    expected = np.einsum("aij,bij->ab", slopes / mean, slopes)
    fisher = evaluate(theta, run=run)[2]
    scale = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    np.testing.assert_allclose(fisher / scale, expected / scale, atol=1e-6)


@both(gauss.solve)
def test_solve_matches_numpy_and_leaves_out_what_is_not_free(run):
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5))
    matrix, right = root @ root.T + np.eye(5), rng.normal(size=5)
    out, lower = np.empty(5), np.empty((5, 5))
    assert run(matrix, right, np.ones(5, np.int32), 0.0, lower, out)
    np.testing.assert_allclose(out, np.linalg.solve(matrix, right), rtol=1e-10)
    free = np.array([1, 1, 0, 1, 0], np.int32)
    assert run(matrix, right, free, 0.5, lower, out)
    kept = np.flatnonzero(free)
    damped = matrix[np.ix_(kept, kept)] + 0.5 * np.diag(matrix.diagonal()[kept])
    np.testing.assert_allclose(
        out[kept], np.linalg.solve(damped, right[kept]), rtol=1e-10
    )
    assert (out[[2, 4]] == 0).all()


def test_solve_refuses_a_matrix_that_is_not_positive_definite():
    matrix = np.diag([1.0, 2.0, 0.0, 1.0, 1.0])
    lower, out = np.empty((5, 5)), np.empty(5)
    assert not gauss.solve(matrix, out, np.ones(5, np.int32), 0.0, lower, out)


def bound_x_nm(photons, background, *, read_e=0.0, excess=1.0) -> float:
    """The bound of x in nm: 100 nm pixels, sigma 1.3 px, 9 x 9 pixels, centred."""
    theta = (4.0, 4.0, photons / excess, background / excess, 1.3)
    variance = np.full((9, 9), read_e**2 / excess**2)
    fisher = evaluate(theta, np.ones((9, 9)), variance)[2]
    out = np.empty(5)
    free = np.ones(5, np.int32)
    assert gauss.bounds(fisher, free, np.empty((5, 5)), np.empty(5), out)
    return 100 * out[0]


@pytest.mark.parametrize(
    ("photons", "background", "plain", "read", "multiplied"),
    [
        (200, 2, 12.58, 14.81, 17.79),
        (500, 5, 7.96, 8.57, 11.25),
        (1000, 10, 5.63, 5.85, 7.96),
        (1000, 50, 8.20, 8.33, 11.60),
        (2000, 20, 3.98, 4.06, 5.63),
        (5000, 50, 2.52, 2.54, 3.56),
    ],
)
def test_bounds_match_independently_computed_values(
    photons, background, plain, read, multiplied
):
    assert bound_x_nm(photons, background) == pytest.approx(plain, rel=0.01)
    with_read = bound_x_nm(photons, background, read_e=1.6)
    assert with_read == pytest.approx(read, rel=0.01)
    em = bound_x_nm(photons, background, excess=2.0)
    assert em == pytest.approx(multiplied, rel=0.01)


def camera(image, variance):
    """Offset, gain and variance, a row for all, of a camera that counts photons."""
    row = image[:1]
    return np.zeros_like(row), np.ones_like(row), np.full_like(row, variance)


def fit(photons, row, column, **change):
    """One fit: result row and status."""
    image = np.ascontiguousarray(photons, np.float32)
    options = {
        "radius": 3,
        "sigma": 1.0,
        "free_beyond": 0.0,
        "excess": 1.0,
        "steps": 100,
    }
    options |= change
    results = np.full((1, gauss.RESULTS), np.nan)
    status = np.full(1, -1, np.int16)
    options.get("run", gauss.fit_spots)(
        image,
        *camera(image, options.get("variance", 1.0)),
        np.array([row], np.int32),
        np.array([column], np.int32),
        options["radius"],
        options["sigma"],
        options["free_beyond"],
        0.4,
        options.get("widest", 5.0),
        options["excess"],
        options.get("ceiling", np.inf),
        options["steps"],
        results,
        status,
    )
    return results[0], status[0]


@both(gauss.fit_spots)
@pytest.mark.parametrize("excess", [1.0, 2.0])
@pytest.mark.parametrize("sigma", [0.65, 1.3, 2.2])
def test_a_spot_without_noise_is_recovered(run, excess, sigma):
    theta = (9.3, 7.8, 1500.0, 40.0, sigma)
    result, status = fit(model(theta, (16, 18)), 8, 9, run=run, excess=excess)
    assert status == gauss.CONVERGED
    np.testing.assert_allclose(result[:5], theta, rtol=2e-4)
    assert -1e-6 < result[gauss.LOG_RATIO] <= 0


@pytest.mark.parametrize(
    ("x", "y"), [(0.2, 0.4), (14.9, 0.3), (1.7, 12.6), (15.4, 13.3)]
)
def test_a_spot_at_the_edge_is_fitted_in_a_box_shifted_inwards(x, y):
    theta = (x, y, 3000.0, 30.0, 1.0)
    result, status = fit(model(theta, (14, 16)), round(y), round(x))
    assert status == gauss.CONVERGED
    np.testing.assert_allclose(result[:2], theta[:2], atol=2e-3)


def test_a_fixed_width_stays_and_has_no_bound_of_its_own():
    image = model((8.2, 8.1, 2000.0, 30.0, 1.1), (17, 17))
    fixed, status = fit(image, 8, 8, sigma=1.1, free_beyond=np.inf)
    free, _ = fit(image, 8, 8)
    assert status == gauss.CONVERGED
    assert fixed[gauss.SIGMA] == 1.1
    assert fixed[gauss.SD_PHOTONS] < free[gauss.SD_PHOTONS]


@pytest.mark.parametrize("free_beyond", [3.0, 3.5])
def test_a_width_is_freed_only_where_the_spot_speaks_against_it(free_beyond):
    rng = np.random.default_rng(2)
    freed = {}
    for sigma in (1.0, 1.3):
        mean = model((8.2, 7.9, 2000.0, 30.0, sigma), (17, 17))
        fits = [
            fit(rng.poisson(mean), 8, 8, free_beyond=free_beyond) for _ in range(200)
        ]
        freed[sigma] = np.mean([result[gauss.SIGMA] != 1.0 for result, _ in fits])
    assert freed[1.0] <= 0.02
    assert freed[1.3] >= 0.98


def test_the_score_of_the_width_is_as_spread_as_it_says():
    rng = np.random.default_rng(3)
    shares, system = np.empty((6, 9)), np.empty((6, 5))
    variance, theta = np.ones((9, 9)), np.array([4.2, 3.9, 1500.0, 30.0, 1.1])
    mean = model(theta, (9, 9)) + variance
    scores = []
    for _ in range(500):
        counts = rng.poisson(mean).astype(float)
        gauss.evaluate(counts, variance, theta, shares, system)
        scores.append(gauss.width_score(system, np.empty((5, 5))))
    # at the truth, not the maximum: what the others explain is not taken off
    assert np.mean(scores) == pytest.approx(0, abs=0.2)
    assert 0.95 <= np.std(scores) <= 1.7


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((9, 9), np.nan), gauss.BAD_DATA),
        (model((20.0, 4.0, 50_000.0, 50.0, 1.0), (9, 9)), None),
        (np.pad([[5000.0]], 4, constant_values=30.0), gauss.NARROW),
        (model((4.0, 4.0, 90_000.0, 50.0, 3.6), (9, 9)), gauss.WIDE),
    ],
    ids=["nan", "neighbour outside", "hot pixel", "wider than allowed"],
)
def test_what_is_no_spot_has_a_status_of_its_own(image, expected):
    result, status = fit(image, 4, 4, widest=3.0)
    if expected is None:
        assert status != gauss.CONVERGED
    else:
        assert status == expected
    assert np.isfinite(result).all() == (expected != gauss.BAD_DATA)


@pytest.mark.parametrize("level", [0.0, -5.0, 1e6], ids=["zero", "below", "saturated"])
def test_a_flat_frame_gives_finite_numbers_and_few_photons(level):
    result, _ = fit(np.full((7, 7), level), 3, 3)
    assert np.isfinite(result[:5]).all()
    assert result[gauss.PHOTONS] < max(100.0, 1e-3 * level)


def test_a_saturated_top_is_fitted_without_harm():
    image = np.minimum(model((8.0, 8.0, 40_000.0, 30.0, 1.5), (17, 17)), 900.0)
    result, _ = fit(image, 8, 8)
    np.testing.assert_allclose(result[:2], 8.0, atol=0.01)


def test_no_spots_is_no_work():
    none = np.empty(0, np.int32)
    image = np.zeros((9, 9), np.float32)
    results, status = np.full((1, gauss.RESULTS), -7.0), np.full(1, -7, np.int16)
    shape = (none, none, 3, 1.0, 0.0, 0.4, 5.0, 1.0, np.inf, 50, results, status)
    gauss.fit_spots(image, *camera(image, 1.0), *shape)
    assert (results == -7.0).all()
    assert status[0] == -7


def test_a_pixel_at_the_ceiling_is_told():
    image = model((8.0, 8.0, 4000.0, 30.0, 1.1), (17, 17))
    assert fit(image, 8, 8, ceiling=image.max() - 1)[1] == gauss.SATURATED
    assert fit(image, 8, 8, ceiling=image.max() + 1)[1] == gauss.CONVERGED


def test_maps_of_every_pixel_and_one_row_for_all_agree():
    image = np.ascontiguousarray(model((8.2, 7.9, 2000.0, 30.0, 1.1), (17, 17)))
    results, status = np.empty((2, gauss.RESULTS)), np.empty(2, np.int16)
    at = np.array([8], np.int32)
    for n, maps in enumerate(
        [camera(image, 2.0), [np.tile(m, (17, 1)) for m in camera(image, 2.0)]]
    ):
        rest = (at, at, 3, 1.0, 0.0, 0.4, 5.0, 1.0, np.inf, 50)
        gauss.fit_spots(
            image.astype(np.float32), *map(np.float32, maps), *rest,
            results[n : n + 1], status[n : n + 1],
        )  # fmt: skip
    np.testing.assert_array_equal(results[0], results[1])


def test_the_iteration_limit_is_told():
    image = model((8.4, 8.4, 2000.0, 30.0, 2.2), (17, 17))
    assert fit(image, 8, 8, steps=2)[1] == gauss.UNSETTLED


def test_the_likelihood_ratio_of_a_good_fit_is_that_of_its_free_pixels():
    rng = np.random.default_rng(7)
    mean = model((8.2, 7.9, 4000.0, 200.0, 1.2), (17, 17))
    ratios = [fit(rng.poisson(mean), 8, 8)[0][gauss.LOG_RATIO] for _ in range(300)]
    assert np.mean(ratios) == pytest.approx(-(49 - 5) / 2, rel=0.06)


@both(gauss.next_part)
@pytest.mark.parametrize(
    ("after", "part"),
    [(-0.9, 1 / 1.9), (0.0, 1.0), (0.2, 1.25), (0.9, 1.5), (1.0, 1.0)],
)
def test_a_step_is_as_long_as_the_slopes_of_the_last_one_tell(run, after, part):
    theta, slopes = np.zeros(5), np.arange(1.0, 6.0)
    trial = theta + 0.1 * slopes
    assert run(1.0, trial, theta, slopes, after * slopes) == pytest.approx(part)


def test_two_spots_taken_for_one_settle_in_few_steps():
    # full steps swing to and fro here, and need more than 16 of them
    one = model((13.9, 15.0, 400.0, 20.0, 0.7), (31, 31))
    other = model((16.1, 15.0, 320.0, 20.0, 0.7), (31, 31))
    known = {"radius": 2, "sigma": 0.7, "free_beyond": np.inf}
    _, status = fit(one + other, 15, 15, variance=0.0, steps=12, **known)
    assert status == gauss.CONVERGED
