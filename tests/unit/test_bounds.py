"""Bounds: against formulas of others, and the order that they must keep."""

import math

import numpy as np
import pytest

from her2sr_proc.bounds import (
    position_bound_px,
    resolvable_nm,
    split_p_value,
    split_probability,
)
from her2sr_proc.errors import RequestError

PAIR = {"molecules": 40.0, "blob_nm": 85.0, "precision_nm": 20.0, "p_value": 0.005}
FLAT = np.full((17, 17), 300.0)


def bound(ground=FLAT, photons=350.0, sigma=0.66, **more):
    return position_bound_px(
        (8.0, 8.0),
        photons=photons,
        sigma_px=sigma,
        ground_e=ground,
        read_noise_e=1.6,
        **more,
    )


@pytest.mark.parametrize(
    ("photons", "level", "nm"),
    [(200, 2, 14.81), (1000, 10, 5.85), (1000, 50, 8.33), (5000, 50, 2.55)],
)
def test_a_blink_on_flat_ground_has_the_published_bound(photons, level, nm):
    ground = np.full((9, 9), float(level))
    sd = position_bound_px(
        (4.0, 4.0), photons=photons, sigma_px=1.3, ground_e=ground, read_noise_e=1.6
    )
    assert 100.0 * np.array(sd) == pytest.approx([nm, nm], rel=0.006)


def test_structured_ground_costs_most_where_the_light_falls():
    ramp = FLAT + 30.0 * np.arange(-8, 9)
    y, x = bound(np.maximum(ramp, 0.0))
    assert y == pytest.approx(x, rel=0.1)
    brighter = bound(FLAT + 200.0)
    assert brighter[0] > 1.2 * bound()[0]


def test_what_has_to_be_learnt_of_the_ground_costs_precision():
    known, level, plane = (
        bound(unknown=what)[1] for what in ("nothing", "level", "plane")
    )
    assert known <= level + 1e-12 <= plane
    assert plane > 1.0001 * level


@pytest.mark.parametrize(
    "wrong", [{"photons": 0.0}, {"sigma": 0.0}, {"ground": FLAT - 400.0}]
)
def test_an_impossible_blink_is_refused(wrong):
    with pytest.raises(RequestError, match="no bound for"):
        bound(**wrong)


def test_a_pair_is_told_apart_more_often_the_farther_and_the_more_dyes():
    told = [split_probability(d, **PAIR) for d in (0, 100, 150, 200, 250, 400)]
    assert told[0] == PAIR["p_value"]
    assert told == sorted(told)
    assert told[-1] > 0.999
    fewer = split_probability(200, **(PAIR | {"molecules": 15.0}))
    assert fewer < split_probability(200, **PAIR)


def test_worse_localizations_tell_less():
    blurred = split_probability(200, **(PAIR | {"precision_nm": 80.0}))
    assert blurred < split_probability(200, **PAIR)


def test_the_resolvable_distance_is_where_the_chance_is_that():
    distance = resolvable_nm(**PAIR, power=0.9)
    assert split_probability(distance, **PAIR) == pytest.approx(0.9, abs=0.01)


def test_too_few_dyes_resolve_no_distance():
    assert resolvable_nm(**(PAIR | {"molecules": 0.05}), power=0.9) == math.inf


def test_no_gain_is_no_evidence():
    assert split_p_value(-1.0) == split_p_value(0.0) == 1.0
    assert split_p_value(20.0) < split_p_value(10.0) < 0.02


def test_a_test_without_molecules_is_refused():
    with pytest.raises(RequestError, match="no test for"):
        split_probability(100.0, **(PAIR | {"molecules": 0.0}))
