"""Blind readings of a case: who may open, fill and sign one. Pure.

A reading is blind: its observer has seen no count of this case before it, and is shown
none, nor which arm a picture is of, until it is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from her2sr_proc.errors import AbsentError, BlindError, RequestError, StateError
from her2sr_proc.schema.reading import (
    NucleusRead,
    Picture,
    ReadingItem,
    ReadingOpened,
    ReadingSigned,
    ReadWithdrawn,
)
from her2sr_proc.scoring.groups import Totals

UNREADABLE = "another observer must read this case blind"


@dataclass(frozen=True, slots=True)
class Reading:
    """One person's blind counts."""

    name: str
    by: str
    items: tuple[ReadingItem, ...]
    opened_utc: str
    answers: Mapping[int, NucleusRead] = field(default_factory=dict)
    """Place in the order, from 1 -> what was seen."""
    signed_utc: str = ""
    meaning: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether nothing of it changes any more."""
        return bool(self.signed_utc)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures it holds, super-resolution first."""
        seen = {item.picture for item in self.items}
        order: tuple[Picture, ...] = ("superresolution", "conventional")
        return tuple(picture for picture in order if picture in seen)

    def counts(self, picture: Picture) -> dict[str, tuple[int, int]]:
        """Return HER2 and CEP17 by field/nucleus; excluded ones have none."""
        return {
            self.items[place - 1].nucleus: (said.her2, said.cep17)
            for place, said in sorted(self.answers.items())
            if self.items[place - 1].picture == picture
            and said.her2 is not None
            and said.cep17 is not None
        }

    def totals(self) -> Totals:
        """Return the totals over what was counted on the reading's first picture."""
        found = self.counts(self.pictures[0]).values()
        return Totals(sum(h for h, _ in found), sum(c for _, c in found), len(found))


Readings = Mapping[str, Reading]


def open_reading_of(readings: Readings, observer: str) -> Reading | None:
    """Return the reading that an observer has not signed yet."""
    for one in readings.values():
        if one.by == observer and not one.is_signed:
            return one
    return None


def opened(
    readings: Readings,
    act: ReadingOpened,
    *,
    by: str,
    utc: str,
    seen_by: frozenset[str],
) -> Readings:
    """Return the readings with a new one.

    Raises `BlindError` for who has seen counts, `StateError` for who reads already.
    """
    if by in seen_by:
        raise BlindError(
            f"{by} has seen counts of this case and is not blind; {UNREADABLE}"
        )
    before = open_reading_of(readings, by)
    if before is not None:
        raise StateError(f"{by} reads '{before.name}' already; sign it first")
    if act.reading != next_name(readings):
        raise StateError(f"the next reading is '{next_name(readings)}'")
    if len(set(act.items)) < len(act.items):
        raise RequestError("a reading shows the same picture twice; draw it again")
    return {**readings, act.reading: Reading(act.reading, by, act.items, utc)}


def next_name(readings: Readings) -> str:
    """Return the name that the next reading bears."""
    return f"reading-{len(readings) + 1}"


def answered(readings: Readings, act: NucleusRead, *, by: str) -> Readings:
    """Return the readings with an answer. Raises as `own`."""
    reading = own(readings, act.reading, by=by)
    _require_item(reading, act.item)
    answers = {**reading.answers, act.item: act}
    return {**readings, act.reading: replace(reading, answers=answers)}


def withdrawn(readings: Readings, act: ReadWithdrawn, *, by: str) -> Readings:
    """Return the readings without an answer. Raises as `own`."""
    reading = own(readings, act.reading, by=by)
    _require_item(reading, act.item)
    if act.item not in reading.answers:
        raise StateError(f"nothing was said of item {act.item} that could be undone")
    answers = {k: v for k, v in reading.answers.items() if k != act.item}
    return {**readings, act.reading: replace(reading, answers=answers)}


def signed(readings: Readings, act: ReadingSigned, *, by: str, utc: str) -> Readings:
    """Return the readings with one signed. Raises as `own`, or while it is open."""
    reading = own(readings, act.reading, by=by)
    missing = [n for n in range(1, len(reading.items) + 1) if n not in reading.answers]
    if missing:
        raise StateError(
            f"{len(missing)} of {len(reading.items)} pictures are not counted yet, "
            f"first number {missing[0]}; count or exclude them",
            first=missing[0],
        )
    done = replace(reading, signed_utc=utc, meaning=act.meaning)
    return {**readings, act.reading: done}


def own(readings: Readings, name: str, *, by: str) -> Reading:
    """Return an observer's own unsigned reading.

    Raises `RequestError` where there is none of that name, `BlindError` for another
    person's, `StateError` once it is signed.
    """
    reading = readings.get(name)
    if reading is None:
        raise AbsentError(f"there is no reading '{name[:80]}' of this case")
    if reading.by != by:
        raise BlindError(f"'{name}' is the reading of another observer")
    if reading.is_signed:
        raise StateError(
            f"'{name}' was signed at {reading.signed_utc} and cannot change"
        )
    return reading


def _require_item(reading: Reading, item: int) -> None:
    if item > len(reading.items):
        raise RequestError(
            f"'{reading.name}' has {len(reading.items)} pictures; there is no number "
            f"{item}"
        )
