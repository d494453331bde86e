"""A case: what its record amounts to, and which act a named observer may add.

Replays entries; writes none. The rules that need people are here: who is blind, who
may sign, what a correction must give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from her2sr_proc.errors import BlindError, RequestError, StateError
from her2sr_proc.schema.case import (
    Adjudicated,
    CountAccepted,
    Counted,
    Entry,
    Identity,
    IhcEntered,
    Outcome,
    Point,
    Recounted,
    RegionsMarked,
    Reopened,
    Signed,
    Viewed,
)
from her2sr_proc.schema.counts import Region
from her2sr_proc.schema.reading import (
    CountEdited,
    InclusionEdited,
    NucleusRead,
    ReadingOpened,
    ReadingSigned,
    ReadWithdrawn,
)
from her2sr_proc.scoring import readings, workflow
from her2sr_proc.scoring.edits import Edits, edited
from her2sr_proc.scoring.groups import Group, Totals, group_of
from her2sr_proc.scoring.readings import Reading
from her2sr_proc.scoring.workflow import Event, State, advance

RECOUNT_NUCLEI = 20


@dataclass(frozen=True, slots=True)
class Sight:
    """Somebody was shown counts, for the first time."""

    by: str
    identity: Identity
    utc: str
    is_before_review: bool
    """Nobody had marked, read or accepted anything yet."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a case stands; made by replaying its record."""

    state: State = State.OPEN
    marks: dict[str, Region] = field(default_factory=dict)
    areas: dict[str, str] = field(default_factory=dict)
    outlines: dict[str, tuple[Region, tuple[Point, ...]]] = field(default_factory=dict)
    """Name of a drawn area -> its region and corners."""
    marked_by: tuple[str, ...] = ()
    edits: dict[str, Edits] = field(default_factory=dict)
    """field/nucleus -> what people changed of its machine counts."""
    readings: dict[str, Reading] = field(default_factory=dict)
    """By name, in the order in which they were opened."""
    seen_by: frozenset[str] = frozenset()
    """Who knows counts of this case; none of them can recount blind."""
    sights: tuple[Sight, ...] = ()
    """Who was shown counts, in order; a count of one's own is no sight."""
    is_begun: bool = False
    """Whether anybody did more than look."""
    count: CountAccepted | None = None
    counted_by: str = ""
    ihc: int | None = None
    recount: Counted | None = None
    recounted_by: str = ""
    outcome: Outcome | None = None
    signed_by: str = ""
    signed_utc: str = ""
    meaning: str = ""

    @property
    def group(self) -> Group | None:
        """The group of the accepted count."""
        return self.count.group if self.count else None

    @property
    def is_final(self) -> bool:
        """Whether a named observer has signed, and nothing was reopened since."""
        return self.state is State.FINAL

    @property
    def comment(self) -> str:
        """The comment that the answer carries; empty for one that needs none."""
        return workflow.comment(self.group, self.outcome) if self.group else ""

    def may_see(self, observer: str) -> bool:
        """Return whether counts may be shown: until the recount, to who knows them.

        Never to somebody whose own blind reading is not signed.
        """
        if readings.open_reading_of(self.readings, observer) is not None:
            return False
        return self.state is not State.NEEDS_RECOUNT or observer in self.seen_by


def replay(entries: Iterable[Entry]) -> Case:
    """Return where a record leads. Raises `StateError` at an act it did not allow."""
    case = Case()
    for entry in entries:
        case = after(case, entry)
    return case


def after(before: Case, entry: Entry) -> Case:
    """Return the case after one entry.

    Raises `StateError` for an act that the work-flow does not allow, `RequestError` for
    one that this observer may not do or that lacks its reason.
    """
    done = _after(before, entry)
    return done if isinstance(entry.act, Viewed) else replace(done, is_begun=True)


def _after(before: Case, entry: Entry) -> Case:  # noqa: C901 - one arm an act
    match entry.act:
        case RegionsMarked() as act:
            return _mark(before, entry, act)
        case CountAccepted() as act:
            return _count(before, entry, act)
        case Viewed():
            return _view(before, entry)
        case IhcEntered() as act:
            return _ihc(before, act)
        case Recounted() as act:
            return _recount(before, entry, act)
        case Adjudicated() as act:
            return _adjudicate(before, entry, act)
        case Signed() as act:
            return _sign(before, entry, act)
        case Reopened():
            return _reopen(before, entry)
        case CountEdited() | InclusionEdited() as act:
            return _edit(before, entry, act)
        case ReadingOpened() | NucleusRead() | ReadWithdrawn() | ReadingSigned() as act:
            return _read(before, entry, act)


def _mark(case: Case, entry: Entry, act: RegionsMarked) -> Case:
    changed = [k for k, v in act.marks.items() if case.marks.get(k, v) != v]
    if changed and not entry.reason:
        raise RequestError(
            f"{len(changed)} nuclei are marked otherwise already, such as "
            f"{changed[0]}; give a reason (--reason) for the change"
        )
    if case.state not in (State.OPEN, State.NO_ANSWER):
        raise StateError(
            "regions cannot change once a count was accepted; reopen the case"
        )
    return replace(
        case,
        marks=case.marks | act.marks,
        areas=case.areas | act.areas,
        outlines=case.outlines
        | {n: (act.classes.get(n, "other"), o) for n, o in act.outlines.items()},
        marked_by=(*case.marked_by, entry.by),
    )


def _count(case: Case, entry: Entry, act: CountAccepted) -> Case:
    state = advance(case.state, workflow.counted(act.group))
    outcome = workflow.outcome(act.group, None) if act.group else None
    return replace(
        case,
        state=state,
        count=act,
        counted_by=entry.by,
        seen_by=case.seen_by | {entry.by},
        outcome=outcome,
    )


def _view(case: Case, entry: Entry) -> Case:
    if readings.open_reading_of(case.readings, entry.by) is not None:
        raise BlindError(
            f"the counts are hidden from {entry.by} until the own blind reading is "
            f"signed"
        )
    if not case.may_see(entry.by):
        raise BlindError(
            f"the counts are hidden from {entry.by} until the second observer has "
            f"counted: whoever sees them cannot recount blind"
        )
    if entry.by in case.seen_by:
        return case
    sight = Sight(entry.by, entry.identity, entry.utc, not case.is_begun)
    return replace(
        case, seen_by=case.seen_by | {entry.by}, sights=(*case.sights, sight)
    )


def _ihc(case: Case, act: IhcEntered) -> Case:
    state = advance(case.state, workflow.ihc(act.value))
    group = case.group
    is_open = state is State.NEEDS_RECOUNT or group is None
    said = None if is_open or group is None else workflow.outcome(group, act.value)
    return replace(case, state=state, ihc=act.value, outcome=said)


def _recount(case: Case, entry: Entry, act: Recounted) -> Case:
    if case.state is not State.NEEDS_RECOUNT:
        advance(case.state, Event.RECOUNT_SAME)  # says what is allowed instead
    if entry.by in case.seen_by:
        raise RequestError(
            f"{entry.by} has seen the first count and is not blind; another observer "
            f"must recount"
        )
    totals = Totals(act.totals.her2, act.totals.cep17, act.totals.nuclei)
    if totals.nuclei < RECOUNT_NUCLEI:
        raise RequestError(
            f"{totals.nuclei} nuclei recounted; at least {RECOUNT_NUCLEI} are required"
        )
    group = case.group
    is_same = group is not None and group_of(totals) == group
    event = Event.RECOUNT_SAME if is_same else Event.RECOUNT_OTHER
    said = workflow.outcome(group, 2) if group is not None and is_same else None
    return replace(
        case,
        state=advance(case.state, event),
        recount=act.totals,
        recounted_by=entry.by,
        seen_by=case.seen_by | {entry.by},
        outcome=said,
    )


def _adjudicate(case: Case, entry: Entry, act: Adjudicated) -> Case:
    state = advance(case.state, Event.ADJUDICATE)
    if not entry.reason:
        raise RequestError("an adjudication needs its grounds; give them (--reason)")
    return replace(case, state=state, outcome=act.outcome)


def _sign(case: Case, entry: Entry, act: Signed) -> Case:
    state = advance(case.state, Event.SIGN)
    against = case.count.blockers if case.count else ()
    if against:
        raise StateError(
            f"the case cannot be signed: {against[0]}"
            + (f" (and {len(against) - 1} more)" if len(against) > 1 else ""),
            blockers=against,
        )
    if act.outcome != case.outcome:
        raise RequestError(
            f"the signature says {act.outcome}, the work-flow says {case.outcome}"
        )
    return replace(
        case,
        state=state,
        signed_by=entry.by,
        signed_utc=entry.utc,
        meaning=act.meaning,
    )


def _edit(case: Case, entry: Entry, act: CountEdited | InclusionEdited) -> Case:
    if entry.by not in case.seen_by:  # first: the state tells the blind of the group
        raise BlindError(
            f"{entry.by} has not looked at the counts; look before changing them"
        )
    if case.state not in (State.OPEN, State.NO_ANSWER):
        raise StateError(
            f"counts cannot change while the case is '{case.state.value}'; reopen it"
        )
    changed = edited(case.edits, act, by=entry.by, reason=entry.reason)
    return replace(case, edits=changed)


def _read(
    case: Case,
    entry: Entry,
    act: ReadingOpened | NucleusRead | ReadWithdrawn | ReadingSigned,
) -> Case:
    by, utc, seen = entry.by, entry.utc, case.seen_by
    match act:
        case ReadingOpened():
            found = readings.opened(case.readings, act, by=by, utc=utc, seen_by=seen)
        case NucleusRead():
            found = readings.answered(case.readings, act, by=by)
        case ReadWithdrawn():
            found = readings.withdrawn(case.readings, act, by=by)
        case ReadingSigned():
            found = readings.signed(case.readings, act, by=by, utc=utc)
            # who counted knows a count; in a recount that is said by `Recounted`
            if case.state is not State.NEEDS_RECOUNT:
                seen |= {by}
    return replace(case, readings=dict(found), seen_by=seen)


def _reopen(case: Case, entry: Entry) -> Case:
    if not entry.reason:
        raise RequestError("a case is reopened for a reason; give it (--reason)")
    return Case(
        state=advance(case.state, Event.REOPEN),
        marks=case.marks,
        areas=case.areas,
        outlines=case.outlines,
        marked_by=case.marked_by,
        edits=case.edits,
        readings=case.readings,
        seen_by=case.seen_by,
        sights=case.sights,
    )
