"""What may be said with what was found: status, and every reason against more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from her2sr_proc.schema.assessment import Criterion, Subset, Trend
from her2sr_proc.schema.case import Outcome
from her2sr_proc.schema.results import Status
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.criteria import REJECTING
from her2sr_proc.scoring.groups import (
    NEEDS_IHC,
    Group,
    Totals,
    is_near_ratio,
    roundings,
)
from her2sr_proc.scoring.workflow import outcome

UNMARKED = (
    "no region was marked by a named person: only invasive tumour is scored, so there "
    "is no group yet; mark areas or nuclei"
)
NO_MAP = (
    "the counts have no channel map: which colour is which probe is never guessed; say "
    "it, as in 561=HER2,488=CEP17"
)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the answer depends on."""

    totals: Totals
    group: Group | None
    """By the mode's sets of nuclei, whatever else was found."""
    both_colours_group: Group | None
    chances: dict[str, float]
    criteria: tuple[Criterion, ...] = ()
    trends: tuple[Trend, ...] = ()
    second: Subset | None = None
    is_marked: bool = True
    has_channel_map: bool = True
    ambiguous_share: float | None = None
    outnumbered: bool = False
    """CEP17 exceeds HER2 by more than sampling explains."""
    open_groups: frozenset[Group] = frozenset()
    """What the 95 % intervals of ratio and mean leave open, all errors counted."""
    ihc: int | None = None
    """Score of the same tissue; None: not read yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, the group that may be named, and why not more."""

    status: Status
    group: Group | None
    reasons: tuple[str, ...]
    outcome: Outcome | None = None


def answer(found: Findings, params: ScoreParams) -> Answer:
    """Return what may be said of a sample before IHC and before any person signs."""
    nothing = tuple(_no_answer(found))
    few = tuple(_too_little(found, params))
    if not found.is_marked:
        is_void = found.totals.her2 == 0 or found.totals.cep17 == 0
        status: Status = "indeterminate" if is_void else "insufficient"
        return Answer(status, None, (UNMARKED, *nothing, *few))
    if found.group is None or nothing:
        return Answer("indeterminate", None, nothing)
    group, next_step = found.group, _next_step(found.group, found.ihc)
    words = (next_step[1],) if next_step else ()
    reasons = (*few, *words, *roundings(found.totals))
    if found.totals.nuclei < params.minimum_nuclei:
        return Answer("insufficient", group, reasons)
    if next_step:
        return Answer(next_step[0], group, reasons)
    said = outcome(group, found.ihc)
    return Answer("insufficient" if few else "definite", group, reasons, said)


def blockers(found: Findings, params: ScoreParams) -> Iterator[str]:
    """Yield every reason for which nobody can sign the answer as final."""
    if not found.is_marked:
        yield UNMARKED
    if not found.has_channel_map:
        yield NO_MAP
    yield from _no_answer(found)
    yield from _too_little(found, params)
    for one in found.criteria:
        is_told = one.name in REJECTING or one.name in _ASKING
        if one.verdict == "unknown" or (one.verdict == "broken" and not is_told):
            yield f"{one.name}: {one.words}"
    for trend in found.trends:
        if trend.blocks:
            yield (
                f"{trend.probe} counts change with {trend.against} (p = "
                f"{trend.p_value:.3f}): find out why, or count again"
            )
    if found.outnumbered:
        yield (
            "CEP17 signals outnumber HER2 signals by more than sampling explains: "
            "check that the channels are not swapped"
        )
    share = found.ambiguous_share
    if share is not None and share > params.maximum_ambiguous:
        yield (
            f"{100 * share:.0f} % of nuclei are ambiguous, more than "
            f"{100 * params.maximum_ambiguous:.0f} %"
        )


_ASKING = ("invasive nuclei", "areas of tumour")
"""Criteria that, broken, ask for more nuclei or areas; told as reasons already."""


def _no_answer(found: Findings) -> Iterator[str]:
    if found.totals.nuclei == 0:
        yield "no nucleus was accepted"
        return
    if found.totals.cep17 == 0:
        yield "no CEP17 signal: there is no ratio"
    for one in found.criteria:
        if one.name in REJECTING and one.verdict == "broken":
            yield one.words


def _too_little(found: Findings, params: ScoreParams) -> Iterator[str]:
    for one in found.criteria:
        if one.name in _ASKING and one.verdict == "broken":
            yield one.words
    if found.group is None:
        return
    n, least = found.totals.nuclei, params.minimum_nuclei
    if is_near_ratio(found.totals) and least <= n < 2 * least:
        yield f"the ratio lies between 1.80 and 2.20: count {least} more nuclei"
    chance = found.chances.get(str(found.group), 0.0)
    if chance < params.definite_probability:
        yield (
            f"sampling and common errors leave group {found.group} at P = "
            f"{chance:.2f}, below {params.definite_probability:.2f}: count more nuclei"
        )
    others = sorted(found.open_groups - {found.group})
    if others:
        told = " and ".join(str(group) for group in others)
        yield f"95 % intervals with all errors reach into group {told}"
    if found.both_colours_group not in (None, found.group):
        yield (
            f"over nuclei with both colours alone it is group "
            f"{found.both_colours_group}: the answer hangs on nuclei that lack one"
        )
    yield from _second(found, params)


def _second(found: Findings, params: ScoreParams) -> Iterator[str]:
    """Yield what a second population leaves open.

    Nothing where enough of it was counted and it forms the group of the whole: it is
    reported apart in the assessment, and no separate count would name another group.
    """
    second = found.second
    if second is None:
        return
    missing = params.minimum_nuclei - second.nuclei
    if missing <= 0 and second.group == found.group:
        return
    said = (
        f"a second population of {second.nuclei} nuclei has "
        f"{second.her2_per_nucleus or 0:.1f} HER2 signals each and forms "
        f"{f'group {second.group}' if second.group else 'no group'}"
    )
    cure = f"count {missing} more of it" if missing > 0 else "report it apart"
    yield f"{said}: {cure}"


def _next_step(group: Group, ihc: int | None) -> tuple[Status, str] | None:
    """Return what the guideline asks for next; None when nothing is left."""
    if group not in NEEDS_IHC:
        return None
    if ihc is None:
        return "needs_ihc", f"group {group} needs IHC on the same tissue"
    if ihc != 2:
        return None
    return (
        "needs_recount",
        f"group {group} with IHC 2+: a second observer, blind to this count, recounts "
        f"at least 20 nuclei in the area of 2+",
    )
