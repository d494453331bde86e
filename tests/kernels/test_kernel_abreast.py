"""Spots fitted side by side: as one by one, whatever the neighbours."""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.kernels import abreast, gauss

SIGMA, RADIUS, DOUBT = 1.3, 4, 3.5
CEILING = 65535.0


def interpreted(function):
    return getattr(function, "py_func", function)


def planes(shape, *, per_pixel=False):
    """Offset, gain and variance, of one row or of every pixel."""
    rng = np.random.default_rng(3)
    size = shape if per_pixel else (1, shape[1])
    spread = 0.1 if per_pixel else 0.0
    return (
        np.full(size, 100, np.float32),
        (0.46 + spread * rng.random(size)).astype(np.float32),
        (2.5 + 10 * spread * rng.random(size)).astype(np.float32),
    )


def frame(spots, shape=(64, 70), *, ground=20.0, camera=None, seed=1):
    """Camera counts of a frame that shows spots (x, y, photons, sigma)."""
    rows, columns = np.arange(shape[0] + 1) - 0.5, np.arange(shape[1] + 1) - 0.5
    light = np.full(shape, ground)
    for x, y, photons, sigma in spots:
        down, across = norm.cdf(rows, y, sigma), norm.cdf(columns, x, sigma)
        light += photons * np.outer(np.diff(down), np.diff(across))
    offset, gain, variance = camera or planes(shape)
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(light) + rng.normal(0, np.sqrt(variance), shape)
    return np.round(electrons / gain + offset).clip(0, CEILING).astype(np.uint16)


def fit(adu, places, *, camera=None, run=abreast.fit_spots, doubt=DOUBT, excess=1.0,
        rounds=abreast.ROUNDS, ceiling=CEILING, sigma=SIGMA):  # fmt: skip
    """Results and status at places (x, y)."""
    columns, rows = np.array(places, np.int32).reshape(-1, 2).T.copy()
    results = np.full((rows.size, abreast.RESULTS), np.nan)
    status = np.full(rows.size, 7, np.int16)
    run(
        adu, *(camera or planes(adu.shape)), rows, columns, RADIUS, sigma, doubt,
        np.inf, excess, ceiling, rounds, results, status, np.empty(rows.size),
    )  # fmt: skip
    return results, status


def one_by_one(adu, places, *, camera=None, excess=1.0):
    columns, rows = np.array(places, np.int32).reshape(-1, 2).T.copy()
    results = np.empty((rows.size, gauss.RESULTS))
    status = np.empty(rows.size, np.int16)
    gauss.fit_spots(
        adu, *(camera or planes(adu.shape)), rows, columns, RADIUS, SIGMA, np.inf, 0.5,
        4.0, excess, CEILING, 50, results, status,
    )  # fmt: skip
    return results, status


def scattered(count=40, seed=5, photons=1500.0):
    """Spots on a grid, each moved a little."""
    rng = np.random.default_rng(seed)
    grid = [(12 + 16 * (k % 12), 12 + 16 * (k // 12)) for k in range(count)]
    shift = rng.uniform(-0.6, 0.6, (count, 2))
    spots = [
        (x + dx, y + dy, photons * rng.uniform(0.5, 2), SIGMA)
        for (x, y), (dx, dy) in zip(grid, shift, strict=True)
    ]
    return spots, grid


BIG = (80, 210)


@pytest.mark.parametrize("per_pixel", [False, True], ids=["one row", "every pixel"])
@pytest.mark.parametrize("excess", [1.0, 2.0])
def test_plain_spots_have_the_results_of_fits_one_by_one(per_pixel, excess):
    spots, grid = scattered()
    camera = planes(BIG, per_pixel=per_pixel)
    adu = frame(spots, BIG, camera=camera)
    results, status = fit(adu, grid, camera=camera, excess=excess)
    expected, _ = one_by_one(adu, grid, camera=camera, excess=excess)
    assert (status == abreast.FITTED).mean() > 0.9
    plain = status == abreast.FITTED
    # a hundredth of the bound is what ends a climb
    bound = expected[plain][:, [gauss.SD_X, gauss.SD_Y, gauss.SD_PHOTONS]]
    apart = np.abs(results[plain, :3] - expected[plain, :3])
    assert (apart < 0.02 * bound).all()
    np.testing.assert_allclose(results[plain, 3:], expected[plain, 3:], rtol=1e-3)


def test_the_interpreter_gives_the_same_numbers():
    spots, grid = scattered(5)
    adu = frame(spots, BIG)
    compiled, status = fit(adu, grid)
    plain, same = fit(adu, grid, run=interpreted(abreast.fit_spots))
    np.testing.assert_array_equal(status, same)
    np.testing.assert_allclose(compiled, plain, rtol=1e-9)


def test_a_spot_does_not_know_its_neighbours_in_the_list():
    spots, grid = scattered()
    adu = frame(spots, BIG)
    alone = [fit(adu, [place])[0][0] for place in grid]
    together, _ = fit(adu, grid)
    backwards, _ = fit(adu, grid[::-1])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards[::-1])


def test_nothing_to_fit_is_no_error():
    results, status = fit(frame([]), np.empty((0, 2)))
    assert len(results) == len(status) == 0


def test_another_width_is_doubted():
    adu = frame([(30.2, 30.1, 3000, 1.9), (52.0, 12.0, 3000, SIGMA)])
    _, status = fit(adu, [(30, 30), (52, 12)])
    assert status.tolist() == [abreast.DOUBTED, abreast.FITTED]
    _, status = fit(adu, [(30, 30)], doubt=np.inf)
    assert status.tolist() == [abreast.FITTED]


def test_the_score_of_the_width_is_a_normal_deviate():
    # one in 370 beyond 3, one in 22 beyond 2
    spots, grid = scattered(48)
    doubted = []
    for seed in range(20):
        _, status = fit(frame(spots, BIG, seed=seed), grid, doubt=2.0)
        doubted.append(np.mean(status == abreast.DOUBTED))
    assert np.mean(doubted) == pytest.approx(0.0455, abs=0.025)


def test_a_hole_where_a_spot_should_be_is_left_open():
    hole = frame([(30, 30, 4000, SIGMA)])
    hole[20:41, 20:41] = 200 - hole[20:41, 20:41].clip(0, 199)
    _, status = fit(hole, [(30, 30)])
    assert status.tolist() == [abreast.OPEN]


def test_a_saturated_box_says_so():
    adu = frame([(30.2, 30.1, 3000, SIGMA)])
    _, status = fit(adu, [(30, 30)], ceiling=float(adu.max()))
    assert status.tolist() == [abreast.SATURATED]


def test_a_pixel_without_calibration_leaves_its_spot_open_and_no_other():
    spots, grid = scattered(20)
    camera = planes(BIG, per_pixel=True)
    adu = frame(spots, BIG, camera=camera)
    before, _ = fit(adu, grid, camera=camera)
    camera[1][grid[3][1], grid[3][0]] = np.nan
    after, status = fit(adu, grid, camera=camera)
    assert status[3] == abreast.OPEN
    others = np.arange(20) != 3
    np.testing.assert_array_equal(after[others], before[others])


@pytest.mark.parametrize("place", [(0, 0), (69, 63), (0, 40), (35, 63)])
def test_a_spot_at_the_edge_is_where_it_is(place):
    x, y = place
    spot = (min(max(x, 0.3), 68.7), min(max(y, 0.3), 62.7), 4000, SIGMA)
    adu = frame([spot], ground=5.0)
    results, status = fit(adu, [place])
    assert status.tolist() == [abreast.FITTED]
    assert np.hypot(*(results[0, :2] - spot[:2])) < 5 * results[0, 5]


@pytest.mark.parametrize("sigma", [0.61, 0.71, 1.0, 1.3, 2.7])
def test_shares_and_their_derivatives_are_those_of_scipy(sigma):
    size = 9
    state = np.zeros(abreast.STATE)
    places = np.linspace(-0.4, 8.4, abreast.LANES)
    state[: abreast.LANES] = places
    state[abreast.WIDTH : abreast.WIDTH + abreast.LANES] = sigma
    desk = np.empty(abreast.DESK)
    shares, slopes, widens = np.empty((3, size * abreast.LANES))
    abreast.axis_shares(state, abreast.X, size, desk, shares, slopes, widens)
    grid = np.arange(size + 1) - 0.5

    def share(shift=0.0, width=sigma):
        return np.diff(
            [norm.cdf(edge, places + shift, width) for edge in grid], axis=0
        ).ravel()

    h = 1e-6
    np.testing.assert_allclose(shares, share(), atol=1e-11)
    by_place = (share(h) - share(-h)) / (2 * h)
    by_width = (share(0, sigma + h) - share(0, sigma - h)) / (2 * h)
    np.testing.assert_allclose(slopes, by_place, atol=1e-9)
    np.testing.assert_allclose(widens, by_width, atol=1e-9)


@pytest.mark.parametrize(
    "run", [abreast.exponentials, interpreted(abreast.exponentials)]
)
def test_exponentials_are_right_to_rounding(run):
    at = np.concatenate([np.linspace(-700, 700, 997), [0.0, -1e-300, 0.5, -5000.0]])
    values, powers = at.copy(), np.empty(at.size)
    run(values, powers, powers.view(np.int64))
    np.testing.assert_allclose(values, np.exp(at.clip(-700, 700)), rtol=5e-16)


def test_sums_with_the_rows_of_the_width_are_those_without():
    size, lanes = 5, abreast.LANES
    rng = np.random.default_rng(4)
    box = rng.uniform(1, 40, 2 * size * size * lanes)
    state = rng.uniform(1, 9, abreast.STATE)
    along = rng.uniform(0.1, 1, (6, size * lanes))
    plain, wide = np.empty((2, abreast.SUMS))
    abreast.gather(size, box, state, along[0], along[1], along[3], along[4], plain)
    abreast.gather_all(size, box, state, *along, wide)
    for plane in ("XX", "YX", "YY", "PX", "PY", "PP", "GX", "GY", "GP", "GG", "DG"):
        first = getattr(abreast, plane)
        rows = slice(first, first + lanes)
        np.testing.assert_array_equal(plain[rows], wide[rows], err_msg=plane)


def test_its_codes_are_those_of_the_single_fit():
    assert abreast.FITTED == gauss.CONVERGED
    assert abreast.SATURATED == gauss.SATURATED
    assert abreast.RESULTS == gauss.RESULTS
