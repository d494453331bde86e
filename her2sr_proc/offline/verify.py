"""Whether a run folder is what it says: checksums, taps, the chain of events.

Needs the folder alone: no database, no microscope, no network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.offline.accounting import account
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import BlockRecord, DiscardRecord
from her2sr_proc.schema.results import Accounting, UnitAccounting
from her2sr_proc.store import kept, raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import (
    UnitHistory,
    UnitTally,
    read_ledger,
    read_tallies,
    unit_of,
)
from her2sr_proc.store.lines import numbered_lines
from her2sr_proc.store.manifest import read_manifest

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of a run folder found."""

    blocks: int
    """Blocks whose checksum was compared."""
    events: int
    accounting: Accounting
    damage: tuple[str, ...]
    """What is not as it was written."""
    gaps: tuple[str, ...]
    """What was asked for and is not there, or not localized yet."""
    discarded: tuple[str, ...] = ()
    """What was given up on purpose; neither damage nor gap."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged and nothing is missing."""
        return not self.damage and not self.gaps


def verify(run: RunFolder, progress: Progress) -> Verdict:
    """Compare every block with its checksum, the taps, and the chain of events.

    Raises `StateError` when the folder is no run folder, `DataError` when its
    manifest or ledger cannot be understood.
    """
    manifest = read_manifest(run)
    tallies = read_tallies(run.ledger)
    total = sum(_compared(tally) for tally in tallies.values())
    damage: list[str] = []
    done, room = 0, raw.BlockRoom()
    for history in _histories(run, tallies):
        for fault in _check_unit(run, history, room):
            progress("checking blocks", done := done + 1, total)
            damage += [fault] if fault else []
        damage += _miscounted(history)
        damage += _stack_damage(run, history)
    events = sum(1 for _ in numbered_lines(run.events))
    for chain in (run.events, run.case):
        lines = (text for _, text in numbered_lines(chain))
        damage += broken_links(lines, name=chain.name)
    accounting = account(run, manifest, tallies)
    gaps = tuple(gap for unit in accounting.units for gap in _gaps(unit))
    discarded = tuple(_given_up(d) for t in tallies.values() if (d := t.discarded))
    return Verdict(total, events, accounting, tuple(damage), gaps, discarded)


def _histories(run: RunFolder, units: Iterable[UnitKey]) -> Iterator[UnitHistory]:
    """Yield the blocks of units; those of one field are in memory at a time."""
    field, held = "", dict[UnitKey, UnitHistory]()
    for unit in units:
        if unit.field != field:
            field = unit.field
            held = read_ledger(run.ledger, field=field, times=False)
        yield held[unit]


def broken_links(lines: Iterable[str], name: str = "events.jsonl") -> list[str]:
    """Return a sentence for every line that does not name its predecessor.

    Each line is a JSON object whose `previous` is the SHA-256, as hex digits, of the
    former line's text; in the first line it is empty.
    """
    faults: list[str] = []
    expected = ""
    for number, line in enumerate(lines, start=1):
        try:
            previous = json.loads(line)["previous"]
        except (json.JSONDecodeError, KeyError, TypeError):
            faults.append(f"{name} line {number} is not an event")
        else:
            if previous != expected:
                faults.append(
                    f"{name} line {number} does not follow the line before it: "
                    f"one of them was changed, or a line was removed"
                )
        expected = hashlib.sha256(line.encode()).hexdigest()
    return faults


def _stack_damage(run: RunFolder, history: UnitHistory) -> list[str]:
    """Return a sentence where the stack of a unit is not as it was written."""
    stack = history.verdict.stack if history.verdict else None
    if stack is None:
        return []
    path = run.focus_stack(history.key)
    where = f"{history.key.field}/{history.key.channel}"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        return [f"the stack through the focus of {where} cannot be read: {exc}"]
    if found != stack.sha256:
        return [f"the stack through the focus of {where} is not as it was written"]
    return []


def _check_unit(
    run: RunFolder, history: UnitHistory, room: raw.BlockRoom
) -> Iterator[str]:
    """Yield for each block what is wrong with it, or nothing."""
    if history.discarded is not None:
        yield from kept.check_kept(run, history.discarded)
        return
    path = run.raw(history.key)
    for _, record in sorted(history.blocks.items()):
        try:
            _read(run, path, record, room)
        except IntegrityError as exc:
            yield str(exc)
        except (DataError, ValueError, RuntimeError) as exc:
            where = f"{record.key.field}/{record.key.channel}"
            yield f"block {record.key.block} of {where} cannot be read: {exc}"
        else:
            yield ""


def _read(run: RunFolder, path: Path, record: BlockRecord, room: raw.BlockRoom) -> None:
    """Read a block, by the ledger of now where it was coded anew since. Raises so.

    One that was given up since on purpose is not read.
    """
    try:
        raw.read_block(path, record, room)
    except IntegrityError:
        units = read_ledger(run.ledger, field=record.key.field, times=False)
        now = units[unit_of(record.key)]
        if now.discarded is not None:
            return
        anew = now.blocks[record.key.block]
        if anew == record:
            raise
        raw.read_block(path, anew, room)


def _compared(tally: UnitTally) -> int:
    said = tally.discarded
    return tally.blocks if said is None else len(said.kept)


def _given_up(said: DiscardRecord) -> str:
    rest = f"{said.kept_frames} of them kept"
    if said.crop is not None:
        rest += f", {100 * said.crop.share:.1f} % of their pixels, around nuclei"
    return (
        f"{said.key.field}/{said.key.channel}: {said.frames} raw frames discarded at "
        f"{said.utc} by {said.by} ({said.reason}); {rest}"
    )


def _miscounted(history: UnitHistory) -> list[str]:
    verdict = history.verdict
    if verdict is None or verdict.written == history.frames:
        return []
    return [
        f"{verdict.key.field}/{verdict.key.channel}: the unit's record says "
        f"{verdict.written} frames written, its blocks hold {history.frames}"
    ]


def _gaps(unit: UnitAccounting) -> Iterator[str]:
    where = f"{unit.field}/{unit.channel}"
    if unit.attempt > 1:
        where += f" attempt {unit.attempt}"
    if not unit.requested == unit.delivered == unit.written:
        why = f" ({unit.state}: {unit.reason})" if unit.reason else f" ({unit.state})"
        yield (
            f"{where}: {unit.requested} frames requested, {unit.delivered} delivered, "
            f"{unit.written} written{why}"
        )
    if unit.localizable != unit.localized:
        yield (
            f"{where}: {unit.localized} of {unit.localizable} frames localized; "
            f"`her2sr process` computes what is missing"
        )
