"""Thresholds and maxima, compiled and interpreted, on planes whose answer is known."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from her2sr_proc.kernels import detect

MODES = [
    detect.find_maxima,
    getattr(detect.find_maxima, "py_func", detect.find_maxima),
]
both = pytest.mark.parametrize("run", MODES, ids=["compiled", "interpreted"])


def maxima(band, run=detect.find_maxima, *, minimum=0.5, border=0, **other):
    """The maxima as a set of (row, column); a plane of noise 1 unless told."""
    band = np.ascontiguousarray(band, np.float32)
    height, width = band.shape
    most = ((height + 1) // 2) * ((width + 1) // 2)
    found = np.full((2, most), -1, np.int32)
    count = run(
        band,
        other.get("level", np.ones_like(band)),
        np.zeros_like(band),
        minimum,
        other.get("floor", 0.0),
        other.get("line_ratio", 1.0),
        border,
        np.empty(band.shape, np.uint8),
        np.empty(band.size, np.int32),
        found[0],
        found[1],
    )
    return [(int(r), int(c)) for r, c in found[:, :count].T]


@both
def test_maxima_of_noise_are_those_of_a_maximum_filter(run):
    plane = np.random.default_rng(3).normal(0, 1, (40, 57)).astype(np.float32)
    peaks = (plane == maximum_filter(plane, 3, mode="nearest")) & (plane > 0.5)
    assert maxima(plane, run) == [tuple(p) for p in np.argwhere(peaks).tolist()]


@both
def test_a_plateau_gives_its_central_pixel_once(run):
    plane = np.zeros((9, 12))
    plane[2:7, 3:10] = 4.0
    assert maxima(plane, run) == [(4, 6)]


@both
def test_a_plateau_with_a_higher_neighbour_gives_the_neighbour_alone(run):
    plane = np.zeros((7, 12))
    plane[3, 2:8] = 4.0
    plane[2, 8] = 5.0
    assert maxima(plane, run) == [(2, 8)]


def test_a_plateau_that_touches_the_corner_is_found_once():
    plane = np.zeros((6, 6))
    plane[:3, :3] = 1.0
    assert maxima(plane) == [(1, 1)]


@pytest.mark.parametrize("value", [0.0, 0.5], ids=["below", "equal"])
def test_a_constant_plane_at_or_below_the_threshold_has_no_maximum(value):
    assert maxima(np.full((8, 8), value)) == []


def test_one_pixel_is_its_own_maximum_and_an_empty_plane_has_none():
    assert maxima([[3.0]]) == [(0, 0)]
    assert maxima(np.empty((0, 5))) == []


def test_border_pixels_are_reported_unless_a_border_is_asked_for():
    plane = np.zeros((8, 8))
    plane[0, 4] = plane[4, 4] = 2.0
    assert maxima(plane) == [(0, 4), (4, 4)]
    assert maxima(plane, border=1) == [(4, 4)]


@both
def test_nan_is_no_maximum_and_hides_none(run):
    plane = np.zeros((8, 8))
    plane[4, 4] = 2.0
    plane[4, 5] = plane[1, 1] = np.nan
    assert maxima(plane, run) == [(4, 4)]


@both
def test_the_floor_follows_the_noise_of_the_pixel(run):
    plane = np.zeros((8, 20))
    plane[4, 4] = plane[4, 15] = 30.0
    level = np.full(plane.shape, 25.0, np.float32)
    level[:, 10:] = 100.0
    assert maxima(plane, run, floor=4.0, level=level) == [(4, 4)]


def ridge(angle_rad: float) -> np.ndarray:
    """A line of unit height through the centre, highest there."""
    rows, columns = np.mgrid[-15:16, -15:16]
    across = rows * np.cos(angle_rad) - columns * np.sin(angle_rad)
    along = rows * np.sin(angle_rad) + columns * np.cos(angle_rad)
    return np.exp(-(across**2) / 5 - along**2 / 400)


@both
@pytest.mark.parametrize("degrees", [0, 17, 30, 45, 60, 90, 110, 135, 160])
def test_a_maximum_on_a_line_is_left_out_at_any_angle(run, degrees):
    plane = ridge(np.radians(degrees))
    assert (15, 15) in maxima(plane, run, line_ratio=1.0)
    assert (15, 15) not in maxima(plane, run, line_ratio=0.5)


def test_a_spot_beside_one_neighbour_is_no_line():
    rows, columns = np.mgrid[:21, :21]
    plane = sum(
        np.exp(-((rows - 10) ** 2 + (columns - x) ** 2) / 2) for x in (8.0, 12.0)
    )
    assert maxima(plane, line_ratio=0.5) == [(10, 8), (10, 12)]


def test_a_dim_spot_between_two_bright_ones_is_no_line():
    plane = np.zeros((9, 21))
    plane[4, [6, 10, 14]] = [9.0, 2.0, 9.0]
    assert maxima(plane, line_ratio=0.5) == [(4, 6), (4, 10), (4, 14)]


@pytest.mark.parametrize(
    "run",
    [
        detect.clipped_deviation,
        getattr(detect.clipped_deviation, "py_func", detect.clipped_deviation),
    ],
    ids=["compiled", "interpreted"],
)
@pytest.mark.parametrize("most", [np.inf, 2.0, 0.5])
def test_deviation_is_that_of_numpy_after_clipping(run, most):
    rng = np.random.default_rng(4)
    plane = rng.normal(0.3, 3, (30, 40)).astype(np.float32)
    level = rng.uniform(1, 9, plane.shape).astype(np.float32)
    variance = np.full_like(plane, 0.5)
    limit = most * np.sqrt((level + variance).astype(np.float64))
    expected = np.clip(plane, -limit, limit).std(ddof=1)
    assert run(plane, level, variance, most) == pytest.approx(expected, rel=1e-7)


def test_deviation_without_predicted_noise_is_the_plain_one():
    plane = np.array([[1.0, -1.0], [5.0, -5.0]], np.float32)
    nothing = np.zeros_like(plane)
    expected = plane.std(ddof=1)
    found = detect.clipped_deviation(plane, nothing, nothing, 0.1)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.41421])
@pytest.mark.parametrize("size", [64, 301], ids=["every pixel", "strided"])
def test_noise_ratio_is_measured_over_predicted_and_deaf_to_spots(factor, size):
    rng = np.random.default_rng(5)
    level = np.full((size, size), 50.0, np.float32)
    level[:, size // 2 :] = 400.0
    variance = np.full_like(level, 2.5)
    fine = 0.89 * factor * rng.normal(0, np.sqrt(level + variance))
    fine[rng.random(fine.shape) < 0.02] += 5000
    ratio = detect.noise_ratio(fine.astype(np.float32), level, variance, 0.89)
    assert ratio == pytest.approx(factor, rel=0.06)


def test_noise_ratio_without_a_prediction_is_one():
    zero = np.zeros((5, 5), np.float32)
    assert detect.noise_ratio(zero, zero - 1, zero, 0.89) == 1.0


@both
def test_a_pixel_at_the_end_of_a_row_is_found_among_many_below(run):
    plane = np.zeros((5, 3 * detect.CHUNK + 2))
    plane[2, [0, detect.CHUNK - 1, 2 * detect.CHUNK, -1]] = 2.0
    columns = [0, detect.CHUNK - 1, 2 * detect.CHUNK, plane.shape[1] - 1]
    assert maxima(plane, run) == [(2, column) for column in columns]
