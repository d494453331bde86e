"""Kappa, ICC, Bland-Altman, shares and quartiles: published and hand-made examples."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.agreement import bland_altman, icc, kappa
from her2sr_proc.statistics.regression import threshold_line
from her2sr_proc.statistics.summary import clopper_pearson, summarize

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Shrout and Fleiss 1979, table 2: ICC(2,1) is 0.29."""


def test_kappa_by_hand():
    # agree 35 of 50; chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / 0.5
    found = kappa([[20, 5], [10, 15]])
    assert found.kappa == pytest.approx(0.4)
    assert found.agreement.share == pytest.approx(0.7)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_and_its_error_are_statsmodels(weights):
    table = np.array([[22, 5, 1], [4, 18, 6], [2, 3, 19]])
    ours = kappa(table, weights)
    wt = None if weights == "none" else weights
    theirs = cohens_kappa(table, wt=wt)
    assert ours.kappa == pytest.approx(theirs.kappa)
    assert ours.standard_error == pytest.approx(theirs.std_kappa)
    low, high = ours.interval_95
    assert (low, high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp))


def test_full_agreement_has_no_interval_of_kappa():
    found = kappa([[5, 0], [0, 4]])
    assert found.kappa == 1.0
    assert found.interval_95 is None
    assert found.agreement.low < 1


def test_no_better_than_chance_is_zero():
    assert kappa([[4, 4], [4, 4]]).kappa == pytest.approx(0.0)


def test_icc_of_shrout_and_fleiss():
    found = icc(SHROUT_FLEISS)
    assert found.icc == pytest.approx(0.29, abs=0.005)
    assert found.interval_95 == pytest.approx((0.02, 0.76), abs=0.005)
    assert (found.cases, found.raters) == (6, 4)


def test_icc_is_absolute_and_sees_an_observer_who_counts_more():
    first = np.array([2.0, 3.0, 4.0, 6.0, 8.0])
    same = icc(np.column_stack([first, first]))
    more = icc(np.column_stack([first, first + 3]))
    assert same.icc == pytest.approx(1.0)
    # cases 2 s2 = 2 * 5.8, raters 5 * 9 / 2, rest 0: 11.6 / (11.6 + 2 * 22.5 / 5)
    assert more.icc == pytest.approx(11.6 / (11.6 + 9.0))


def test_icc_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        truth = rng.normal(0, 2.0, (25, 1))
        raters = rng.normal(0, 0.5, (1, 4))
        low, high = icc(truth + raters + rng.normal(0, 1.0, (25, 4))).interval_95
        hits += low <= 4.0 / (4.0 + 0.25 + 1.0) <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_bland_altman_by_hand():
    found = bland_altman([1, 2, 3, 4], [2, 2, 5, 5])
    # differences 1 0 2 1: mean 1, sd sqrt(2/3)
    sd = (2 / 3) ** 0.5
    assert found.bias == 1.0
    assert found.sd == pytest.approx(sd)
    assert found.upper_limit == pytest.approx(1 + 1.959964 * sd, abs=1e-6)
    t = stats.t.ppf(0.975, 3)
    assert found.bias_interval_95[1] == pytest.approx(1 + t * sd / 2)


def test_bland_altman_sees_differences_that_grow_with_the_mean():
    first = np.arange(1.0, 9.0)
    found = bland_altman(first, first * 1.5)
    assert found.slope == pytest.approx(0.4)
    assert found.slope_p < 1e-6


def test_clopper_pearson_by_the_binomial_it_inverts():
    found = clopper_pearson(2, 14)
    assert stats.binom.sf(1, 14, found.low) == pytest.approx(0.025)
    assert stats.binom.cdf(2, 14, found.high) == pytest.approx(0.025)


def test_none_of_ten_has_the_upper_bound_of_the_formula():
    found = clopper_pearson(0, 10)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_quartiles_stand_at_n_plus_one():
    # of 7 values the second and the sixth
    found = summarize([7, 1, 2, 6, 3, 5, 4])
    assert (found.q1, found.median, found.q3) == (2, 4, 6)


def test_a_line_finds_the_factors_that_made_the_thresholds():
    rng = np.random.default_rng(3)
    mean, sd = rng.uniform(50, 200, 12), rng.uniform(80, 400, 12)
    chosen = 20 + 1.5 * mean + 4.2 * sd + rng.normal(0, 5, 12)
    found = threshold_line(mean, sd, chosen)
    factors = (found.intercept_adu, found.mean_factor, found.sd_factor)
    design = np.column_stack([np.ones(12), mean, sd])
    assert factors == pytest.approx(np.linalg.lstsq(design, chosen, rcond=None)[0])
    left_out = []
    for row in range(12):
        others = np.arange(12) != row
        by_others = np.linalg.lstsq(design[others], chosen[others], rcond=None)[0]
        left_out.append(chosen[row] - design[row] @ by_others)
    assert found.left_out_rmse_adu == pytest.approx(
        np.sqrt(np.mean(np.square(left_out)))
    )
    assert not found.is_formula


NAN = float("nan")
REFUSED = [
    pytest.param(lambda: kappa([[1, 2, 3], [4, 5, 6]]), "same categories", id="oblong"),
    pytest.param(lambda: kappa([[0, 0], [0, 0]]), "is empty", id="nobody"),
    pytest.param(lambda: kappa([[9, 0], [0, 0]]), "one category alone", id="constant"),
    pytest.param(lambda: icc([[1, 2]]), "at least two cases", id="one case"),
    pytest.param(lambda: icc([[1, NAN], [2, 3]]), "not a finite", id="icc nan"),
    pytest.param(lambda: icc([[2, 2], [2, 2]]), "all ratings are equal", id="icc flat"),
    pytest.param(lambda: bland_altman([1], [2]), "has 1 values", id="one pair"),
    pytest.param(lambda: bland_altman([1, 2], [2]), "has 1 values", id="short"),
    pytest.param(lambda: bland_altman([1, 2, 3], [2, 3]), "no pairs", id="unequal"),
    pytest.param(lambda: clopper_pearson(3, 2), "is no share", id="3 of 2"),
    pytest.param(lambda: clopper_pearson(0, 0), "is no share", id="0 of 0"),
    pytest.param(lambda: clopper_pearson(1, 2, 1.0), "confidence", id="certain"),
    pytest.param(lambda: summarize([]), "has 0 values", id="nothing"),
    pytest.param(
        lambda: threshold_line([1, 2, 3], [1, 2, 3], [1, 2, 3]), "4", id="few"
    ),
    pytest.param(
        lambda: threshold_line([1, 2, 3, 4], [2, 4, 6, 8], [1, 2, 3, 5]),
        "rise together",
        id="collinear",
    ),
    pytest.param(
        lambda: threshold_line([1, 2, 3, 4], [2, 4, 5, 8], [1, 1, 1, 1]),
        "all thresholds are equal",
        id="flat",
    ),
]


@pytest.mark.parametrize(("ask", "words"), REFUSED)
def test_what_cannot_be_told_is_refused_in_one_sentence(ask, words):
    with pytest.raises(RequestError, match=words) as refusal:
        ask()
    assert "\n" not in str(refusal.value)
