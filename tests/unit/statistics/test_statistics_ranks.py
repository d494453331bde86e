"""Tests on ranks: against enumeration by hand, against scipy, and bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.ranks import mann_whitney, paired_t, wilcoxon


def enumerated_mann_whitney(a, b) -> float:
    """Twice the smaller tail over every way to choose the first group."""
    pooled = [*a, *b]
    ranks = stats.rankdata(pooled)
    seen = ranks[: len(a)].sum()
    sums = [
        ranks[list(chosen)].sum()
        for chosen in itertools.combinations(range(len(pooled)), len(a))
    ]
    low = np.mean([s <= seen + 1e-9 for s in sums])
    high = np.mean([s >= seen - 1e-9 for s in sums])
    return min(1.0, 2 * min(low, high))


def enumerated_wilcoxon(gaps) -> float:
    """Twice the smaller tail over every choice of signs."""
    moved = [g for g in gaps if g]
    ranks = stats.rankdata(np.abs(moved))
    seen = ranks[np.array(moved) > 0].sum()
    sums = [
        ranks[np.array(signs, bool)].sum()
        for signs in itertools.product((0, 1), repeat=len(moved))
    ]
    low = np.mean([s <= seen + 1e-9 for s in sums])
    high = np.mean([s >= seen - 1e-9 for s in sums])
    return min(1.0, 2 * min(low, high))


small = st.lists(st.integers(0, 6), min_size=2, max_size=6)


@given(small, small)
def test_exact_mann_whitney_is_the_enumeration_with_ties_too(a, b):
    if len({*a, *b}) == 1:
        return
    got = mann_whitney(a, b, exactness="exact").p
    assert got == pytest.approx(enumerated_mann_whitney(a, b), abs=1e-12)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
def test_exact_signed_rank_is_the_enumeration_with_ties_and_zeros_too(gaps):
    if sum(g != 0 for g in gaps) < 2:
        return
    got = wilcoxon([0] * len(gaps), gaps, exactness="exact").p
    assert got == pytest.approx(enumerated_wilcoxon(gaps), abs=1e-12)


def test_two_against_two_by_hand():
    # 1, 2 against 3, 4: one of six choices is as low, so p = 2/6
    found = mann_whitney([1, 2], [3, 4], exactness="exact")
    assert found.p == pytest.approx(1 / 3)
    assert found.statistic == 0
    assert found.n == (2, 2)


def test_three_pairs_that_rise_by_hand():
    # one of eight choices of signs is as high, so p = 2/8
    found = wilcoxon([0, 0, 0], [1, 2, 3], exactness="exact")
    assert found.p == pytest.approx(0.25)
    assert found.statistic == 6


def test_without_ties_exact_p_values_are_scipys():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=12), rng.normal(0.7, size=15)
    ours = mann_whitney(a, b, exactness="exact").p
    assert ours == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    ours = wilcoxon(a, b[:12], exactness="exact").p
    theirs = stats.wilcoxon(b[:12] - a, method="exact").pvalue
    assert ours == pytest.approx(theirs)


def test_asymptotic_mann_whitney_is_the_tie_corrected_normal():
    a, b = [1, 1, 2, 2, 3], [1, 1, 1, 2, 2, 2, 2, 2, 4]
    found = mann_whitney(a, b, continuity=False)
    ties = [5, 7, 1, 1]
    n = 14
    variance = 45 / 12 * (n + 1 - sum(t**3 - t for t in ties) / (n * (n - 1)))
    z = (found.statistic - 22.5) / variance**0.5
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found.ties == 12


def test_five_pairs_that_all_rise_in_the_three_forms():
    before, after = [0] * 5, [1, 2, 3, 4, 5]
    assert wilcoxon(before, after).p == 0.0625
    plain = wilcoxon(before, after, exactness="asymptotic")
    corrected = wilcoxon(before, after, exactness="asymptotic", continuity=True)
    assert plain.p == pytest.approx(0.0431, abs=5e-5)
    assert corrected.p == pytest.approx(0.0591, abs=5e-5)
    assert "0.0625" in wilcoxon(before, after).describe()


def test_zero_differences_are_left_out_and_told():
    found = wilcoxon([1, 2, 3, 4, 5], [1, 2, 4, 6, 8])
    assert (found.zeros, found.n) == (2, (3,))


def test_equal_differences_are_ties_despite_binary():
    found = wilcoxon([2.1, 1.0, 0.0], [2.3, 1.2, 5.0])
    assert found.ties == 2


def test_a_line_tells_method_n_zeros_ties_and_kind():
    line = wilcoxon([0, 0, 0, 1], [1, 1, 2, 1], exactness="asymptotic").describe()
    for word in (
        "Wilcoxon signed-rank",
        "asymptotic, without continuity correction",
        "n = 3",
        "zeros 1",
        "ties 2",
        "two-sided",
    ):
        assert word in line


def test_a_large_exact_p_stays_a_probability():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 30, 90), rng.integers(0, 30, 110)
    exact = mann_whitney(a, b, exactness="exact").p
    assert exact == pytest.approx(mann_whitney(a, b).p, abs=2e-3)


def test_paired_t_by_hand():
    # differences 1, 2, 3: mean 2, sd 1, t = 2 / (1 / sqrt 3)
    found = paired_t([0, 0, 0], [1, 2, 3])
    assert found.statistic == pytest.approx(2 * 3**0.5)
    assert found.p == pytest.approx(2 * stats.t.sf(2 * 3**0.5, 2))


NAN = float("nan")
REFUSED = [
    pytest.param(mann_whitney, [1, NAN], [1, 2], "value 2 of the first", id="nan"),
    pytest.param(mann_whitney, [1, 2], [1, np.inf], "value 2 of the sec", id="inf"),
    pytest.param(mann_whitney, [], [1, 2], "has 0 values", id="an empty group"),
    pytest.param(mann_whitney, [1], [1, 2], "has 1 values", id="a group of one"),
    pytest.param(mann_whitney, [3, 3], [3, 3], "all 4 values are equal", id="ties"),
    pytest.param(wilcoxon, [1, 2], [1, 2, 3], "are no pairs", id="no pairs"),
    pytest.param(wilcoxon, [1, 2], [1, 2], "0 of 2 pairs differ", id="no change"),
    pytest.param(wilcoxon, [1, 2], [1, 3], "1 of 2 pairs differ", id="one change"),
    pytest.param(wilcoxon, [1, 2], [NAN, 3], "not a finite number", id="nan pair"),
    pytest.param(paired_t, [1, 2], [2, 3], "all pairs differ by the same", id="no sd"),
]


@pytest.mark.parametrize(("test", "a", "b", "words"), REFUSED)
def test_what_cannot_be_tested_is_refused_in_one_sentence(test, a, b, words):
    with pytest.raises(RequestError, match=words) as refusal:
        test(a, b)
    assert "\n" not in str(refusal.value)
    assert ";" in str(refusal.value) or "," in str(refusal.value)


def test_too_many_values_for_an_exact_p_are_refused_with_the_cure():
    values = list(range(201))
    with pytest.raises(RequestError, match="ask for the asymptotic one"):
        mann_whitney(values[:100], values[100:], exactness="exact")
