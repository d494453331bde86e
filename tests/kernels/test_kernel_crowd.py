"""Several spots together: derivatives, bounds, how many there are, what is none."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.signal import correlate2d
from scipy.special import xlogy
from scipy.stats import chi2, norm

from her2sr_proc.kernels import crowd

SIGMA = 1.2
RULE = crowd.Rule(
    gain=25.9, score=3.0, surplus=4, significance=6.0, misfit=4.0, reach=5.0,
    noise_px=crowd.noise_pixels(SIGMA, 4), skew_px=crowd.skew_pixels(SIGMA, 4),
    single=4.5, faint=14.0, uneven=3.0, needed=18.0, least=4.1, broad=1.4,
)  # fmt: skip


def light(spots, shape, sigma=SIGMA):
    """Pixel-integrated Gaussians, from scipy alone."""
    image = np.zeros(shape)
    for x, y, photons in spots:
        edges = [np.arange(n + 1) - 0.5 for n in shape]
        down, across = (
            np.diff(norm.cdf(e, c, sigma)) for e, c in zip(edges, (y, x), strict=True)
        )
        image += photons * np.outer(down, across)
    return image


def region_of(counts, variance=1.0):
    """A region with these counts, and what a fit needs."""
    region = crowd.prepare(crowd.new_region(SIGMA), *counts.shape)
    h, w = counts.shape
    region.planes[crowd.COUNTS :][: h * w] = np.ravel(counts + variance)
    region.planes[crowd.FIXED :][: h * w] = np.ravel(variance)
    return region, crowd.new_emitters(), crowd.new_algebra()


def start(emitters, ground, spots):
    terms = len(ground)
    emitters.theta[:terms] = ground
    for k, spot in enumerate(spots):
        emitters.theta[terms + 3 * k : terms + 3 * k + 3] = spot


SPOTS = [(5.2, 6.1, 1500.0), (8.1, 6.6, 900.0)]


@pytest.mark.parametrize("ground", [[30.0], [30.0, 4.0, -3.0, 2.0, 1.0, -2.0]])
def test_the_gradient_is_that_of_finite_differences(ground):
    rng = np.random.default_rng(1)
    counts = rng.poisson(30 + light(SPOTS, (13, 15)))
    region, emitters, algebra = region_of(counts)
    start(emitters, ground, [(5.0, 6.3, 1300.0), (8.3, 6.4, 1000.0)])
    terms, size = len(ground), len(ground) + 6
    crowd.predict(region, emitters, terms, 2)
    crowd.equations(region, emitters, algebra, terms, 2)

    def likelihood(theta):
        other = crowd.new_emitters()
        other.theta[:size] = theta
        return crowd.predict(region, other, terms, 2)

    slopes = approx_fprime(emitters.theta[:size].copy(), likelihood, 1e-6)
    # beyond its reach a spot's light is neglected: 3e-4 of it
    np.testing.assert_allclose(
        algebra.vectors[crowd.GRADIENT, :size],
        slopes,
        rtol=2e-3,
        atol=2e-3 * np.abs(slopes).max(),
    )


def test_the_information_is_that_of_finite_differences():
    region, emitters, algebra = region_of(30 + light(SPOTS, (13, 15)))
    start(emitters, [30.0], SPOTS)
    crowd.predict(region, emitters, 1, 2)
    crowd.equations(region, emitters, algebra, 1, 2)
    theta = np.concatenate([[30.0], *SPOTS])
    slopes = []
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-4
        ends = [
            t[0] + light(t[1:].reshape(-1, 3), (13, 15))
            for t in (theta - step, theta + step)
        ]
        slopes.append((ends[1] - ends[0]) / 2e-4)
    weight = 1 / (31 + light(SPOTS, (13, 15)))
    fisher = np.einsum("aij,bij,ij->ab", slopes, slopes, weight)
    lower = np.tril(fisher)
    np.testing.assert_allclose(
        np.tril(algebra.matrices[crowd.MATRIX, :7, :7]),
        lower,
        rtol=5e-3,
        atol=1e-3 * np.abs(lower).max(),
    )
    spread = np.empty(crowd.SIZE)
    assert crowd.deviations(algebra, 7, spread)
    np.testing.assert_allclose(
        spread[:7], np.sqrt(np.diag(np.linalg.inv(fisher))), rtol=5e-3
    )


def resolve(counts, found, rule=RULE, bar=np.inf):
    region, emitters, algebra = region_of(counts)
    start(emitters, [30.0], found)
    count, _, is_sound = crowd.resolve(
        region, emitters, algebra, crowd.spot_taps(SIGMA), rule, 1, len(found), 50, bar
    )
    return count, is_sound, emitters.theta[1 : 1 + 3 * count].reshape(-1, 3)


@pytest.mark.parametrize("apart", [2.2, 3.0, 4.5])
def test_two_spots_found_as_one_are_told_apart(apart):
    rng = np.random.default_rng(2)
    true = [(6.0, 6.2, 1500.0), (6.0 + apart, 6.0, 1200.0)]
    counts = rng.poisson(30 + light(true, (13, 17)))
    count, is_sound, found = resolve(counts, [(6.0 + apart / 2, 6.0, 2500.0)])
    assert (count, is_sound) == (2, True)
    found = found[np.argsort(found[:, 0])]
    np.testing.assert_allclose(found[:, :2], [t[:2] for t in true], atol=0.35)


def test_one_spot_stays_one():
    rng = np.random.default_rng(3)
    mean = 30 + light([(6.2, 6.1, 1500.0)], (13, 13))
    counts = [resolve(rng.poisson(mean), [(6, 6, 1400.0)])[0] for _ in range(60)]
    assert counts == [1] * 60


def test_a_second_start_on_one_spot_is_taken_back():
    rng = np.random.default_rng(4)
    mean = 30 + light([(6.2, 6.1, 1500.0)], (13, 13))
    starts = [(5.5, 6.0, 800.0), (7.0, 6.2, 700.0)]
    counts = [resolve(rng.poisson(mean), starts)[0] for _ in range(30)]
    assert np.mean(np.array(counts) == 1) >= 0.95


def test_there_are_never_more_than_the_rule_allows():
    rng = np.random.default_rng(5)
    true = [(*rng.uniform(2, 14, 2), 3000.0) for _ in range(12)]
    counts = rng.poisson(30 + light(true, (17, 17)))
    few = RULE._replace(surplus=2)
    assert resolve(counts, [(8, 8, 3000.0)], few)[0] <= 3
    assert resolve(counts, [(8, 8, 3000.0)], RULE._replace(surplus=40))[0] <= crowd.MOST


@pytest.mark.parametrize(("side", "most"), [(5, 2), (6, 3), (7, 5)])
def test_a_small_region_holds_no_more_spots_than_its_pixels_tell_apart(side, most):
    rng = np.random.default_rng(6)
    middle = (side - 1) / 2
    blob = np.add.outer(*[(np.arange(side) - middle) ** 2] * 2)
    counts = rng.poisson(30 + 4000 * np.exp(-blob / (2 * 2.2**2)))
    assert resolve(counts, [(middle, middle, 9000.0)])[0] <= most
    # those that were found one by one are never too many to be fitted together
    found = [(x, y, 3000.0) for x in (1.0, side - 2.0) for y in (1.0, side - 2.0)]
    assert resolve(counts, found)[0] <= max(most, len(found))


def test_a_blob_that_three_spots_do_not_explain_is_given_up():
    rng = np.random.default_rng(8)
    blob = np.add.outer((np.arange(17) - 8.0) ** 2, (np.arange(17) - 8.0) ** 2)
    counts = rng.poisson(30 + 2000 * np.exp(-blob / (2 * 3.5**2)))
    assert resolve(counts, [(8, 8, 9000.0)])[0] > 3
    count, is_sound, _ = resolve(counts, [(8, 8, 9000.0)], bar=400.0)
    assert count <= 3
    assert not is_sound


def lower_bound(counts, run=crowd.curved_at_least):
    region, emitters, _ = region_of(counts)
    return run(region, emitters.theta)


@pytest.mark.parametrize("level", [3.0, 300.0])
@pytest.mark.parametrize("shape", [(5, 5), (9, 9), (5, 8)])
def test_no_curved_ground_leaves_less_than_its_lower_bound(shape, level):
    rng = np.random.default_rng(8)
    bounds, left = [], []
    for photons in np.geomspace(1.0, 60_000.0, 40):
        x, y = rng.uniform(0.2, 0.8, 2) * (shape[1], shape[0])
        blob = light([(x, y, photons)], shape, rng.uniform(0.6, 3.0))
        region, emitters, algebra = region_of(rng.poisson(level + blob))
        bounds.append(crowd.curved_at_least(region, emitters.theta))
        start(emitters, [level + blob.mean(), 0, 0, 0, 0, 0], [])
        goal = crowd.Goal(1e-6, np.inf, -np.inf)
        crowd.climb(region, emitters, algebra, crowd.TERMS, 0, goal, 100)
        left.append(crowd.deviance(region))
    assert np.all(np.array(bounds) <= left)


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_a_bright_blob_is_told_from_curved_ground_without_a_fit(sigma):
    counts = 300.0 + light([(4.2, 3.8, 30_000.0)], (9, 9), sigma)
    assert lower_bound(counts) > 10 * RULE.gain
    assert lower_bound(np.full((9, 9), 300.0)) < 1e-6


def test_the_lower_bound_is_the_same_interpreted():
    counts = light([(4.2, 3.9, 900.0)], (9, 7)) + 20.0
    plain = getattr(crowd.curved_at_least, "py_func", crowd.curved_at_least)
    assert lower_bound(counts) == pytest.approx(lower_bound(counts, plain), rel=1e-12)
    assert lower_bound(np.ones((1, 7))) == 0.0


@pytest.mark.parametrize("freedom", [10, 18, 60])
def test_a_rarely_low_deviance_is_that_of_chi_squared(freedom):
    expected = chi2.ppf(norm.cdf(-crowd.RARE), freedom)
    assert crowd.least_deviance(freedom, 20.0) == pytest.approx(expected, rel=0.07)
    assert crowd.least_deviance(freedom, 1.0) == 0.0  # few counts are not normal


def test_errors_of_overlapping_spots_are_as_large_as_reported():
    rng = np.random.default_rng(6)
    true = [(6.0, 6.2, 1500.0), (9.2, 6.0, 1500.0)]
    mean = 30 + light(true, (13, 16))
    pulls = []
    for _ in range(150):
        region, emitters, algebra = region_of(rng.poisson(mean + 1.0) - 1.0)
        start(emitters, [30.0], true)
        crowd.climb(region, emitters, algebra, 1, 2, crowd.TO_THE_END, 50)
        crowd.equations(region, emitters, algebra, 1, 2)
        spread = np.empty(crowd.SIZE)
        crowd.deviations(algebra, 7, spread)
        pulls.extend(
            (emitters.theta[k] - (6.0, 9.2)[k // 4]) / spread[k] for k in (1, 4)
        )
    assert 0.88 <= np.std(pulls) <= 1.12


def frame_of(counts):
    row = np.ones((1, counts.shape[1]), np.float32)
    adu = np.ascontiguousarray(counts, np.uint16)
    adu.flags.writeable = False  # as a frame is: nothing new to compile
    return crowd.Camera(adu, 0 * row, row, row, 1.0)


def settle(counts, spots, *, multi=True, radius=4, status=0):
    """Rows and codes of what stands of some single fits."""
    spots = np.ascontiguousarray(spots, np.float64).reshape(-1, crowd.RESULTS)
    results = np.empty((len(spots) + 60, crowd.RESULTS))
    codes = np.empty(len(results), np.int16)
    count = crowd.settle(
        frame_of(counts), crowd.new_room(SIGMA, len(spots) + 1), RULE, multi,
        crowd.spot_taps(SIGMA), radius, 50, spots,
        np.full(len(spots), status, np.int16), 100, 102, 101, results, codes,
    )  # fmt: skip
    return results[:count], codes[:count]


def single(x, y, photons=1500.0, *, sigma=SIGMA, ratio=-36.0):
    return [x, y, photons, 30.0, sigma, 0.05, 0.05, 60.0, 6.0, ratio]


def test_a_frame_without_spots_stays_without():
    assert len(settle(np.full((20, 20), 30), [])[0]) == 0


def test_a_lone_spot_that_fits_is_passed_on_untouched():
    counts = np.rint(31 + light([(10, 10, 1500.0)], (30, 30)))
    results, codes = settle(counts, [single(10, 10)])
    np.testing.assert_array_equal(results, [single(10, 10)])
    assert codes.tolist() == [0]


def test_what_stands_apart_joins_no_crowd_however_near():
    near = [single(10, 10, sigma=2.0), single(12, 10, sigma=2.0)]
    counts = np.rint(31 + light([(10, 10, 1500.0), (12, 10, 1500.0)], (30, 30)))
    results, codes = settle(counts, near, status=102)
    np.testing.assert_array_equal(results, near)
    assert codes.tolist() == [102, 102]


@pytest.mark.parametrize("corner", [(0.3, 0.4), (29.2, 0.1), (1.0, 29.0), (29.4, 29.4)])
def test_crowds_at_the_edge_stay_in_the_frame(corner):
    x, y = corner
    rng = np.random.default_rng(7)
    true = [(x, y, 3000.0), (abs(x - 2.5), abs(y - 1.0), 3000.0)]
    counts = rng.poisson(31 + light(true, (30, 30)))
    results, _ = settle(counts, sorted((single(*t) for t in true), key=lambda s: s[1]))
    assert 1 <= len(results) <= 2
    assert (results[:, :2] > -1).all()
    assert (results[:, :2] < 30).all()


def test_a_spot_on_a_slope_is_fitted_on_a_slope():
    """Flat ground would draw it uphill, by more than its bound."""
    rng = np.random.default_rng(9)
    slope = 60.0 + 6.0 * (np.arange(40) - 20.0)
    ground = np.maximum(slope, 20.0) + np.zeros((40, 1))
    errors, codes = [], []
    for _ in range(60):
        counts = rng.poisson(ground + light([(20.2, 20.1, 1500.0)], (40, 40)))
        results, code = settle(counts, [single(20.5, 20.1, 1700.0)])
        errors.append(results[0, 0] - 20.2)
        codes.extend(code)
    assert set(codes) == {101}
    assert abs(np.mean(errors)) < 0.03
    assert np.std(errors) < 0.12


def test_fits_that_ended_at_one_place_are_one():
    counts = np.rint(31 + light([(10, 10, 1500.0)], (30, 30)))
    results, _ = settle(counts, [single(10, 10), single(10.1, 10.1)])
    assert len(results) == 1


def test_a_frame_full_of_spots_fits_into_its_room():
    rng = np.random.default_rng(8)
    true = [(*rng.uniform(1, 58, 2), 2000.0) for _ in range(200)]
    counts = rng.poisson(31 + light(true, (60, 60)))
    spots = sorted((single(*t) for t in true), key=lambda s: s[1])
    results, _ = settle(counts, spots)
    assert 60 < len(results) < 260


def test_without_crowds_allowed_nothing_is_fitted_anew():
    counts = np.rint(31 + light([(10, 10, 1500.0), (12, 10, 1500.0)], (30, 30)))
    _, codes = settle(counts, [single(10, 10), single(12, 10)], multi=False)
    assert codes.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["compiled", "interpreted"])
@pytest.mark.parametrize(("centre", "sigma"), [(4.2, 1.3), (1.6, 0.65), (6.9, 3.0)])
def test_the_shares_of_a_spot_are_those_of_scipy(name, centre, sigma):
    run = crowd.axis_shares
    run = run if name == "compiled" else getattr(run, "py_func", run)
    first, last = max(int(centre - 3 * sigma), 0), int(centre + 3 * sigma)
    out = np.full((2, last + 1), np.nan)
    run(centre, sigma, first, last, out)
    edges = np.arange(first, last + 1) - 0.5
    shares = np.diff(norm.cdf(edges, centre, sigma))
    slopes = -np.diff(norm.pdf(edges, centre, sigma))
    np.testing.assert_allclose(out[0, first:last], shares, rtol=0, atol=1e-11)
    np.testing.assert_allclose(out[1, first:last], slopes, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["compiled", "interpreted"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (9, 7)])
def test_the_deviance_is_that_of_a_logarithm_a_pixel(name, shape):
    run = crowd.compare
    run = run if name == "compiled" else getattr(run, "py_func", run)
    counts = np.random.default_rng(2).poisson(3.0, shape) - 1.0
    region, _, _ = region_of(counts, 0.0)
    mean = counts + np.geomspace(0.01, 90.0, counts.size).reshape(shape) + 1.5
    region.planes[crowd.MEAN :][: counts.size] = mean.ravel()
    likelihood = run(region)
    lit = np.maximum(counts, 0.0)
    expected = 2.0 * (mean - lit + xlogy(lit, lit / mean)).sum()
    assert crowd.deviance(region) == pytest.approx(expected, rel=1e-12)
    below = np.where(counts < 0.0, counts * np.log(mean), 0.0).sum()
    assert likelihood == pytest.approx(below - 0.5 * expected, rel=1e-12)


def ground_alone(counts, beyond=np.inf, below=-np.inf, run=crowd.without_spot):
    room = crowd.new_room(SIGMA, 4)
    region, _, _ = region_of(counts)
    crowd.curved_at_least(region, room.emitters.theta)
    return run(room, region, 50, crowd.Goal(crowd.LOOSE, beyond, below))


@pytest.mark.parametrize("photons", [0.0, 900.0, 60_000.0])
def test_a_ground_is_left_early_only_where_it_is_beaten(photons):
    rng = np.random.default_rng(4)
    counts = rng.poisson(40.0 + light([(4.3, 3.8, photons)], (9, 9), 1.5))
    to_the_end = ground_alone(counts)
    assert ground_alone(counts, 1.01 * to_the_end) == to_the_end
    assert ground_alone(counts, 0.2 * to_the_end) >= 0.2 * to_the_end
    plain = getattr(crowd.without_spot, "py_func", crowd.without_spot)
    assert ground_alone(counts, run=plain) == pytest.approx(to_the_end, rel=1e-9)


def test_a_climb_ends_where_no_more_is_asked():
    counts = np.random.default_rng(4).poisson(light([(4.3, 3.8, 900.0)], (9, 9)) + 40.0)
    to_the_end, start = ground_alone(counts), ground_alone(counts, below=np.inf)
    assert to_the_end < start
    assert to_the_end <= ground_alone(counts, below=1.01 * to_the_end) < start
    assert ground_alone(counts, below=0.99 * to_the_end) == to_the_end


@pytest.mark.parametrize("seed", range(20))
def test_whether_a_ground_gets_below_is_what_it_is_at_the_end(seed):
    """Dark counts, of which some are below zero."""
    rng = np.random.default_rng(seed)
    counts = rng.normal(1.0, 1.6, (9, 9)) + light([(4.3, 3.8, 60.0)], (9, 9))
    assert (counts < 0.0).any()
    to_the_end = ground_alone(counts)
    for below in to_the_end * np.array([0.9, 0.999, 1.001, 1.1]):
        assert (ground_alone(counts, below=below) < below) == (to_the_end < below)


def test_a_ground_starts_flat_where_its_squares_lead_below_zero():
    counts = light([(0.0, 0.0, 9000.0)], (9, 9), 1.2)
    region, emitters, _ = region_of(counts, 0.0)
    crowd.curved_at_least(region, emitters.theta)
    assert emitters.theta[1] < 0.0
    crowd.start_ground(region, emitters.theta)
    assert emitters.theta[0] == pytest.approx(counts.mean())
    assert not emitters.theta[1 : crowd.TERMS].any()


def test_two_emitters_that_are_beaten_are_not_climbed_to_the_end():
    price = RULE.gain / 3.0 * 7
    assert not crowd.is_beaten(-40.0, RULE, 1, 2, 80.0 + price - crowd.NEARLY)
    assert crowd.is_beaten(-40.0, RULE, 1, 2, 79.9 + price - crowd.NEARLY)
    assert not crowd.is_beaten(-40.0, RULE, 1, 3, 1.0)
    assert not crowd.is_beaten(-40.0, RULE, 1, 1, np.inf)


def uneven(counts, spots, around, run=crowd.unevenness):
    """Of a region of a frame whose spots are all held to shine there."""
    spots = np.array(spots).reshape(-1, crowd.RESULTS)
    room = crowd.new_room(SIGMA, len(spots) + 1)
    return run(frame_of(counts), room, spots, (0, len(spots)), around)


def uneven_by_pixels(counts, spots, around, variance=1.0):
    """The same, from pixels and scipy alone."""
    top, left, height, width = around
    dark = counts - sum(light([s[:3]], counts.shape, s[4]) for s in spots)
    box = np.s_[top : top + height, left : left + width]
    means, noise = [], []
    for rows in np.split(np.arange(height), [height // 3, 2 * height // 3]):
        for columns in np.split(np.arange(width), [width // 3, 2 * width // 3]):
            part = np.ix_(rows, columns)
            means.append(dark[box][part].mean())
            noise.append(
                (counts[box] + variance)[part].mean() / rows.size / columns.size
            )
    return np.var(means, ddof=1) / np.mean(noise)


@pytest.mark.parametrize("around", [(5, 7, 15, 15), (0, 0, 13, 15), (16, 20, 14, 10)])
@pytest.mark.parametrize("name", ["compiled", "interpreted"])
def test_unevenness_is_that_of_nine_means_without_the_spots(around, name):
    rng = np.random.default_rng(10)
    counts = rng.poisson(200.0 + 3.0 * np.arange(30) + np.zeros((30, 1)))
    spots = [single(12.3, 11.8), single(2.0, 14.4, 700.0), single(21, 29.6, sigma=2.5)]
    run = crowd.unevenness
    run = run if name == "compiled" else getattr(run, "py_func", run)
    found = uneven(counts, spots, around, run)
    # beyond its reach a spot's light is neglected: 3e-4 of it
    assert found == pytest.approx(uneven_by_pixels(counts, spots, around), rel=3e-3)


def test_ground_is_even_under_shot_noise_with_its_spots_taken_off():
    rng = np.random.default_rng(11)
    spots = [single(9.2, 10.1, 4000.0), single(15.0, 12.0)]
    mean = 40.0 + light([s[:3] for s in spots], (24, 24))
    values = [uneven(rng.poisson(mean), spots, (4, 4, 15, 15)) for _ in range(300)]
    assert np.mean(values) == pytest.approx(1.0, abs=0.15)


def test_a_region_too_small_for_parts_is_not_uneven():
    assert uneven(np.full((20, 20), 30), [], (3, 3, 1, 1)) == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (13, 9)])
@pytest.mark.parametrize("name", ["compiled", "interpreted"])
def test_the_next_emitter_is_where_a_correlation_by_scipy_is_highest(shape, name):
    rng = np.random.default_rng(12)
    region, _, _ = region_of(np.zeros(shape))
    residual, weight = rng.normal(0.1, 1.0, shape), rng.uniform(0.5, 2.0, shape)
    region.planes[crowd.RESIDUAL :][: residual.size] = residual.ravel()
    region.planes[crowd.WEIGHT :][: weight.size] = weight.ravel()
    taps = crowd.spot_taps(SIGMA)
    shares, squares = (np.outer(t, t) for t in taps)
    upper = correlate2d(residual, shares, "same")
    score = upper / np.sqrt(correlate2d(weight, squares, "same"))
    if shape == (1, 1):
        middle = taps.shape[1] // 2
        upper = residual * shares[middle, middle]
        score = upper / np.sqrt(weight * squares[middle, middle])
    run = crowd.next_emitter
    run = run if name == "compiled" else getattr(run, "py_func", run)
    best, _, row, column = run(region, taps, taps.shape[1] // 2)
    assert best == pytest.approx(score.max(), rel=1e-12)
    assert (row, column) == np.unravel_index(score.argmax(), shape)


def test_a_frame_smaller_than_what_is_looked_at_is_not_left():
    counts = np.random.default_rng(13).poisson(np.full((11, 11), 40))
    settled = settle(counts, [single(5, 5, 300.0)], multi=False, radius=4)
    assert len(settled[0]) == 1
    camera = frame_of(counts)
    assert crowd.extent(camera, 5.0, 5.0, 13) == (0, 0, 11, 11)
