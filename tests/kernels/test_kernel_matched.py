"""The matched filter: its response, its noise, its maxima, its edges."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d, uniform_filter

from her2sr_proc.kernels import matched

both = pytest.mark.parametrize(
    "run",
    [matched.find, getattr(matched.find, "py_func", matched.find)],
    ids=["compiled", "interpreted"],
)


def find(adu, run=matched.find, *, sigma=0.68, z=5.0, border=0, most=500, **maps):
    """Rows of x, y, statistic."""
    width = adu.shape[1]
    cell = matched.cell_px(sigma)
    taps = matched.shape_taps(sigma)
    variance = np.asarray(maps.get("variance", np.ones(adu.shape)), np.float64)
    dark = z * z * matched.dark_noise(variance, taps, cell)
    offset = maps.get("offset", np.zeros((1, width)))
    gain = maps.get("gain", np.ones((1, width)))
    found = np.full((most, matched.FOUND), np.nan)
    count = run(
        np.ascontiguousarray(adu, np.uint16),
        np.ascontiguousarray(offset, np.float32),
        np.ascontiguousarray(gain, np.float32),
        np.ascontiguousarray(dark, np.float32),
        taps.astype(np.float32),
        cell,
        matched.noise_gain(taps),
        z,
        maps.get("scale", 1.0),
        border,
        found,
    )
    return found[:count]


def scene(spots, *, side=40, background=60.0, sigma=0.68, seed=1):
    i, j = np.indices((side, side))
    mean = np.full((side, side), background)
    for x, y, peak in spots:
        mean += peak * np.exp(-((j - x) ** 2 + (i - y) ** 2) / (2 * sigma**2))
    return np.random.default_rng(seed).poisson(mean)


SPOTS = [(10.2, 12.4, 400.0), (28.0, 9.1, 300.0), (19.7, 31.0, 500.0)]


@both
@pytest.mark.parametrize("sigma", [0.68, 1.3])
def test_spots_are_found_where_they_are(run, sigma):
    found = find(scene(SPOTS, sigma=sigma), run, sigma=sigma)
    assert len(found) == 3
    for x, y, _ in SPOTS:
        assert np.hypot(found[:, 0] - x, found[:, 1] - y).min() < 0.8


@pytest.mark.parametrize("sigma", [0.68, 1.3, 1.9])
def test_the_statistic_is_that_of_an_independent_filter(sigma):
    adu = scene(SPOTS, sigma=sigma)
    cell, taps = matched.cell_px(sigma), matched.shape_taps(sigma)
    whole = np.pad(adu, ((0, -len(adu) % cell), (0, 0)), mode="edge").astype(float)
    whole = whole[:, : adu.shape[1] // cell * cell]
    cells = whole.reshape(len(whole) // cell, cell, -1, cell).sum(axis=(1, 3))
    line = np.concatenate([taps[:0:-1], taps])
    shape = correlate1d(
        correlate1d(cells, line, 0, mode="nearest"), line, 1, mode="nearest"
    )
    mean = uniform_filter(cells, 2 * matched.REACH + 1, mode="nearest")
    noise2 = matched.noise_gain(taps) * (mean + cell * cell)
    statistic = (shape - mean) / np.sqrt(noise2)
    for x, y, told in find(adu, sigma=sigma):
        i, j = (round((v - 0.5 * (cell - 1)) / cell) for v in (y, x))
        assert told == pytest.approx(statistic[i, j], rel=0.35)
        assert told >= statistic[i, j] - 0.02


@pytest.mark.parametrize("sigma", [0.68, 1.3])
def test_its_noise_is_as_predicted(sigma):
    taps, cell = matched.shape_taps(sigma), matched.cell_px(sigma)
    assert 2 * taps[1:].sum() + taps[0] == pytest.approx(1.0)
    rng = np.random.default_rng(3)
    adu = rng.poisson(200.0, (400, 400))
    found = find(adu, sigma=sigma, z=2.5, most=20_000, variance=np.zeros(adu.shape))
    radius = max(2, int(np.ceil(2.6 * sigma)))
    expected = matched.false_rate(2.5, sigma, radius) * adu.size / 1e6
    assert 0.3 * expected < len(found) < 1.2 * expected
    assert cell == (1 if sigma < 1 else 2)


def test_a_noisy_pixel_that_the_map_knows_is_no_spot():
    adu = scene([])
    adu[20, 20] += 90
    variance = np.ones(adu.shape)
    assert len(find(adu, variance=variance)) == 1
    variance[20, 20] = 60.0**2
    assert len(find(adu, variance=variance)) == 0


@both
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (5, 5), (7, 4)])
@pytest.mark.parametrize("sigma", [0.68, 1.3])
def test_frames_of_any_size_are_taken(run, shape, sigma):
    assert len(find(np.full(shape, 50), run, sigma=sigma)) == 0


@pytest.mark.parametrize("place", [(0, 0), (0, 39), (39, 0), (39, 39), (20, 0)])
def test_spots_at_the_edge_are_found_unless_a_border_is_asked_for(place):
    y, x = place
    adu = scene([(x, y, 500.0)])
    assert len(find(adu)) == 1
    assert len(find(adu, border=1)) == 0


def test_a_plateau_counts_once():
    adu = np.full((20, 20), 60)
    adu[9:11, 9:11] += 300
    assert len(find(adu)) == 1


def test_no_more_are_written_than_there_is_room_for():
    assert len(find(scene(SPOTS), most=2)) == 2


def test_one_row_of_maps_and_full_maps_agree():
    adu = scene(SPOTS)
    full = {"offset": np.full(adu.shape, 7.0), "gain": np.full(adu.shape, 0.5)}
    rows = {name: plane[:1] for name, plane in full.items()}
    np.testing.assert_array_equal(find(adu, **full), find(adu, **rows))


@pytest.mark.parametrize("sigma", [0.68, 1.3])
def test_one_row_of_read_noise_and_its_full_map_agree(sigma):
    row = np.random.default_rng(3).uniform(1.0, 5.0, (1, 37))
    taps, cell = matched.shape_taps(sigma), matched.cell_px(sigma)
    of_full = matched.dark_noise(np.repeat(row, 41, axis=0), taps, cell)
    of_row = matched.dark_noise(row, taps, cell)
    np.testing.assert_array_equal(of_full, np.broadcast_to(of_row, of_full.shape))


def test_noise_is_measured_alike_by_one_row_of_maps_and_full_maps():
    adu = np.random.default_rng(5).poisson(200.0, (90, 80)).astype(np.uint16)
    maps = [np.full((90, 80), v, np.float32) for v in (100.0, 2.0, 3.0)]
    of_full = matched.noise_excess(adu, *maps, 1.0)
    assert of_full > 1.05
    assert matched.noise_excess(adu, *(plane[:1] for plane in maps), 1.0) == of_full


@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0])
def test_noise_above_the_calibration_is_measured(gain):
    rng = np.random.default_rng(5)
    adu = (gain * rng.poisson(100.0, (200, 200))).astype(np.uint16)
    maps = [np.full((1, 200), v, np.float32) for v in (0.0, 1.0)]
    variance = np.zeros((200, 200), np.float32)
    told = matched.noise_excess(adu, *maps, variance, 1.0)
    assert told == pytest.approx(np.sqrt(gain), rel=0.05)


def test_spots_do_not_pass_for_noise():
    rng = np.random.default_rng(6)
    spots = [(*rng.uniform(0, 120, 2), 300.0) for _ in range(150)]
    adu = scene(spots, side=120).astype(np.uint16)
    maps = [np.full((1, 120), v, np.float32) for v in (0.0, 1.0)]
    variance = np.zeros((120, 120), np.float32)
    assert matched.noise_excess(adu, *maps, variance, 1.0) < 1.15


def test_a_rate_and_its_threshold_belong_together():
    for rate in (0.1, 3.0, 100.0):
        z = matched.threshold_for(rate, 0.68, 2)
        assert matched.false_rate(z, 0.68, 2) == pytest.approx(rate, rel=1e-6)
