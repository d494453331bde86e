"""How far observers agree who looked at the same cases. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import ObserverRow
from her2sr_proc.statistics.arms import icc_row, number_rows
from her2sr_proc.statistics.groups import kappa_row, share_cells
from her2sr_proc.statistics.tables import Row, Table

Probe = Literal["her2", "cep17"]
TITLES: dict[Probe, str] = {"her2": "HER2 signals", "cep17": "CEP17 signals"}


def observers_of(rows: Sequence[ObserverRow]) -> list[str]:
    """Return the observers in the order in which they first stand.

    Raises `RequestError` for fewer than two.
    """
    found = list(dict.fromkeys(row.observer for row in rows))
    if len(found) < 2:
        raise RequestError(
            "one observer alone cannot agree; give the rows of a second one too"
        )
    return found


def count_pairs(
    rows: Sequence[ObserverRow], probe: Probe, first: str, second: str
) -> list[tuple[str, float, float]]:
    """Return case and both observers' counts, where both counted."""
    values = {
        (row.case, row.observer): value
        for row in rows
        if (value := _count(row, probe)) is not None
    }
    return [
        (case, values[case, first], values[case, second])
        for case in dict.fromkeys(row.case for row in rows)
        if (case, first) in values and (case, second) in values
    ]


def observer_table(rows: Sequence[ObserverRow]) -> Table:
    """Return kappa of every two observers, ICC of all, Bland-Altman of every two.

    Raises `RequestError` for fewer than two observers.
    """
    observers = observers_of(rows)
    couples = list(itertools.combinations(observers, 2))
    found: list[Row] = []
    for first, second in couples:
        found.append(Row(f"ISH groups, {first} and {second}", level=0))
        found += _group_rows(rows, first, second)
    for probe in TITLES:
        if len(observers) > 2:
            found.append(Row(f"{TITLES[probe]}, all observers", level=0))
            found.append(_all_row(rows, probe, observers))
        for first, second in couples:
            found.append(Row(f"{TITLES[probe]}, {second} less {first}", level=0))
            found += _couple_rows(rows, probe, first, second)
    return Table(
        key="observers",
        title="Agreement of observers",
        columns=("What", "Value", "Interval or test"),
        rows=tuple(found),
        notes=(
            "Cases that both observers read. ICC(2,1): absolute agreement of single "
            "readings by any observers of this kind; limits of agreement hold about "
            "95 % of differences.",
        ),
        has_tests=False,
    )


def _count(row: ObserverRow, probe: Probe) -> float | None:
    return row.her2 if probe == "her2" else row.cep17


def _group_rows(rows: Sequence[ObserverRow], first: str, second: str) -> Iterator[Row]:
    groups = {
        (row.case, row.observer): row.group for row in rows if row.group is not None
    }
    both = [
        (group, groups[case, second])
        for (case, observer), group in groups.items()
        if observer == first and (case, second) in groups
    ]
    if not both:
        yield Row("not told", note="no case has a group of both observers")
        return
    same = sum(a == b for a, b in both)
    yield Row("Same group", share_cells(same, len(both)))
    yield kappa_row(both)


def _couple_rows(
    rows: Sequence[ObserverRow], probe: Probe, first: str, second: str
) -> Iterator[Row]:
    pairs = count_pairs(rows, probe, first, second)
    if len(pairs) < 2:
        few = f"{len(pairs)} cases have a count of both, and 2 are needed"
        yield Row("not told", note=few)
        return
    same = sum(a == b for _, a, b in pairs)
    near = sum(abs(a - b) <= 1 for _, a, b in pairs)
    yield Row("Same count", share_cells(same, len(pairs)))
    yield Row("Within one", share_cells(near, len(pairs)))
    yield from number_rows([(a, b) for _, a, b in pairs])


def _all_row(
    rows: Sequence[ObserverRow], probe: Probe, observers: Sequence[str]
) -> Row:
    values = {
        (row.case, row.observer): value
        for row in rows
        if (value := _count(row, probe)) is not None
    }
    cases = dict.fromkeys(row.case for row in rows)
    ratings = [
        [values[case, observer] for observer in observers]
        for case in cases
        if all((case, observer) in values for observer in observers)
    ]
    try:
        return icc_row(ratings)
    except RequestError as exc:
        return Row("not told", (f"{len(ratings)} cases",), note=str(exc))
