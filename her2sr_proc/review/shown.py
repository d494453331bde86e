"""What one person is shown of a case: everything hidden is left out here. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from her2sr_proc.review.machine import Machine
from her2sr_proc.schema.case import (
    UNNAMED,
    Adjudicated,
    CountAccepted,
    Entry,
    IhcEntered,
    Recounted,
    RegionsMarked,
    Viewed,
)
from her2sr_proc.schema.counts import NucleusCounts, Region
from her2sr_proc.schema.reading import NucleusRead
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.review import (
    AnswerView,
    CaseView,
    CountView,
    EntryView,
    ItemView,
    NucleusView,
    ReadingSummary,
    ReadingView,
    Reviewer,
    ReviewView,
    SightView,
)
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.edits import Edits
from her2sr_proc.scoring.readings import Reading, open_reading_of
from her2sr_proc.scoring.record import Record
from her2sr_proc.scoring.workflow import NEXT, State

HIDDEN = "hidden"
OPEN_ACTS = (RegionsMarked, Viewed)
"""Acts that tell nothing of any count."""
TELLING = (CountAccepted, IhcEntered, Recounted, Adjudicated)
"""Acts that only some groups allow: that they were done tells of the group."""
OPEN_STATES = (State.OPEN, State.NEEDS_RECOUNT, State.FINAL)
"""States that who reads blind has to know, or that every group may reach."""


def shows_counts(case: Case, who: Reviewer) -> bool:
    """Return whether counts are sent: to one who may see, and is recorded as seeing."""
    return case.may_see(who.name) and who.name in case.seen_by


Blind = Literal["", "reading", "recount", "unasked"]
WHY: dict[Blind, str] = {
    "": "",
    "reading": "until your blind reading is signed",
    "recount": "until the second observer has recounted",
    "unasked": "until you ask for them; whoever sees them cannot read blind",
}


def why_blind(case: Case, who: Reviewer) -> Blind:
    """Return why counts are hidden from a person, a key of `WHY`."""
    if open_reading_of(case.readings, who.name) is not None:
        return "reading"
    if not case.may_see(who.name):
        return "recount"
    return "" if who.name in case.seen_by else "unasked"


def overview(record: Record, machine: Machine, who: Reviewer) -> ReviewView:
    """Return where a review stands."""
    case = record.case
    is_shown = shows_counts(case, who)
    state = _state(case, who)
    accepted = accepted_keys(case, machine, with_edits=is_shown)
    marks = [case.marks.get(key, "unmarked") for key in accepted]
    own = open_reading_of(case.readings, who.name)
    return ReviewView(
        run=machine.manifest.run,
        sample=machine.manifest.sample,
        reviewer=who,
        state=state,
        allowed=()
        if state == HIDDEN
        else tuple(event.value for event in NEXT[case.state]),
        sights=tuple(
            SightView(
                by=one.by,
                identity=one.identity,
                utc=one.utc,
                is_before_review=one.is_before_review,
            )
            for one in case.sights
        ),
        has_seen=who.name in case.seen_by,
        may_see=case.may_see(who.name),
        blind=WHY[why_blind(case, who)],
        blind_code=why_blind(case, who),
        nuclei=sum(1 for _ in machine.nuclei()),
        accepted=len(accepted),
        regions={region: marks.count(region) for region in get_args(Region)},
        marked_by=tuple(dict.fromkeys(case.marked_by)),
        readings=tuple(_summary(one, case, who) for one in case.readings.values()),
        own_reading=own.name if own else "",
        ihc=case.ihc if is_shown else None,
        case=_case(case) if is_shown else None,
        signed_by=case.signed_by,
        signed_utc=case.signed_utc,
        meaning=case.meaning if is_shown else "",
        entries=record.length,
        head=record.head if is_shown else "",
    )


def accepted_keys(
    case: Case, machine: Machine, *, with_edits: bool = True
) -> list[str]:
    """Return the nuclei that count, after what people changed."""
    edits = case.edits if with_edits else {}
    return [
        key
        for key, nucleus in machine.nuclei()
        if not _is_excluded(nucleus, edits.get(key))
    ]


def nuclei(case: Case, machine: Machine, who: Reviewer) -> list[NucleusView]:
    """Return every nucleus; without counts, and without others' changes, when blind."""
    is_shown = shows_counts(case, who)
    return [
        _nucleus(key, found, case, is_shown=is_shown) for key, found in machine.nuclei()
    ]


def nucleus(case: Case, machine: Machine, who: Reviewer, key: str) -> NucleusView:
    """Return one nucleus, as `nuclei` does."""
    found = machine.nucleus(key)
    return _nucleus(key, found, case, is_shown=shows_counts(case, who))


def reading(found: Reading, *, is_revealed: bool) -> ReadingView:
    """Return a reading; which pictures it showed only when that is revealed."""
    items = found.items if is_revealed else ()
    return ReadingView(
        name=found.name,
        by=found.by,
        items=len(found.items),
        answers={place: _answer(said) for place, said in found.answers.items()},
        signed_utc=found.signed_utc,
        meaning=found.meaning,
        revealed=tuple(
            ItemView(item=n, nucleus=one.nucleus, picture=one.picture)
            for n, one in enumerate(items, start=1)
        ),
    )


def entries(found: Iterable[Entry], case: Case, who: Reviewer) -> list[EntryView]:
    """Return lines of the record; acts that would end a blindness are withheld."""
    is_shown = shows_counts(case, who)
    unsigned = {one.name for one in case.readings.values() if not one.is_signed}
    views = []
    for entry in found:
        name = getattr(entry.act, "reading", None)
        is_plain = isinstance(entry.act, OPEN_ACTS)
        is_told = is_shown and name not in unsigned
        is_secret = isinstance(entry.act, TELLING) and not is_shown
        views.append(
            EntryView(
                sequence=entry.sequence,
                utc=entry.utc,
                by=entry.by,
                identity=entry.identity,
                kind=HIDDEN if is_secret else entry.act.kind,
                # what another wrote freely may say what they saw
                reason=entry.reason if is_told or entry.by == who.name else "",
                act=entry.act.model_dump(mode="json") if is_plain or is_told else None,
            )
        )
    return views


def _state(case: Case, who: Reviewer) -> str:
    if shows_counts(case, who):
        return case.state.value
    is_reading = open_reading_of(case.readings, who.name) is not None
    is_told = case.state in OPEN_STATES and not is_reading
    return case.state.value if is_told or case.state is State.OPEN else HIDDEN


def _summary(one: Reading, case: Case, who: Reviewer) -> ReadingSummary:
    return ReadingSummary(
        name=one.name,
        by=one.by,
        items=len(one.items),
        answered=len(one.answers),
        opened_utc=one.opened_utc,
        signed_utc=one.signed_utc,
        meaning=one.meaning if shows_counts(case, who) or one.by == who.name else "",
        is_vouched=not any(
            sight.by == UNNAMED and sight.utc <= one.opened_utc for sight in case.sights
        ),
    )


def _case(case: Case) -> CaseView:
    count = case.count
    totals = count.totals if count else None
    return CaseView(
        group=case.group,
        arm=count.arm if count else "",
        counted_by=case.counted_by,
        her2=totals.her2 if totals else None,
        cep17=totals.cep17 if totals else None,
        nuclei=totals.nuclei if totals else None,
        recounted_by=case.recounted_by,
        outcome=case.outcome,
        comment=case.comment,
        blockers=count.blockers if count else (),
    )


def _is_excluded(found: NucleusCounts, said: Edits | None) -> bool:
    if said is None or said.is_excluded is None:
        return found.excluded
    return said.is_excluded


def _nucleus(
    key: str, found: NucleusCounts, case: Case, *, is_shown: bool
) -> NucleusView:
    said = case.edits.get(key, Edits()) if is_shown else Edits()
    return NucleusView(
        key=key,
        x_um=found.x_um,
        y_um=found.y_um,
        area_um2=found.area_um2,
        quality=found.quality,
        region=case.marks.get(key, "unmarked"),
        area=case.areas.get(key, ""),
        is_excluded=_is_excluded(found, said),
        exclusion_reason=found.exclusion_reason,
        machine_excluded=found.excluded,
        revision=said.revision,
        changed_by=said.by,
        reason=said.reason,
        counts=_counts(found, said) if is_shown else None,
    )


def _counts(found: NucleusCounts, said: Edits) -> dict[ArmName, CountView]:
    views: dict[ArmName, CountView] = {}
    for arm, probes in found.counts.items():
        machine = probes["HER2"].count, probes["CEP17"].count
        her2, cep17 = said.counts.get(arm, machine)
        views[arm] = CountView(
            her2=her2,
            cep17=cep17,
            machine_her2=machine[0],
            machine_cep17=machine[1],
            is_ambiguous=any(one.ambiguous for one in probes.values()),
            is_estimated=any(one.estimated for one in probes.values()),
        )
    return views


def _answer(said: NucleusRead) -> AnswerView:
    return AnswerView(
        her2=said.her2,
        cep17=said.cep17,
        is_unsure=said.is_unsure,
        is_excluded=said.is_excluded,
    )
