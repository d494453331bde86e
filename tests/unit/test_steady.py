"""A step that comes once is no growth; what goes on from burst to burst is."""

import numpy as np
import pytest
from steady import steady_growth_mb
from vitals import Sample

BURSTS = [(0.0, 150.0), (155.0, 305.0), (310.0, 340.0)]
TIMES = np.arange(0.0, 340.0, 2.0)


def growth_of(memory, bursts=BURSTS, noise_mb=0.0):
    chance = np.random.default_rng(1)
    noise = chance.normal(0.0, noise_mb or 1e-9, TIMES.size)
    rss = np.broadcast_to(memory, TIMES.shape) + noise
    samples = [Sample(t, mb, 9, 30) for t, mb in zip(TIMES, rss, strict=True)]
    return steady_growth_mb(samples, bursts)


@pytest.mark.parametrize("at_s", [40.0, 80.0, 152.0, 158.0, 220.0, 307.0, 320.0])
def test_a_step_of_any_size_at_any_moment_is_no_growth(at_s):
    stepped = 400.0 + 300.0 * (at_s <= TIMES)
    assert abs(growth_of(stepped, noise_mb=0.5)) < 8.0


def test_a_heap_that_takes_its_shape_in_the_first_burst_is_no_growth():
    assert growth_of(400.0 - 60.0 * np.exp(-TIMES / 25.0)) < 2.0


def test_what_every_frame_leaves_over_is_growth():
    assert growth_of(400.0 + 0.06 * TIMES, noise_mb=0.5) == pytest.approx(20, abs=4)


def test_what_every_burst_leaves_over_is_growth():
    left = sum(12.0 * (begin <= TIMES) for begin, _ in BURSTS)
    assert growth_of(400.0 + left, noise_mb=0.5) == pytest.approx(24, abs=3)


def test_a_leak_is_seen_behind_a_step():
    leaking = 400.0 + 30.0 * (TIMES >= 155.0) + 0.06 * TIMES
    assert growth_of(leaking, noise_mb=0.5) > 14.0


def test_memory_that_is_given_back_is_none():
    assert growth_of(400.0 - 0.1 * TIMES) < 0.0


def test_bursts_too_short_to_tell_are_left_out():
    assert growth_of(400.0, bursts=[(0.0, 10.0)]) is None
    leaking = 400.0 + 0.06 * TIMES
    assert growth_of(leaking, bursts=[(0.0, 10.0), *BURSTS]) == pytest.approx(20, abs=2)
