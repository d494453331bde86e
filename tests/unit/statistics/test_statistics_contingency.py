"""Tests on tables of counts: by hand, by enumeration, against scipy, and bad input."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics import contingency
from her2sr_proc.statistics.contingency import chi_squared, fisher, mcnemar


def enumerated_fisher(table) -> float:
    """The exact p of a table by every assignment of columns to its cases."""
    table = np.asarray(table)
    rows = np.repeat(range(table.shape[0]), table.sum(axis=1))
    columns = np.repeat(range(table.shape[1]), table.sum(axis=0))

    def chance(cells) -> float:
        return math.prod(1 / math.factorial(int(c)) for c in np.ravel(cells))

    seen: dict[tuple[int, ...], int] = {}
    for order in set(itertools.permutations(columns.tolist())):
        cells = np.zeros(table.shape, int)
        np.add.at(cells, (rows, list(order)), 1)
        seen[tuple(cells.ravel())] = seen.get(tuple(cells.ravel()), 0) + 1
    total = sum(seen.values())
    limit = chance(table) * (1 + 1e-9)
    return sum(n for cells, n in seen.items() if chance(cells) <= limit) / total


def test_chi_squared_by_hand():
    # [10 20; 30 40]: 100 (10*40 - 20*30)^2 / (30*70*40*60)
    found = chi_squared([[10, 20], [30, 40]])
    assert found.statistic == pytest.approx(100 * 200**2 / (30 * 70 * 40 * 60))
    assert found.continuity is False
    assert found.n == (100,)


def test_yates_takes_half_a_count_off():
    found = chi_squared([[10, 20], [30, 40]], yates=True)
    assert found.statistic == pytest.approx(100 * 150**2 / (30 * 70 * 40 * 60))
    assert "with continuity" in found.describe()


def test_small_expected_counts_are_told():
    assert "3 of 4 cells" in chi_squared([[5, 6], [0, 3]]).describe()


def test_fisher_by_hand():
    # lady tasting tea, 3 of 4: (1 + 16 + 16 + 1) / 70
    assert fisher([[3, 1], [1, 3]]).p == pytest.approx(34 / 70)


@pytest.mark.parametrize(
    "table",
    [
        [[0, 3], [1, 1], [2, 0]],
        [[2, 1, 0], [0, 1, 3]],
        [[1, 1, 1], [1, 1, 1]],
        [[3, 0], [0, 2], [0, 2], [1, 0]],
    ],
)
def test_larger_tables_are_the_enumeration(table):
    assert fisher(table).p == pytest.approx(enumerated_fisher(table))


def test_going_through_all_tables_agrees_with_scipy_on_two_by_two():
    for cells in itertools.product(range(4), repeat=4):
        table = np.reshape(cells, (2, 2))
        if 0 in table.sum(axis=0) or 0 in table.sum(axis=1):
            continue
        got = contingency._freeman_halton(table)
        assert got == pytest.approx(stats.fisher_exact(table).pvalue)


def test_mcnemar_by_hand():
    # 1 against 5: 2 (1 + 6) / 64
    assert mcnemar(1, 5).p == pytest.approx(14 / 64)
    found = mcnemar(1, 5, exactness="asymptotic")
    assert found.statistic == pytest.approx(16 / 6)
    assert found.p == pytest.approx(stats.chi2.sf(16 / 6, 1))
    corrected = mcnemar(1, 5, exactness="asymptotic", continuity=True)
    assert corrected.statistic == pytest.approx(9 / 6)


def test_mcnemar_of_as_many_each_way_is_one():
    assert mcnemar(4, 4).p == 1.0
    assert mcnemar(4, 4, exactness="asymptotic", continuity=True).p == 1.0


REFUSED = [
    pytest.param([[1, 2]], "at least two rows", id="one row"),
    pytest.param([[1, 2], [3]], "differ in length", id="ragged"),
    pytest.param([[1, -2], [3, 4]], "negative count", id="negative"),
    pytest.param([[1.5, 2], [3, 4]], "no count", id="no whole number"),
    pytest.param([[1, float("nan")], [3, 4]], "no count", id="nan"),
    pytest.param([[0, 0], [3, 4]], "row 1 of the table is empty", id="empty row"),
    pytest.param([[0, 2], [0, 4]], "column 1 of the table is empty", id="empty column"),
]


@pytest.mark.parametrize("test", [chi_squared, fisher])
@pytest.mark.parametrize(("table", "words"), REFUSED)
def test_what_is_no_table_is_refused_in_one_sentence(test, table, words):
    with pytest.raises(RequestError, match=words) as refusal:
        test(table)
    assert "\n" not in str(refusal.value)


def test_yates_of_a_larger_table_is_refused():
    with pytest.raises(RequestError, match="2 x 2"):
        chi_squared([[1, 2], [3, 4], [5, 6]], yates=True)


def test_a_table_too_large_to_go_through_is_refused_with_the_cure():
    table = np.full((6, 6), 20)
    with pytest.raises(RequestError, match="read Pearson's chi-squared instead"):
        fisher(table)


def test_mcnemar_without_a_change_is_refused():
    with pytest.raises(RequestError, match="no pair changed"):
        mcnemar(0, 0)
    with pytest.raises(RequestError, match="negative"):
        mcnemar(-1, 3)
