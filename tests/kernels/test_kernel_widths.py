"""Spots of free width, side by side: as one by one, whatever the neighbours."""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.kernels import abreast, gauss

SIGMA, RADIUS, NARROWEST, WIDEST = 0.7, 4, 0.42, 4.0
CEILING = 65535.0
SHAPE = (96, 200)
MAPS = tuple(np.full((1, SHAPE[1]), value, np.float32) for value in (100, 0.5, 2.5))


def interpreted(function):
    return getattr(function, "py_func", function)


def blobs(count=40, seed=5, *, widths=(0.8, 2.4), photons=(3e3, 3e4), ground=200.0):
    """Camera counts of a frame of blobs on a grid, and the pixels they are near to."""
    rng = np.random.default_rng(seed)
    grid = [(14 + 20 * (k % 9), 12 + 18 * (k // 9)) for k in range(count)]
    rows, columns = (np.arange(n + 1) - 0.5 for n in SHAPE)
    light = np.full(SHAPE, ground)
    for x, y in grid:
        dx, dy = rng.uniform(-0.5, 0.5, 2)
        sigma, total = rng.uniform(*widths), rng.uniform(*photons)
        down, across = norm.cdf(rows, y + dy, sigma), norm.cdf(columns, x + dx, sigma)
        light += total * np.outer(np.diff(down), np.diff(across))
    electrons = rng.poisson(light) + rng.normal(0, 1.6, SHAPE)
    return np.round(electrons / 0.5 + 100).clip(0, CEILING).astype(np.uint16), grid


def fit(adu, places, *, run=abreast.fit_widths, rounds=40, ceiling=CEILING):
    columns, rows = np.array(places, np.int32).reshape(-1, 2).T.copy()
    results = np.full((rows.size, abreast.RESULTS), np.nan)
    status = np.full(rows.size, 7, np.int16)
    run(
        adu, *MAPS, rows, columns, RADIUS, SIGMA, NARROWEST, WIDEST, 1.0, ceiling,
        rounds, results, status,
    )  # fmt: skip
    return results, status


def one_by_one(adu, places):
    columns, rows = np.array(places, np.int32).reshape(-1, 2).T.copy()
    results = np.empty((rows.size, gauss.RESULTS))
    status = np.empty(rows.size, np.int16)
    gauss.fit_spots(
        adu, *MAPS, rows, columns, RADIUS, SIGMA, 0.0, NARROWEST, WIDEST, 1.0, CEILING,
        100, results, status,
    )  # fmt: skip
    return results, status


def test_blobs_have_the_results_of_fits_one_by_one():
    adu, grid = blobs()
    results, status = fit(adu, grid)
    expected, same = one_by_one(adu, grid)
    assert (status != abreast.OPEN).mean() > 0.9
    settled = status != abreast.OPEN
    np.testing.assert_array_equal(status[settled], same[settled])
    shift = np.abs(results - expected)[settled, :2] / expected[settled, 5:7]
    assert shift.max() < 0.03  # of their bounds
    np.testing.assert_allclose(results[settled, 2:], expected[settled, 2:], rtol=5e-3)


def test_the_interpreter_gives_the_same_numbers():
    adu, grid = blobs(3)
    compiled, status = fit(adu, grid, rounds=12)
    plain, same = fit(adu, grid, run=interpreted(abreast.fit_widths), rounds=12)
    np.testing.assert_array_equal(status, same)
    np.testing.assert_allclose(compiled, plain, rtol=1e-7)


def test_a_blob_does_not_know_its_neighbours_in_the_list():
    adu, grid = blobs()
    together, _ = fit(adu, grid)
    backwards, _ = fit(adu, grid[::-1])
    alone = [fit(adu, [place])[0][0] for place in grid]
    np.testing.assert_array_equal(together, backwards[::-1])
    np.testing.assert_array_equal(together, alone)


def test_a_width_beyond_its_bounds_ends_on_them_and_says_so():
    adu, grid = blobs(9, widths=(6.0, 7.0), photons=(2e5, 2e5))
    results, status = fit(adu, grid)
    assert set(status.tolist()) <= {abreast.WIDE, abreast.OPEN}
    assert np.all(results[status == abreast.WIDE, 4] == WIDEST)
    assert (status == abreast.WIDE).any()
    adu = np.full(SHAPE, 500, np.uint16)
    adu[20, 20] = 9000  # one pixel that is hot
    _, status = fit(adu, [(20, 20)])
    assert status.tolist() == [abreast.NARROW]


def test_what_is_no_blob_is_left_open_and_a_saturated_one_says_so():
    _, status = fit(np.full(SHAPE, 60, np.uint16), [(20, 20), (0, 0)])
    assert status.tolist() == [abreast.OPEN] * 2
    adu, grid = blobs(2)
    _, status = fit(adu, grid, ceiling=float(adu.max()))
    assert abreast.SATURATED in status.tolist()
    results, status = fit(adu, np.empty((0, 2)))
    assert len(results) == len(status) == 0


def test_its_codes_are_those_of_the_single_fit():
    assert (abreast.NARROW, abreast.WIDE) == (gauss.NARROW, gauss.WIDE)


def look(adu, places, run=abreast.fit_spots, bright=np.inf):
    """Significance and status of a fit of the known width."""
    columns, rows = np.array(places, np.int32).reshape(-1, 2).T.copy()
    out = np.full(rows.size, np.nan)
    results, status = (
        np.ones((rows.size, abreast.RESULTS)),
        np.ones(rows.size, np.int16),
    )
    run(
        adu, *MAPS, rows, columns, 2, SIGMA, 3.5, bright, 1.0, CEILING, 12, results,
        status, out,
    )  # fmt: skip
    return out, status, results


@pytest.mark.parametrize("photons", [800.0, 3e3, 3e4])
def test_what_is_called_wide_at_a_look_is_doubted_by_its_fit(photons):
    adu, grid = blobs(widths=(0.7, 2.4), photons=(photons, photons))
    significance, status, _ = look(adu, grid)
    is_wide = significance > abreast.BRIGHT
    assert not np.isin(status[is_wide], (abreast.FITTED, abreast.SATURATED)).any()
    assert is_wide.any() == (photons > 1e3)


@pytest.mark.parametrize("run", [abreast.fit_spots, interpreted(abreast.fit_spots)])
def test_what_is_bright_and_wide_is_doubted_unfitted_and_nothing_else_changes(run):
    adu, grid = blobs(20, widths=(0.7, 2.4), photons=(3e3, 3e3))
    significance, status, results = look(adu, grid)
    again, doubted, left = look(adu, grid, run, abreast.BRIGHT)
    np.testing.assert_allclose(again, significance, rtol=1e-12)
    is_wide = significance > abreast.BRIGHT
    assert 0 < is_wide.sum() < 20
    assert (doubted[is_wide] == abreast.DOUBTED).all()
    assert not left[is_wide].any()
    np.testing.assert_array_equal(doubted[~is_wide], status[~is_wide])
    np.testing.assert_allclose(left[~is_wide], results[~is_wide], rtol=1e-7)


def test_where_every_spot_is_bright_and_wide_nothing_is_fitted():
    adu, grid = blobs(3, widths=(2.0, 2.0), photons=(3e4, 3e4))
    _, status, results = look(adu, grid, bright=abreast.BRIGHT)
    assert status.tolist() == [abreast.DOUBTED] * 3
    assert not results.any()


def test_spots_of_the_known_width_are_not_called_wide():
    adu, grid = blobs(widths=(SIGMA, SIGMA), photons=(300.0, 3e4))
    assert not look(adu, grid)[0].any()


def test_a_wide_blob_stands_out_as_far_as_its_nine_pixels_say():
    adu, grid = blobs(widths=(2.0, 2.0), photons=(2e4, 2e4))
    column, row = grid[0]
    nine = adu[row - 1 : row + 2, column - 1 : column + 2].astype(float)
    nine = (nine - MAPS[0][0, 0]) * MAPS[1][0, 0]
    told = look(adu, grid[:1])[0][0]
    # the ground beneath is at least the darkest pixel of the box, at most its brightest
    most = nine.sum() / np.sqrt(nine.sum())
    assert abreast.BRIGHT < told < most
