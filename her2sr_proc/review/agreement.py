"""How far signed readings agree with each other, and with the machine. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.review.machine import Machine
from her2sr_proc.schema.counts import PROBES, Probe
from her2sr_proc.schema.reading import Picture
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.review import AgreementRow, AgreementView
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.readings import Reading
from her2sr_proc.statistics.agreement import bland_altman, icc, kappa

Counts = Mapping[str, tuple[int, int]]
T = TypeVar("T")
LIMITS = (0, 1, 2, 3, 4, 9)
"""Upper ends of categories of counts; the last category is open."""
CATEGORIES = ("0", "1", "2", "3", "4", "5 to 9", "10 or more")
ARMS_OF: dict[Picture, tuple[ArmName, ...]] = {
    "superresolution": ("sr_merged", "sr"),
    "conventional": ("conventional",),
}


@dataclass(frozen=True, slots=True)
class _Pair:
    first: str
    second: str
    picture: Picture


def agreement(case: Case, machine: Machine) -> AgreementView:
    """Return the figures of every two observers, and of each with the machine.

    Of an observer with several readings the last signed one is taken. Raises
    `StateError` before two observers have signed.
    """
    last = {one.by: one for one in case.readings.values() if one.is_signed}
    if len(last) < 2:
        raise StateError(
            f"{len(last)} observers have signed a reading, and agreement needs two; "
            f"it is told once both have signed"
        )
    rows: list[AgreementRow] = []
    for one, other in itertools.combinations(last.values(), 2):
        rows += _of_observers(one, other)
    for reading in last.values():
        rows += _with_machine(reading, machine)
    return AgreementView(categories=CATEGORIES, rows=tuple(rows))


def _of_observers(one: Reading, other: Reading) -> Iterator[AgreementRow]:
    for picture in one.pictures:
        if picture in other.pictures:
            pair = _Pair(one.by, other.by, picture)
            yield from _rows(pair, one.counts(picture), other.counts(picture))


def _with_machine(reading: Reading, machine: Machine) -> Iterator[AgreementRow]:
    for picture in reading.pictures:
        for arm in ARMS_OF[picture]:
            counts = {
                key: (
                    nucleus.counts[arm]["HER2"].count,
                    nucleus.counts[arm]["CEP17"].count,
                )
                for key, nucleus in machine.nuclei()
                if arm in nucleus.counts
            }
            pair = _Pair(reading.by, f"machine, {arm}", picture)
            yield from _rows(pair, reading.counts(picture), counts)


def _rows(pair: _Pair, first: Counts, second: Counts) -> Iterator[AgreementRow]:
    shared = [key for key in first if key in second]
    for place, probe in enumerate(PROBES):
        found = [(first[key][place], second[key][place]) for key in shared]
        yield _row(pair, probe, found)


def _row(pair: _Pair, probe: Probe, counts: list[tuple[int, int]]) -> AgreementRow:
    untold: list[str] = []
    a = [float(x) for x, _ in counts]
    b = [float(y) for _, y in counts]
    k = _told(lambda: kappa(_table(counts), "linear"), "kappa", untold)
    r = _told(lambda: icc(np.column_stack([a, b])), "ICC", untold)
    limits = _told(lambda: bland_altman(a, b), "Bland-Altman", untold)
    return AgreementRow(
        first=pair.first,
        second=pair.second,
        picture=pair.picture,
        probe=probe,
        nuclei=len(counts),
        same=sum(x == y for x, y in counts),
        within_one=sum(abs(x - y) <= 1 for x, y in counts),
        kappa=k.kappa if k else None,
        kappa_interval_95=k.interval_95 if k else None,
        icc=r.icc if r else None,
        icc_interval_95=r.interval_95 if r else None,
        bias=limits.bias if limits else None,
        limits_of_agreement=(limits.lower_limit, limits.upper_limit)
        if limits
        else None,
        untold=tuple(untold),
    )


def _told(ask: Callable[[], T], name: str, untold: list[str]) -> T | None:
    """Return a figure, or None with the reason in ``untold``."""
    try:
        return ask()
    except RequestError as exc:
        untold.append(f"{name}: {exc}")
        return None


def _table(counts: list[tuple[int, int]]) -> list[list[int]]:
    """Return nuclei by category: first count in rows, second in columns."""
    table = np.zeros((len(CATEGORIES), len(CATEGORIES)), np.int64)
    for x, y in counts:
        table[np.searchsorted(LIMITS, x), np.searchsorted(LIMITS, y)] += 1
    return [[int(n) for n in row] for row in table]
