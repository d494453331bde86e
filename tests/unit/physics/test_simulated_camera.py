"""The sensor: counts have the mean and the spread that its model says."""

import math

import numpy as np
import pytest
from scipy import stats

from simulators._kernels import sensor
from simulators.camera import Camera
from simulators.options import CameraOptions, SimulationOptions

SHAPE = (128, 128)


def camera(**changes: float) -> Camera:
    options = CameraOptions(**changes)
    return Camera(SimulationOptions(height=SHAPE[0], width=SHAPE[1], camera=options))


def even(**changes: float) -> Camera:
    """A camera whose pixels are all alike but for their read noise."""
    return camera(offset_sd_adu=0.0, gain_sd=0.0, hot_fraction=0.0, **changes)


def frame(sensor_: Camera, electrons: float, number: int = 0) -> np.ndarray:
    out = np.zeros(SHAPE, np.uint16)
    sensor_.expose(np.full(SHAPE, electrons, np.float32), 0.03, number, out)
    return out


@pytest.mark.parametrize("electrons", [0.0, 0.7, 9.0, 25.0, 47.9, 48.1, 400.0, 9000.0])
def test_counts_have_the_mean_and_the_variance_of_the_model(electrons: float) -> None:
    adu = np.array([frame(even(), electrons, n) for n in range(12)], np.float64)
    mean = 100.0 + (electrons + 0.003) / 0.46
    variance = (electrons + 0.003 + 1.6**2) / 0.46**2 + 1 / 12
    assert adu.mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / adu.size))
    assert adu.var() == pytest.approx(variance, rel=0.04 if electrons < 1 else 0.02)


def counters(count: int) -> list[np.uint64]:
    """Starts of independent streams."""
    return list(np.random.default_rng(5).integers(0, 2**64, count, np.uint64))


@pytest.mark.parametrize("mean", [0.3, 4.0, 12.0, 30.0, 47.0])
def test_low_poisson_draws_are_exact(mean: float) -> None:
    drawn = [sensor.poisson_low(mean, at)[0] for at in counters(40_000)]
    counts = np.bincount(np.array(drawn, np.int64))
    expected = stats.poisson.pmf(np.arange(counts.size), mean) * len(drawn)
    usual = expected > 10
    chi2 = np.sum((counts - expected)[usual] ** 2 / expected[usual])
    assert chi2 < stats.chi2.ppf(0.9999, usual.sum())


@pytest.mark.parametrize("mean", [48.0, 60.0, 300.0, 5000.0])
def test_high_poisson_draws_follow_the_distribution_to_a_thousandth(
    mean: float,
) -> None:
    """Inverts the normal on a fine grid, so that no chance is left."""
    z = stats.norm.ppf((np.arange(40_000) + 0.5) / 40_000)
    drawn = np.array([sensor.poisson_high(mean, value) for value in z])
    levels = np.arange(drawn.min(), drawn.max() + 1)
    found = np.searchsorted(drawn, levels, side="right") / drawn.size
    assert np.abs(found - stats.poisson.cdf(levels, mean)).max() < 1e-3


def test_normal_draws_are_normal() -> None:
    starts = counters(80_000)
    bits, rest = starts[::2], starts[1::2]
    drawn = np.array([sensor.normal(b, a)[0] for b, a in zip(bits, rest, strict=True)])
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert np.abs(drawn).max() > 3.7


def test_neighbouring_pixels_and_frames_are_independent() -> None:
    frames = np.array([frame(even(), 200.0, n) for n in range(20)], np.float64)
    frames -= frames.mean()
    for shifted in (
        np.roll(frames, 1, 0),
        np.roll(frames, 1, 1),
        np.roll(frames, 1, 2),
    ):
        assert abs(np.mean(frames * shifted) / frames.var()) < 0.01


def test_the_same_number_draws_the_same_frame_and_another_does_not() -> None:
    np.testing.assert_array_equal(frame(camera(), 50.0, 4), frame(camera(), 50.0, 4))
    assert np.any(frame(camera(), 50.0, 4) != frame(camera(), 50.0, 5))


def test_a_bright_pixel_saturates() -> None:
    assert frame(camera(), 1e6).min() == 65535


def test_read_noise_is_right_in_sum_and_has_a_tail() -> None:
    noise = camera(hot_fraction=0.0).read_noise_e
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.6, rel=1e-3)
    assert np.median(noise) < 1.5
    assert 0.002 < np.mean(noise > 4.0) < 0.02


def test_pixels_differ_a_little_in_offset_and_gain() -> None:
    one = camera()
    assert one.offset_adu.mean() == pytest.approx(100.0, abs=0.05)
    assert np.std(one.offset_adu) == pytest.approx(0.6, rel=0.05)
    assert np.std(one.adu_per_e * 0.46) == pytest.approx(0.005, rel=0.05)


def test_hot_pixels_glow_in_the_dark() -> None:
    hot = camera(hot_fraction=0.001)
    dark = np.mean([frame(hot, 0.0, n) for n in range(20)], axis=0)
    assert 4 <= np.sum(dark > 110.0) <= 40


def test_fast_frames_have_the_moments_of_exact_ones() -> None:
    one, rate = camera(hot_fraction=0.0), np.full(SHAPE, 300.0, np.float32)
    moments = np.zeros((2, *SHAPE), np.float32)
    one.moments(rate, 0.03, moments)
    fast = np.zeros((20, *SHAPE), np.uint16)
    for n, out in enumerate(fast):
        one.expose_fast(moments, n, out)
    exact = np.array([frame(one, 300.0, n) for n in range(20)], np.float64)
    assert fast.mean() == pytest.approx(exact.mean(), rel=1e-3)
    assert fast.std() == pytest.approx(exact.std(), rel=0.02)
    assert np.any(fast[0] != fast[1])
