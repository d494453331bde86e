"""A camera is measured pixel by pixel, or refused."""

import numpy as np
import pytest

from her2sr_proc.errors import DataError
from her2sr_proc.photon_transfer import Moments, measure

SHAPE = (40, 48)
LEVELS = np.linspace(100.0, 8_000.0, 12)


class Sensor:
    """Pixels that differ, with noise of numpy's own."""

    def __init__(self, seed: int = 4, excess: float = 1.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.offset = self.rng.normal(100.0, 0.6, SHAPE)
        self.gain = self.rng.normal(1.0, 0.005, SHAPE) / 0.46
        self.noise = 1.6 * self.rng.lognormal(0.0, 0.25, SHAPE)
        self.excess = excess

    def level(self, electrons, frames, flicker: float = 0.0) -> Moments:
        found = Moments(SHAPE)
        for _ in range(frames):
            mean = electrons * (1.0 + flicker * self.rng.standard_normal())
            light = self.rng.poisson(mean, SHAPE).astype(float)
            if self.excess > 1.0:  # each electron becomes a random number of them
                light = self.rng.gamma(np.maximum(light, 1e-9))
            read = self.noise * self.rng.standard_normal(SHAPE)
            counts = self.offset + self.gain * (light + read)
            found.add(np.clip(np.rint(counts), 0, 65535).astype(np.uint16))
        return found

    def levels(self, frames=120, **how):
        return [self.level(e, frames, **how) for e in LEVELS]


def median_error(found, true):
    return float(np.median(np.abs(found - true)))


def test_offset_gain_and_read_noise_are_found():
    sensor = Sensor()
    maps = measure(sensor.level(0.0, 1000), sensor.levels())
    assert median_error(maps.offset_adu, sensor.offset) < 0.1
    assert median_error(maps.e_per_adu * sensor.gain, 1.0) < 0.01
    assert median_error(maps.variance_e2 / sensor.noise**2, 1.0) < 0.05
    assert abs(np.median(maps.e_per_adu * sensor.gain) - 1.0) < 0.004  # no bias


def test_light_that_flickers_does_not_pass_for_noise_of_the_camera():
    sensor = Sensor()
    maps = measure(sensor.level(0.0, 400), sensor.levels(flicker=0.03))
    assert abs(np.median(maps.e_per_adu * sensor.gain) - 1.0) < 0.02


def test_half_a_sensor_with_another_amplifier_keeps_its_gain():
    sensor = Sensor()
    sensor.gain[10:20] *= 1.25  # a tap with another amplifier
    maps = measure(sensor.level(0.0, 400), sensor.levels())
    other = np.median(maps.e_per_adu[10:20]) / np.median(maps.e_per_adu[25:])
    assert other == pytest.approx(0.8, abs=0.01)


def test_electron_multiplication_has_twice_the_variance():
    sensor = Sensor(excess=2.0)
    maps = measure(sensor.level(0.0, 400), sensor.levels(), em_gain=100.0)
    true = 100.0 / sensor.gain  # before multiplication is divided out
    assert np.median(maps.e_per_adu / true) == pytest.approx(1.0, abs=0.02)


def test_hot_pixels_are_marked():
    sensor = Sensor()
    sensor.noise[5, 7] = 30.0
    sensor.offset[8, 9] = 160.0
    maps = measure(sensor.level(0.0, 400), sensor.levels(frames=20))
    assert maps.hot[5, 7]
    assert maps.hot[8, 9]
    assert maps.hot.sum() < 12


def test_moments_are_those_of_numpy():
    rng = np.random.default_rng(1)
    movie = rng.integers(0, 65536, (50, 6, 5)).astype(np.uint16)
    found = Moments((6, 5))
    for frame in movie:
        found.add(frame)
    assert found.mean == pytest.approx(movie.mean(axis=0))
    assert found.variance == pytest.approx(movie.var(axis=0, ddof=1, dtype=float))


def test_saturated_levels_are_refused():
    sensor = Sensor()
    levels = [*sensor.levels(frames=20), sensor.level(40_000.0, 20)]
    with pytest.raises(DataError, match="saturated at the level of 65535"):
        measure(sensor.level(0.0, 100), levels)


def test_a_film_that_does_not_shine_is_refused():
    sensor = Sensor()
    levels = [sensor.level(0.5, 20) for _ in range(4)]
    with pytest.raises(DataError, match="uniform fluorescent film"):
        measure(sensor.level(0.0, 100), levels)


def test_a_response_that_is_not_straight_is_refused():
    sensor = Sensor()
    levels = sensor.levels(frames=30)
    for level in levels[6:]:  # a driver that smooths bright frames
        level._squares //= 4
        level._sum //= 2
    with pytest.raises(DataError, match="does not grow in proportion"):
        measure(sensor.level(0.0, 100), levels)


@pytest.mark.parametrize(("dark", "levels"), [(100, 2), (9, 12)])
def test_too_little_is_refused(dark, levels):
    sensor = Sensor()
    with pytest.raises(DataError, match="needed"):
        measure(sensor.level(0.0, dark), sensor.levels(frames=10)[:levels])
