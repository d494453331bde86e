"""Steps between frames are summed, compiled and interpreted alike, and noise goes."""

import numpy as np
import pytest
from scipy import ndimage

from her2sr_proc.fluctuation import Fluctuations, _taps
from her2sr_proc.kernels import fluctuate
from her2sr_proc.schema.camera import CameraMaps, CameraModel

SHAPE = (24, 20)
CAMERA = CameraMaps.uniform(CameraModel(), SHAPE)
GENERATOR = np.random.default_rng(11)
MOVIE = GENERATOR.integers(100, 900, (6, *SHAPE)).astype(np.uint16)


def steps(add, movie, window=100):
    first, previous = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    summed, total = np.zeros(SHAPE), np.zeros(SHAPE)
    maps = (CAMERA.offset_adu, CAMERA.e_per_adu, _taps(1.0))
    add(movie, *maps, -1, window, first, previous, summed, total)
    return summed, total


def smoothed(movie):
    photons = (movie.astype(np.float64) - 100) * 0.46
    return ndimage.gaussian_filter(photons, (0, 1, 1), truncate=3, mode="nearest")


def both(function):
    """Return a kernel compiled and interpreted, also where the compiler is off."""
    return [function, getattr(function, "py_func", function)]


@pytest.mark.parametrize("smooth", both(fluctuate.smooth))
def test_smoothing_equals_scipy(smooth):
    image = GENERATOR.normal(size=SHAPE).astype(np.float32)
    taps = _taps(1.3)
    out, along = np.empty(SHAPE, np.float32), np.empty(SHAPE, np.float32)
    smooth(image, taps, along, out)
    expected = ndimage.convolve1d(image, taps, axis=0, mode="nearest")
    expected = ndimage.convolve1d(expected, taps, axis=1, mode="nearest")
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("add", both(fluctuate.add_steps))
def test_steps_are_the_squared_differences_of_smoothed_frames(add):
    summed, total = steps(add, MOVIE)
    expected = (np.diff(smoothed(MOVIE), axis=0) ** 2).sum(0)
    np.testing.assert_allclose(summed, expected, rtol=1e-3)
    photons = (MOVIE.astype(np.float64) - 100) * 0.46
    np.testing.assert_allclose(total, photons.sum(0), rtol=1e-5)


@pytest.mark.parametrize("add", both(fluctuate.add_steps))
def test_the_trend_of_each_window_is_taken_off(add):
    summed, _ = steps(add, MOVIE, window=2)
    frames = smoothed(MOVIE)
    expected = (np.diff(frames, axis=0) ** 2).sum(0)
    for first in (0, 2):
        expected -= (frames[first + 2] - frames[first]) ** 2 / 2
    np.testing.assert_allclose(summed, expected, rtol=1e-2, atol=1.0)


def test_one_frame_has_no_step():
    summed, _ = steps(fluctuate.add_steps, MOVIE[:1])
    assert not summed.any()


def test_blocks_give_what_the_whole_gives():
    whole, parts = Fluctuations(CAMERA, 1.0), Fluctuations(CAMERA, 1.0)
    movie = np.concatenate([MOVIE] * 5)
    whole.add(movie, first_frame=0)
    for first in range(0, 30, 5):
        parts.add(movie[first : first + 5], first_frame=first)
    np.testing.assert_allclose(parts.image(), whole.image(), rtol=1e-5)


def test_no_step_is_counted_across_a_gap():
    level = np.full((3, *SHAPE), 200, np.uint16)
    gap, whole = Fluctuations(CAMERA, 1.0), Fluctuations(CAMERA, 1.0)
    gap.add(level, first_frame=0)
    gap.add(level + np.uint16(500), first_frame=10)
    whole.add(np.concatenate([level, level + np.uint16(500)]), first_frame=0)
    assert gap._steps.max() < 1e-3 * whole._steps.max()


def test_three_frames_are_the_least():
    short = Fluctuations(CAMERA, 1.0)
    assert short.image() is None
    short.add(MOVIE[:2], first_frame=0)
    assert short.image() is None
    short.add(MOVIE[:3], first_frame=10)
    assert short.image() is not None


def test_a_steady_decay_is_no_fluctuation():
    fall = np.linspace(3000.0, 600.0, 49)[:, None, None] * np.ones(SHAPE)
    movie = np.round(100 + fall / 0.46).astype(np.uint16)
    fluctuations = Fluctuations(CAMERA, 1.0)
    fluctuations.add(movie, first_frame=0)
    # 50 electrons a step would be a variance of 1250 each
    assert np.abs(fluctuations._steps).max() / 48 / 2 < 1.0


def camera_counts(electrons, seed=2):
    generator = np.random.default_rng(seed)
    noisy = generator.poisson(electrons) + generator.normal(0, 1.6, electrons.shape)
    return np.round(100 + noisy / 0.46).astype(np.uint16)


def test_steady_light_has_no_fluctuation_and_a_blinking_dye_has():
    light = np.full((300, *SHAPE), 80.0)
    light[:, :, 14:] = 400.0  # steady, however bright
    blinks = np.random.default_rng(3).random(300) < 0.5
    light[:, 12, 5] += 300.0 * blinks
    fluctuations = Fluctuations(CAMERA, 1.0)
    fluctuations.add(camera_counts(light), first_frame=0)
    image = fluctuations.image()
    # a fair coin of height h has variance h^2 / 4, seen through the smoothing's peak
    expected = 300.0**2 / 4 * (float(_taps(1.0).max()) ** 2) ** 2
    assert image[12, 5] == pytest.approx(expected, rel=0.2)
    quiet = np.delete(image, slice(0, 10), axis=1)
    assert abs(quiet.mean()) < 0.02 * expected


def test_the_border_is_as_quiet_as_the_middle():
    light = np.full((400, *SHAPE), 100.0)
    fluctuations = Fluctuations(CAMERA, 2.0)
    fluctuations.add(camera_counts(light), first_frame=0)
    image = fluctuations.image()
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    # repeating the border without repeating its noise would leave an excess of 4
    assert abs(border.mean()) < 1.0
