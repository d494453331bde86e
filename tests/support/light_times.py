"""When light was on, worked out from what an onlooker beside the microscope noted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulators.history import Change, LightHistory


@dataclass
class Lit:
    """A time in which at least one line of light was on."""

    on_s: float
    off_s: float
    """Infinite while it is still on."""
    outside_s: float = 0.0
    """Seconds of it in which no frame was exposed."""
    has_burst: bool = False


def lit_times(history: LightHistory) -> list[Lit]:
    """Return every time of light, in order."""
    found: list[Lit] = []
    lit: set[int] = set()
    exposing = False
    since = 0.0
    for change in (*_switches(history.changes), _end(history)):
        if lit:
            found[-1].has_burst |= exposing
            found[-1].outside_s += 0.0 if exposing else change.monotonic_s - since
        since = change.monotonic_s
        if change.what == "burst":
            exposing = change.on
        elif change.on:
            if not lit:
                found.append(Lit(change.monotonic_s, float("inf")))
            lit.add(change.nm)
        else:
            was_lit = bool(lit)
            lit.discard(change.nm)
            if was_lit and not lit:
                found[-1].off_s = change.monotonic_s
    return found


def seconds_lit_after(history: LightHistory, moment: float) -> float:
    """Return for how long light went on that was on at a moment."""
    for lit in lit_times(history):
        if lit.on_s <= moment < lit.off_s:
            return lit.off_s - moment
    return 0.0


def first_after(
    history: LightHistory, moment: float, what: str, *, on: bool
) -> float | None:
    """Return when something was switched for the first time after a moment."""
    for change in history.changes:
        if change.what == what and change.on == on and change.monotonic_s >= moment:
            return change.monotonic_s
    return None


def state_at(history: LightHistory, moment: float, what: str) -> bool:
    """Return whether something was on at a moment."""
    before = [
        change.on
        for change in history.changes
        if change.what == what and change.monotonic_s <= moment
    ]
    return bool(before) and before[-1]


def _switches(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.what != "interlock"]


def _end(history: LightHistory) -> Change:
    """Return a change that changes nothing, at the moment of the report."""
    return Change(what="light", on=False, monotonic_s=history.now_s, in_burst=False)
