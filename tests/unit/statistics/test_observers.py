"""Agreement of observers: who read what, and what is told of it."""

import pytest

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import ObserverRow
from her2sr_proc.statistics.formats import fixed
from her2sr_proc.statistics.observers import count_pairs, observer_table

COUNTS = {"A": (4, 6, 2, 9, 3), "B": (4, 7, 2, 7, 4)}
GROUPS = {"A": "12551", "B": "11551"}


def readings(observers="AB", *, skip=()):
    return [
        ObserverRow(
            case=f"c{n}",
            observer=observer,
            her2=COUNTS.get(observer, COUNTS["A"])[n],
            group=GROUPS.get(observer, GROUPS["A"])[n],
        )
        for observer in observers
        for n in range(5)
        if (observer, n) not in skip
    ]


def sections(table):
    """Return rows by their section and label."""
    found, section = {}, ""
    for row in table.rows:
        if row.level == 0:
            section = row.label
        else:
            found[section, row.label] = row
    return found


def test_kappa_counts_and_differences_of_two_observers():
    rows = sections(observer_table(readings()))
    groups = "ISH groups, A and B"
    assert rows[groups, "Same group"].cells[0] == "4 of 5"
    # chance 2/5 * 3/5 + 1/5 * 0 + 2/5 * 2/5 = 0.4; (0.8 - 0.4) / 0.6
    kappa = rows[groups, "Cohen's kappa of the groups, unweighted"]
    assert kappa.cells[0] == fixed(0.4 / 0.6, 3)
    counts = "HER2 signals, B less A"
    assert rows[counts, "Same count"].cells[0] == "2 of 5"
    assert rows[counts, "Within one"].cells[0] == "4 of 5"
    assert rows[counts, "Bland-Altman bias"].cells[0] == "0.00"


def test_only_cases_that_both_read_are_compared():
    rows = readings(skip=[("B", 0), ("A", 4)])
    assert [case for case, _, _ in count_pairs(rows, "her2", "A", "B")] == [
        "c1",
        "c2",
        "c3",
    ]


def test_three_observers_have_one_icc_and_every_couple():
    table = observer_table(readings("ABC"))
    names = [row.label for row in table.rows if row.level == 0]
    assert names.count("HER2 signals, all observers") == 1
    for couple in ("B less A", "C less A", "C less B"):
        assert f"HER2 signals, {couple}" in names
    rows = sections(table)
    all_three = [label for section, label in rows if section.endswith("all observers")]
    assert "ICC(2,1), n = 5, 3 ratings each" in all_three


def test_what_was_not_counted_says_so():
    rows = sections(observer_table(readings()))
    assert "0 cases" in rows["CEP17 signals, B less A", "not told"].note


def test_one_observer_alone_is_refused():
    with pytest.raises(RequestError, match="a second one"):
        observer_table(readings("A"))
