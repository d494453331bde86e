"""Which fields may enter the ratio, and why the others stand apart.

A ratio of two colours is one of a place and a moment: both bursts whole, of dyes that
nothing had bleached before, in one hold of the focus, within a minute. What is not so
is kept and shown, and counts towards nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from her2sr_proc.schema.counts import FieldResult
from her2sr_proc.schema.ledger import UnitRecord, UnitState
from her2sr_proc.schema.manifest import ChannelFacts, Manifest
from her2sr_proc.schema.noise import NoiseFacts
from her2sr_proc.schema.results import Accounting, ApartField, ArmName
from her2sr_proc.store.ledger import UnitHistory

LONGEST_GAP_S = 60.0
"""From the end of one signal burst of a field to the start of the next."""


def apart_reasons(
    manifest: Manifest, answering: Mapping[str, UnitHistory]
) -> tuple[str, ...]:
    """Return why a field may not enter the ratio, the weightiest first; none: it may.

    Parameters
    ----------
    manifest : Manifest
        Of the run. Imported movies have no times and no focus: only their frames count,
        and as many as the profile asks for.
    answering : mapping
        By channel, what the ledger says of the attempt that answers for the field.
    """
    signals = manifest.with_role("signal")
    return (
        *_against(manifest, answering),
        *(s for c in signals for s in _incomplete(manifest, c, answering.get(c.name))),
        *(s for c in signals for s in _repeated(c, answering.get(c.name))),
        *_between(manifest, signals, answering),
    )


def cleaned_reasons(
    manifest: Manifest, noise: Mapping[str, NoiseFacts]
) -> tuple[str, ...]:
    """Return which signal channels are not of frames as a camera took them.

    A signal is found by what light varies more than its own quanta do; of frames
    without that noise, whatever is left of it would count.

    Parameters
    ----------
    manifest : Manifest
        Says what the files of imported movies told.
    noise : mapping
        By channel, what noise its frames carry; a channel may be missing.
    """
    told = {movie.channel: movie for movie in manifest.imported}
    found = []
    for name in (channel.name for channel in manifest.with_role("signal")):
        movie = told.get(name)
        facts = noise.get(name) or (movie.noise if movie else None)
        words = facts.words() if facts else ""
        if not words and movie and movie.cleaned_by:
            words = f"its file says that {movie.cleaned_by} made it; import the raw one"
        if words:
            found.append(f"{name} was cleaned before: {words}")
    return tuple(found)


def apart_fields(
    manifest: Manifest,
    results: Sequence[FieldResult],
    accounting: Accounting,
    arm: ArmName,
) -> tuple[ApartField, ...]:
    """Return every field of a run that does not enter the ratio, in its order.

    Parameters
    ----------
    manifest, accounting
        Of the run; the accounting says why a field has no result.
    results : sequence of FieldResult
        Of the fields that were counted.
    arm : str
        By which the nuclei of such a field are shown.
    """
    counted = {result.field: result for result in results}
    found = []
    for facts in manifest.fields:
        result = counted.get(facts.name)
        if result is None:
            found.append(
                ApartField(field=facts.name, reasons=_never(facts.name, accounting))
            )
        elif result.apart:
            found.append(_shown(result, arm))
    return tuple(found)


def _never(name: str, accounting: Accounting) -> tuple[str, ...]:
    said = [
        f"{unit.state}: {unit.reason}" if unit.reason else unit.state
        for unit in accounting.units
        if unit.field == name
    ]
    return tuple(dict.fromkeys(said)) or ("never begun",)


def _shown(result: FieldResult, arm: ArmName) -> ApartField:
    """Return a field with what its nuclei hold that would count but for the field."""
    nuclei = [n for n in result.nuclei if n.exclusion_reason == result.apart[0]]
    sums = {
        probe: sum(n.counts[arm][probe].count for n in nuclei if arm in n.counts)
        for probe in ("HER2", "CEP17")
    }
    return ApartField(
        field=result.field,
        reasons=result.apart,
        nuclei=len(nuclei),
        her2_signals=sums["HER2"],
        cep17_signals=sums["CEP17"],
        ratio=sums["HER2"] / sums["CEP17"] if sums["CEP17"] else None,
    )


def _against(manifest: Manifest, answering: Mapping[str, UnitHistory]) -> Iterator[str]:
    """Yield what the acquisition holds against a unit, complete as it may be."""
    for channel in manifest.channels:
        verdict = _verdict(answering.get(channel.name))
        if verdict is not None and verdict.not_scorable:
            yield f"not scorable: {verdict.not_scorable}"


def _incomplete(
    manifest: Manifest, channel: ChannelFacts, history: UnitHistory | None
) -> Iterator[str]:
    frames = history.frames if history else 0
    least = float(channel.frames)
    if manifest.imported:
        least *= manifest.profile.count.minimum_frames_share
    if frames < least:
        yield f"{channel.name} incomplete: {frames} of {channel.frames} frames"
        return
    verdict = _verdict(history)
    is_whole = verdict is not None and verdict.state is UnitState.COMPLETE
    if not manifest.imported and not is_whole:
        why = verdict.reason if verdict else "the ledger has no end of this burst"
        yield f"{channel.name} incomplete: {why}"


def _repeated(channel: ChannelFacts, history: UnitHistory | None) -> Iterator[str]:
    if history is not None and history.key.attempt > 1:
        yield (f"{channel.name} is attempt {history.key.attempt}: not its first light")


def _between(
    manifest: Manifest,
    signals: Sequence[ChannelFacts],
    answering: Mapping[str, UnitHistory],
) -> Iterator[str]:
    """Yield what parts the signal bursts of a field: another hold, too long a time."""
    if manifest.imported:
        return
    units = [
        verdict
        for channel in signals
        if (verdict := _verdict(answering.get(channel.name))) is not None
    ]
    units.sort(key=lambda unit: unit.started_utc)
    for first, second in pairwise(units):
        names = f"{first.key.channel} and {second.key.channel}"
        if manifest.plan.get("focus") is not None:  # an earlier program recorded none
            if first.focus is None or second.focus is None:
                yield f"the focus of {names} was not recorded"
            elif first.focus.held_since_utc != second.focus.held_since_utc:
                yield f"{names} were not taken in one hold of the focus"
        gap_s = _seconds(first.ended_utc, second.started_utc)
        if not gap_s < LONGEST_GAP_S:
            yield (
                f"{names} lie {gap_s:.0f} s apart, at most {LONGEST_GAP_S:.0f} s may"
            )


def _verdict(history: UnitHistory | None) -> UnitRecord | None:
    return history.verdict if history is not None else None


def _seconds(earlier_utc: str, later_utc: str) -> float:
    began, ended = (datetime.fromisoformat(t) for t in (earlier_utc, later_utc))
    return (ended - began).total_seconds()
