"""The work-flow of ASCO/CAP 2018 as a table. Pure: no clock, no people, no files.

Source: Wolff et al. 2018, J Clin Oncol 36:2105, figures 3 to 6.
"""

from __future__ import annotations

from enum import StrEnum

from her2sr_proc.errors import StateError
from her2sr_proc.schema.case import Outcome
from her2sr_proc.scoring.groups import NEEDS_IHC, Group

IHC_VALUES = (0, 1, 2, 3)


class State(StrEnum):
    """Where a case is. None is left by itself."""

    OPEN = "open"
    NO_ANSWER = "no_answer"
    NEEDS_IHC = "needs_ihc"
    NEEDS_RECOUNT = "needs_recount"
    NEEDS_ADJUDICATION = "needs_adjudication"
    NEEDS_SIGNATURE = "needs_signature"
    FINAL = "final"


class Event(StrEnum):
    """What can happen to a case."""

    COUNT_CLEAR = "count group 1 or 5"
    COUNT_UNCLEAR = "count group 2, 3 or 4"
    COUNT_NOTHING = "count nothing that can be answered"
    IHC_LOW = "enter IHC 0 or 1+"
    IHC_2 = "enter IHC 2+"
    IHC_3 = "enter IHC 3+"
    RECOUNT_SAME = "recount with the same group"
    RECOUNT_OTHER = "recount with another group"
    ADJUDICATE = "adjudicate"
    SIGN = "sign"
    REOPEN = "reopen"


_COUNTS = {
    Event.COUNT_CLEAR: State.NEEDS_SIGNATURE,
    Event.COUNT_UNCLEAR: State.NEEDS_IHC,
    Event.COUNT_NOTHING: State.NO_ANSWER,
}
NEXT: dict[State, dict[Event, State]] = {
    State.OPEN: _COUNTS,
    State.NO_ANSWER: _COUNTS,
    State.NEEDS_IHC: {
        Event.IHC_LOW: State.NEEDS_SIGNATURE,
        Event.IHC_2: State.NEEDS_RECOUNT,
        Event.IHC_3: State.NEEDS_SIGNATURE,
        Event.REOPEN: State.OPEN,
    },
    State.NEEDS_RECOUNT: {
        Event.RECOUNT_SAME: State.NEEDS_SIGNATURE,
        Event.RECOUNT_OTHER: State.NEEDS_ADJUDICATION,
        Event.REOPEN: State.OPEN,
    },
    State.NEEDS_ADJUDICATION: {
        Event.ADJUDICATE: State.NEEDS_SIGNATURE,
        Event.REOPEN: State.OPEN,
    },
    State.NEEDS_SIGNATURE: {Event.SIGN: State.FINAL, Event.REOPEN: State.OPEN},
    State.FINAL: {Event.REOPEN: State.OPEN},
}

COMMENTS: dict[Group, str] = {
    2: "Ratio of at least 2.0 with few HER2 copies: there is little evidence that "
    "HER2-targeted drugs help. (Wolff et al. 2018, group 2)",
    3: "Many HER2 copies at a ratio below 2.0 without protein overexpression: there "
    "are too few data to call it positive. (Wolff et al. 2018, group 3)",
    4: "Benefit from HER2-targeted drugs is uncertain between 4.0 and 6.0 copies; near "
    "a limit a repeat may differ by chance alone. (Wolff et al. 2018, group 4)",
}
"""Default comments of a negative answer; a laboratory may word its own."""


def advance(state: State, event: Event) -> State:
    """Return the state after an event. Raises `StateError` if it is not allowed."""
    try:
        return NEXT[state][event]
    except KeyError:
        allowed = ", ".join(e.value for e in NEXT[state])
        raise StateError(
            f"cannot {event.value} while the case is '{state.value}'; it allows: "
            f"{allowed}",
            state=state.value,
        ) from None


def counted(group: Group | None) -> Event:
    """Return what a count is to the work-flow."""
    if group is None:
        return Event.COUNT_NOTHING
    return Event.COUNT_UNCLEAR if group in NEEDS_IHC else Event.COUNT_CLEAR


def ihc(value: int) -> Event:
    """Return what an IHC score is to the work-flow. Raises `ValueError` beyond 0-3."""
    if value not in IHC_VALUES:
        raise ValueError(f"IHC is 0, 1, 2 or 3, not {value}")
    return {2: Event.IHC_2, 3: Event.IHC_3}.get(value, Event.IHC_LOW)


def outcome(group: Group, ihc_value: int | None) -> Outcome | None:
    """Return what a group and IHC amount to once nothing is left to do; None before.

    With IHC 2+ it holds for a recount that left the group as it was.
    """
    if group not in NEEDS_IHC:
        return "positive" if group == 1 else "negative"
    if ihc_value is None:
        return None
    if ihc_value == 3:
        return "positive"
    return "positive" if group == 3 and ihc_value == 2 else "negative"


def comment(group: Group, said: Outcome | None) -> str:
    """Return the comment that a negative answer in group 2, 3 or 4 carries."""
    return COMMENTS.get(group, "") if said == "negative" else ""
