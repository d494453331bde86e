"""Tests on tables of counts. Whole numbers in, `Outcome` out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.checks import Counts, table
from her2sr_proc.statistics.outcome import Exactness, Outcome

I64 = npt.NDArray[np.int64]
FEW_EXPECTED = 5.0
"""Cochran's limit, below which the chi-squared distribution is doubtful."""
TABLES_UP_TO = 100_000
"""Tables that an exact test larger than 2 x 2 goes through: about two seconds."""
SAME = 1 + 1e-7
"""Tables as probable as the one seen count as such, despite the last digits."""


def chi_squared(counts: Counts, *, yates: bool = False) -> Outcome:
    """Test rows against columns with Pearson's chi-squared.

    Parameters
    ----------
    counts : whole numbers, shape (rows, columns)
        No row and no column is empty.
    yates : bool
        Yates' continuity correction, of 2 x 2 tables alone.

    Raises `RequestError` for what is no such table.
    Source: Pearson 1900, Phil Mag 50:157.
    """
    observed = table(counts)
    if yates and observed.shape != (2, 2):
        raise RequestError(
            f"Yates' correction is for 2 x 2 tables, and this one has shape "
            f"{observed.shape}; leave it off"
        )
    statistic, p, freedom, expected = stats.chi2_contingency(observed, correction=yates)
    low = int((expected < FEW_EXPECTED).sum())
    remarks = [f"{freedom} degree{'s' if freedom > 1 else ''} of freedom"]
    if low:
        remarks.append(
            f"{low} of {observed.size} cells are expected below 5: read the exact p"
        )
    return Outcome(
        method="Pearson's chi-squared test",
        exactness="asymptotic",
        p=float(p),
        n=(int(observed.sum()),),
        statistic_name="chi2",
        statistic=float(statistic),
        continuity=yates if observed.shape == (2, 2) else None,
        remarks=tuple(remarks),
    )


def fisher(counts: Counts) -> Outcome:
    """Test rows against columns exactly, given the sums of both.

    p is the share of all tables with these sums that are at most as probable as the
    one seen. Raises `RequestError` for what is no table, and for one so large that
    more than 100,000 tables share its sums.
    Source: Fisher 1935; Freeman and Halton 1951, Biometrika 38:141 (beyond 2 x 2).
    """
    observed = table(counts)
    if observed.shape == (2, 2):
        p = float(stats.fisher_exact(observed).pvalue)
        method = "Fisher's exact test"
    else:
        p = _freeman_halton(observed)
        method = "Fisher-Freeman-Halton exact test"
    return Outcome(method=method, exactness="exact", p=p, n=(int(observed.sum()),))


def mcnemar(
    only_first: int,
    only_second: int,
    *,
    exactness: Exactness = "exact",
    continuity: bool = False,
) -> Outcome:
    """Test whether pairs change one way more often than the other.

    Parameters
    ----------
    only_first, only_second : int
        Pairs that have the property in the first, or in the second observation alone.
    exactness : "exact" or "asymptotic"
        Binomial, or chi-squared with one degree of freedom.
    continuity : bool
        Edwards' correction, of the asymptotic form alone.

    Raises `RequestError` for a negative number, and where no pair changed.
    Source: McNemar 1947, Psychometrika 12:153; Edwards 1948, Psychometrika 13:185.
    """
    if min(only_first, only_second) < 0:
        raise RequestError("a number of pairs is negative; counts begin at 0")
    changed = only_first + only_second
    if changed == 0:
        raise RequestError("no pair changed, so there is nothing to test")
    if exactness == "exact":
        p = float(stats.binomtest(only_first, changed, 0.5).pvalue)
        statistic = None
    else:
        gap = max(0.0, abs(only_first - only_second) - (1.0 if continuity else 0.0))
        statistic = gap * gap / changed
        p = float(stats.chi2.sf(statistic, 1))
    return Outcome(
        method="McNemar's test",
        exactness=exactness,
        p=p,
        n=(changed,),
        statistic_name="chi2" if statistic is not None else "",
        statistic=statistic,
        continuity=None if exactness == "exact" else continuity,
        remarks=(f"{only_first} one way, {only_second} the other",),
    )


def _freeman_halton(observed: I64) -> float:
    """Return the exact p of a table of any size by going through all of its kind."""
    columns = tuple(int(c) for c in observed.sum(axis=0))
    rows = [int(r) for r in observed.sum(axis=1)]
    limit = _weight(observed.ravel().tolist()) * SAME
    total = extreme = 0.0
    for seen, weight in enumerate(_weights(rows, columns)):
        if seen >= TABLES_UP_TO:
            raise RequestError(
                f"more than {TABLES_UP_TO} tables have the sums of this one, too many "
                f"for an exact p; read Pearson's chi-squared instead"
            )
        total += weight
        if weight <= limit:
            extreme += weight
    return min(1.0, extreme / total)


def _weights(rows: list[int], columns: tuple[int, ...]) -> Iterator[float]:
    """Yield 1 / (product of factorials) of every table with these sums."""
    if len(rows) == 1:
        yield _weight(columns)
        return
    for row in _splits(rows[0], columns):
        share = _weight(row)
        left = tuple(c - r for c, r in zip(columns, row, strict=True))
        for rest in _weights(rows[1:], left):
            yield share * rest


def _splits(total: int, limits: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield every way to share ``total`` among places of limited room."""
    if len(limits) == 1:
        if total <= limits[0]:
            yield (total,)
        return
    room = sum(limits[1:])
    for first in range(max(0, total - room), min(total, limits[0]) + 1):
        for rest in _splits(total - first, limits[1:]):
            yield (first, *rest)


def _weight(cells: tuple[int, ...] | list[int]) -> float:
    return math.exp(-sum(math.lgamma(cell + 1) for cell in cells))
