"""Groups of ASCO/CAP 2018: every group and boundary, on whole numbers."""

import numpy as np
import pytest

from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import Totals, group_of, ratio_interval, score

PARAMS = ScoreParams(resamples=500)

GROUPS = [
    # her2, cep17, nuclei, group
    (160, 40, 20, 1),
    (80, 40, 20, 1),  # ratio exactly 2, exactly 4 a nucleus
    (120, 60, 20, 1),  # ratio exactly 2, exactly 6 a nucleus
    (80, 41, 20, 4),  # one CEP17 signal more: ratio below 2
    (79, 39, 20, 2),  # one HER2 signal less than 4 a nucleus
    (60, 30, 20, 2),
    (60, 31, 20, 5),
    (120, 61, 20, 3),
    (200, 110, 20, 3),
    (119, 60, 20, 4),  # one signal less than 6 a nucleus
    (80, 60, 20, 4),
    (79, 60, 20, 5),
    (40, 40, 20, 5),
    (0, 40, 20, 5),
    (40, 0, 20, None),
    (0, 0, 0, None),
]


@pytest.mark.parametrize(("her2", "cep17", "nuclei", "group"), GROUPS)
def test_group(her2, cep17, nuclei, group):
    assert group_of(Totals(her2, cep17, nuclei)) == group


def arm(her2, cep17, params=PARAMS):
    return score(
        np.asarray(her2, np.int64),
        np.asarray(cep17, np.int64),
        params=params,
        generator=np.random.default_rng(1),
    )


STATUS = [
    ([8] * 20, [2] * 20, "definite"),
    ([2] * 20, [2] * 20, "definite"),
    ([8] * 19, [2] * 19, "insufficient"),
    ([3] * 20, [1] * 20, "needs_ihc"),
    ([7] * 20, [5] * 20, "needs_ihc"),
    ([5] * 20, [4] * 20, "needs_ihc"),
    ([3] * 19, [1] * 19, "insufficient"),
    ([8] * 20, [0] * 20, "indeterminate"),
    ([0] * 20, [2] * 20, "indeterminate"),
    ([], [], "indeterminate"),
    ([1, 15] * 10, [2, 5] * 10, "insufficient"),  # group 1, but not surely
]


@pytest.mark.parametrize(("her2", "cep17", "status"), STATUS)
def test_status_and_its_reasons(her2, cep17, status):
    result = arm(her2, cep17)
    assert result.status == status
    assert bool(result.reasons) == (status != "definite")


def test_without_cep17_there_is_no_ratio_and_no_group():
    result = arm([4] * 20, [0] * 20)
    assert result.ratio is None
    assert result.ratio_interval_95 is None
    assert result.group is None


def test_too_few_nuclei_are_named_beside_the_need_for_ihc():
    result = arm([3] * 19, [1] * 19)
    assert "19 nuclei counted" in result.reasons[0]
    assert "IHC" in result.reasons[1]


def test_a_ratio_that_only_rounds_to_two_is_not_two():
    her2, cep17 = np.full(401, 5), np.full(401, 2)
    her2[0], cep17[:199] = 4, 3  # 2004 over 1003 = 1.998
    cep17[199] = 4
    result = arm(her2, cep17)
    assert result.her2_signals < 2 * result.cep17_signals
    assert result.group == 4
    assert any("prints as 2.00" in reason for reason in result.reasons)


def test_group_probabilities_sum_to_one_and_name_only_what_occurs():
    # errors common to all nuclei leave open whether a mean of exactly 4 is below it
    chances = arm([4] * 20, [2] * 10 + [3] * 10).group_probabilities
    assert sum(chances.values()) == pytest.approx(1.0)
    assert set(chances) <= {"1", "2", "4", "5"}
    assert chances["4"] == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_probabilities():
    her2, cep17 = [1, 8] * 10, [2, 3] * 10
    assert arm(her2, cep17) == arm(her2, cep17)


def test_interval_covers_the_true_ratio_in_19_of_20_samples():
    generator = np.random.default_rng(5)
    her2 = generator.poisson(4, (1000, 40))
    cep17 = generator.poisson(2, (1000, 40))
    inside = 0
    for h, c in zip(her2, cep17, strict=True):
        interval = ratio_interval(h, c)
        inside += interval is not None and interval[0] <= 2.0 <= interval[1]
    # 3 sigma of a binomial share of 0.95 over 1000 samples is 0.02
    assert inside / 1000 == pytest.approx(0.95, abs=0.021)


def test_constant_counts_leave_no_width():
    low, high = ratio_interval(np.full(20, 6), np.full(20, 3))
    assert (low, high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_one_nucleus_has_no_interval():
    assert ratio_interval(np.array([4]), np.array([2])) is None


def test_a_denominator_lost_in_noise_has_no_interval():
    assert ratio_interval(np.array([4, 4, 4]), np.array([0, 0, 1])) is None
