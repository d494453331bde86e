"""Intervals, chances, trends and populations against independent answers."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scored_samples import PARAMS, sample

from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.budget import budget
from her2sr_proc.scoring.chances import group_probabilities, totals_probabilities
from her2sr_proc.scoring.intervals import (
    fieller,
    mean_interval,
    ratio_interval,
    spread,
    widened,
)
from her2sr_proc.scoring.populations import second_population
from her2sr_proc.scoring.trends import trends


def rng(seed=1):
    return np.random.default_rng(seed)


def test_fieller_holds_exactly_the_ratios_that_a_t_test_does_not_reject():
    her2, cep17 = rng().poisson(5, 30), rng(2).poisson(2, 30)
    low, high = ratio_interval(her2, cep17)
    for ratio in (low, high):
        test = stats.ttest_1samp(her2 - ratio * cep17, 0.0)
        assert test.pvalue == pytest.approx(0.05, abs=1e-6)


def test_copies_of_a_nucleus_in_its_field_are_no_evidence():
    her2, cep17 = rng().poisson(5, 12), rng(2).poisson(2, 12)
    field = np.arange(12)
    alone = ratio_interval(her2, cep17, field=field)
    twice = (np.repeat(x, 5) for x in (her2, cep17))
    many = ratio_interval(*twice, field=np.repeat(field, 5))
    assert many == pytest.approx(alone)


def test_fields_of_unequal_size_have_fewer_degrees_of_freedom():
    counts = rng().poisson(5, 40)
    even = spread(counts, counts, np.arange(40) % 8)
    uneven = spread(counts, counts, np.repeat(np.arange(8), [12, 8, 6, 5, 4, 2, 2, 1]))
    assert even.degrees == pytest.approx(7)
    assert uneven.degrees < 5


def test_with_three_fields_nuclei_count_as_independent():
    counts = rng().poisson(5, 30)
    assert spread(counts, counts, np.arange(30) % 3).clusters == 0
    assert spread(counts, counts, np.arange(30) % 4).clusters == 4


def test_the_mean_has_students_interval():
    her2 = rng().poisson(5, 25)
    expected = stats.t.interval(0.95, 24, her2.mean(), stats.sem(her2))
    assert mean_interval(her2) == pytest.approx(expected)


def test_common_errors_widen_both_sides_by_the_same_factor():
    low, high = widened((1.8, 2.2), math.sqrt(1.8 * 2.2), 0.05)
    assert low < 1.8
    assert high > 2.2
    assert low * high == pytest.approx(1.8 * 2.2)


def test_without_common_errors_nothing_widens():
    assert widened((1.8, 2.2), 2.0, 0.0) == pytest.approx((1.8, 2.2))


def test_a_lower_bound_of_nothing_stays():
    assert widened((0.0, 3.0), 1.0, 0.1)[0] == 0.0


def test_an_interval_of_constant_counts_is_a_point():
    found = spread(np.full(20, 6), np.full(20, 3), np.arange(20) % 5)
    assert fieller(found) == pytest.approx((2.0, 2.0))


def test_disagreement_of_the_counter_widens_the_common_error():
    counts = np.full(20, 8)
    limits = {
        "her2_low": counts - 4,
        "her2_high": counts + 8,
        "cep17_low": counts,
        "cep17_high": counts,
    }
    sure = budget(sample(counts, counts), ScoreParams())
    open_ = budget(sample(counts, counts, **limits), ScoreParams())
    assert open_.her2_counter > sure.her2_counter
    assert open_.cep17_counter == sure.cep17_counter


def test_chances_are_those_of_the_means():
    her2 = rng().poisson(8, 100)
    found = spread(her2, np.full(100, 4))
    chances = group_probabilities(
        found, relative_sd=(0.0, 0.0), draws=40_000, generator=rng()
    )
    sure = stats.t.sf((8.0 - found.her2) / found.her2_variance**0.5, found.degrees)
    assert chances["1"] == pytest.approx(sure, abs=0.01)


def test_common_errors_make_a_group_less_sure():
    found = spread(rng().poisson(9, 80), rng(2).poisson(4, 80))
    sharp, wide = (
        group_probabilities(found, relative_sd=sd, draws=20_000, generator=rng())
        for sd in ((0.0, 0.0), (0.1, 0.1))
    )
    assert wide["1"] < sharp["1"]


def test_chances_of_typed_totals_are_poisson():
    chances = totals_probabilities(80, 20, 20, draws=40_000, generator=rng())
    assert chances["1"] == pytest.approx(0.5, abs=0.05)  # 4.0 is as likely below
    assert sum(chances.values()) == pytest.approx(1.0)


def test_no_nuclei_have_no_chances():
    assert totals_probabilities(0, 0, 0, draws=100, generator=rng()) == {}
    assert group_probabilities(None, relative_sd=(0, 0), draws=9, generator=rng()) == {}


# --- trends --------------------------------------------------------------------------


def found_trends(slide, draws=2000):
    found = trends(slide, level=0.01, draws=draws, generator=rng())
    return {(one.probe, one.against.split()[0]): one for one in found}


def test_counts_that_fade_with_the_visits_block():
    visit = np.arange(60) % 10
    found = found_trends(sample(12 - visit, np.full(60, 2), fields=10))
    assert found["HER2", "visit"].blocks
    assert found["HER2", "visit"].correlation == pytest.approx(-1.0, abs=0.01)
    assert not found["CEP17", "visit"].blocks


def test_counts_that_fall_towards_the_rim_block():
    distance = np.linspace(0, 40, 60)
    her2 = np.rint(10 - distance / 8).astype(int)
    found = found_trends(sample(her2, np.full(60, 2), distance_um=distance))
    assert found["HER2", "distance"].blocks
    assert found["HER2", "distance"].correlation < -0.9


def test_p_of_a_trend_is_that_of_all_orders_of_the_fields():
    counts = np.array([3, 1, 4, 2, 6, 5])
    found = found_trends(sample(counts, np.full(6, 2)), draws=20_000)["HER2", "visit"]
    x = np.arange(6) - 2.5
    value = abs(x @ stats.rankdata(counts))
    orders = (abs(np.array(o) @ x) for o in itertools.permutations(counts))
    share = np.mean([order >= value - 1e-9 for order in orders])
    assert found.p_value == pytest.approx(share, abs=0.012)


def test_too_few_fields_or_nuclei_are_not_tested():
    few = found_trends(
        sample([5, 6, 7, 8], [2] * 4, fields=4, distance_um=np.arange(4.0))
    )
    assert all(one.p_value is None and not one.blocks for one in few.values())


# --- second population ---------------------------------------------------------------


def test_two_populations_are_told_apart_nucleus_by_nucleus():
    her2 = np.array([2] * 30 + [15] * 10)
    assert second_population(her2).tolist() == [False] * 30 + [True] * 10


def test_one_population_that_scatters_is_one():
    falsely = sum(
        second_population(rng(seed).poisson(rng(seed).gamma(9, 0.5, 60))) is not None
        for seed in range(60)
    )
    assert falsely <= 3  # 1 % expected; 3 of 60 is beyond 2 sigma of 2 %


@pytest.mark.parametrize("her2", [[], [3] * 40, [1, 9] * 4])
def test_what_is_too_little_or_all_alike_has_no_second_population(her2):
    assert second_population(np.array(her2, np.int64)) is None


def test_settings_of_the_tests_are_those_of_the_program():
    assert PARAMS.trend_level == ScoreParams().trend_level == 0.01
