"""Tests on ranks and on pairs. Numbers in, `Outcome` out; missing values are refused.

The asymptotic forms are scipy's. The exact forms are permutation distributions of the
mid-ranks as they are, so that they hold with ties, for which scipy has none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.checks import (
    Numbers,
    differences,
    double_ranks,
    numbers,
    tied,
)
from her2sr_proc.statistics.outcome import LEVEL, Exactness, Outcome

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
EXACT_UP_TO = 200
"""Values; above, the asymptotic p agrees to any digit that is printed."""


def mann_whitney(
    first: Numbers,
    second: Numbers,
    *,
    exactness: Exactness = "asymptotic",
    continuity: bool = True,
) -> Outcome:
    """Compare two independent groups by the ranks of their values.

    ``statistic`` is U of the first group. The exact p is twice the smaller tail of the
    distribution of rank sums over all ways to choose the first group.

    Parameters
    ----------
    first, second : numbers, shape (n1,) and (n2,)
        At least two each.
    exactness : "exact" or "asymptotic"
        Exact up to 200 values in all.
    continuity : bool
        Of the asymptotic form alone.

    Raises `RequestError` for too few values, for what is no number, and where all
    values are equal.
    Source: Mann and Whitney 1947, Ann Math Stat 18:50.
    """
    a = numbers(first, "the first group", 2)
    b = numbers(second, "the second group", 2)
    pooled = np.concatenate([a, b])
    if pooled.min() == pooled.max():
        raise RequestError(
            f"all {len(pooled)} values are equal, so that ranks cannot tell the groups "
            f"apart; leave the test out"
        )
    ranks = double_ranks(pooled)
    u = ranks[: len(a)].sum() / 2 - len(a) * (len(a) + 1) / 2
    remarks: tuple[str, ...] = ()
    if exactness == "exact":
        _require_few(len(pooled))
        chances = _subset_sums(ranks, len(a))
        p = _two_sided(chances, int(ranks[: len(a)].sum()))
        remarks = _too_few(_two_sided_least(chances))
    else:
        p = float(
            stats.mannwhitneyu(
                a, b, use_continuity=continuity, method="asymptotic"
            ).pvalue
        )
    return Outcome(
        method="Mann-Whitney U test",
        exactness=exactness,
        p=p,
        n=(len(a), len(b)),
        statistic_name="U",
        statistic=float(u),
        ties=tied(pooled),
        continuity=None if exactness == "exact" else continuity,
        remarks=remarks,
    )


def wilcoxon(
    first: Numbers,
    second: Numbers,
    *,
    exactness: Exactness = "exact",
    continuity: bool = False,
) -> Outcome:
    """Compare pairs by the ranks of their differences, ``second - first``.

    Pairs without a difference are left out and told (Wilcoxon's own rule).
    ``statistic`` is the rank sum of the positive differences. The exact p is that over
    all signs of the differences as they are.

    Parameters
    ----------
    first, second : numbers, shape (pairs,)
        The same samples in the same order; at least two pairs that differ.
    exactness : "exact" or "asymptotic"
        Exact up to 200 pairs.
    continuity : bool
        Of the asymptotic form alone.

    Raises `RequestError` for lists that differ in length, for too few pairs, for what
    is no number, and where no pair differs.
    Source: Wilcoxon 1945, Biometrics Bulletin 1:80.
    """
    gaps = _paired(first, second)
    moved = gaps[gaps != 0]
    if len(moved) < 2:
        raise RequestError(
            f"{len(moved)} of {len(gaps)} pairs differ, and 2 are needed; leave the "
            f"test out"
        )
    ranks = double_ranks(np.abs(moved))
    positive = int(ranks[moved > 0].sum())
    remarks: tuple[str, ...] = ()
    if exactness == "exact":
        _require_few(len(moved))
        chances = _signed_sums(ranks)
        p = _two_sided(chances, positive)
        remarks = _too_few(_two_sided_least(chances))
    else:
        p = float(
            stats.wilcoxon(
                moved,
                zero_method="wilcox",
                correction=continuity,
                method="asymptotic",
            ).pvalue
        )
    return Outcome(
        method="Wilcoxon signed-rank test",
        exactness=exactness,
        p=p,
        n=(len(moved),),
        statistic_name="W+",
        statistic=positive / 2,
        zeros=len(gaps) - len(moved),
        ties=tied(np.abs(moved)),
        continuity=None if exactness == "exact" else continuity,
        remarks=remarks,
    )


def paired_t(first: Numbers, second: Numbers) -> Outcome:
    """Compare pairs by the mean of their differences, taken as normally distributed.

    Raises `RequestError` as `wilcoxon` does, and where all differences are equal.
    Source: Student 1908, Biometrika 6:1.
    """
    gaps = _paired(first, second)
    if np.ptp(gaps) == 0:
        raise RequestError(
            "all pairs differ by the same, so that nothing is known of the spread; "
            "leave the test out"
        )
    found = stats.ttest_1samp(gaps, 0.0)
    return Outcome(
        method="paired t-test",
        exactness="exact",
        p=float(found.pvalue),
        n=(len(gaps),),
        statistic_name="t",
        statistic=float(found.statistic),
        remarks=(f"{len(gaps) - 1} degrees of freedom; differences taken as normal",),
    )


def _paired(first: Numbers, second: Numbers) -> F64:
    a = numbers(first, "the first of the pairs", 2)
    b = numbers(second, "the second of the pairs", 2)
    if len(a) != len(b):
        raise RequestError(
            f"{len(a)} and {len(b)} values are no pairs; give each sample both values"
        )
    return differences(a, b)


def _subset_sums(double_ranks: I64, chosen: int) -> F64:
    """Return how often each sum arises when ``chosen`` ranks are drawn.

    Shape (sum of all + 1,); entry s is the share of draws whose ranks sum to s.
    """
    total = int(double_ranks.sum())
    ways: F64 = np.zeros((chosen + 1, total + 1), np.float64)
    ways[0, 0] = 1.0
    for rank in double_ranks:
        for size in range(chosen, 0, -1):
            ways[size, rank:] += ways[size - 1, : total + 1 - rank]
    return np.asarray(ways[chosen] / ways[chosen].sum(), np.float64)


def _signed_sums(double_ranks: I64) -> F64:
    """Return how often each sum of positive ranks arises over all signs.

    Shape (sum of all + 1,).
    """
    total = int(double_ranks.sum())
    chances: F64 = np.zeros(total + 1, np.float64)
    chances[0] = 1.0
    for rank in double_ranks:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: total + 1 - rank]
        chances = (chances + moved) / 2
    return chances


def _two_sided(chances: F64, at: int) -> float:
    low, high = float(chances[: at + 1].sum()), float(chances[at:].sum())
    return min(1.0, 2 * min(low, high))


def _two_sided_least(chances: F64) -> float:
    """Return the smallest p that these ranks could have given."""
    reached = np.flatnonzero(chances > 0)
    return min(_two_sided(chances, int(at)) for at in (reached[0], reached[-1]))


def _too_few(least: float) -> tuple[str, ...]:
    """Say when no outcome whatever could have been significant."""
    if least < LEVEL:
        return ()
    return (f"with so few values no p below {least:.4g} is possible",)


def _require_few(values: int) -> None:
    if values > EXACT_UP_TO:
        raise RequestError(
            f"{values} values are too many for an exact p, which is kept to "
            f"{EXACT_UP_TO}; ask for the asymptotic one"
        )
