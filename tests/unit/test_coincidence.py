"""Signals of two colours at one place, beyond what chance brings about."""

import numpy as np
import pytest

from her2sr_proc.coincidence import coincidence

PIXEL_NM = 130.0


def scattered(count, seed):
    return np.random.default_rng(seed).uniform(0, 500, (count, 2))


def test_a_colour_that_leaks_over_lies_on_the_other():
    her2 = scattered(60, 1)
    leaked = her2[:30] + 0.3
    found = coincidence(her2, leaked, pixel_nm=PIXEL_NM)
    assert found.observed == 30
    assert found.by_chance < 1


def test_colours_that_have_nothing_in_common_lie_together_by_chance_alone():
    found = coincidence(scattered(3000, 1), scattered(3000, 2), pixel_nm=PIXEL_NM)
    assert found.observed > 50
    assert found.by_chance == pytest.approx(found.observed, rel=0.2)


@pytest.mark.parametrize(("one", "other"), [(0, 5), (5, 0), (0, 0)])
def test_a_colour_without_signals_coincides_with_nothing(one, other):
    found = coincidence(scattered(one, 1), scattered(other, 2), pixel_nm=PIXEL_NM)
    assert (found.observed, found.by_chance) == (0, 0.0)
