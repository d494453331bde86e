"""What is truly in a run folder, read without the code that wrote it.

Manifest, ledger and events are read as JSON, chunks are hashed here and decoded by
zarr itself. Nothing is taken from the engine's own account, except to be compared.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import zarr

from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import FieldView, RunView
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.results import Accounting
from her2sr_proc.store.layout import RunFolder

OVER = FINAL - {RunState.INTERRUPTED}
"""An interrupted run may still be taken up, and its other units with it."""
Name = tuple[str, str]
"""A field and a channel."""
Sort = Literal["complete", "lost", "doubled", "unread", "told", "dark", "end"]
"""Wrongly complete, lost, doubled, not as readable as said, told otherwise; light on,
and a run that did not end."""


class Violation(NamedTuple):
    """Something that should not be so."""

    sort: Sort
    text: str


@dataclass
class FoundUnit:
    """One unit by its ledger lines and its chunks."""

    verdicts: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    readable: int = 0
    """Frames of blocks whose bytes have the ledger's checksum and can be decoded."""
    empty: int = 0
    """Frames among them that hold nothing but zeros, which no camera gives."""

    @property
    def state(self) -> str:
        return str(self.verdicts[-1]["state"]) if self.verdicts else "planned"


@dataclass(frozen=True)
class Audit:
    """What was found, and everything that should not be so."""

    units: dict[Name, FoundUnit]
    accounting: Accounting
    violations: tuple[Violation, ...]

    def count(self, state: str) -> int:
        return sum(unit.state == state for unit in self.units.values())

    @property
    def readable(self) -> int:
        return sum(unit.readable for unit in self.units.values())


def audit(run: RunFolder, view: RunView, fields: list[FieldView]) -> Audit:
    """Check a run at rest against its plan, its disk, and what is said of it."""
    manifest = json.loads(run.manifest.read_text())
    planned = {
        (tile["name"], channel["name"]): int(channel["frames"])
        for tile in manifest["fields"]
        for channel in manifest["channels"]
    }
    units, wrong = _read_ledger(run, planned)
    for name, unit in units.items():
        _read_chunks(run.root, name, unit)
        where = "/".join(name)
        found = _judge(unit, planned[name])
        wrong += [Violation(v.sort, f"{where}: {v.text}") for v in found]
        if view.state in OVER and not unit.verdicts:
            wrong.append(Violation("lost", f"{where} has no verdict"))
    wrong += [Violation("told", text) for text in _against_view(units, view, fields)]
    wrong += [Violation("told", text) for text in _broken_chain(run.events)]
    checked = verify(run, lambda _what, _done, _total: None)
    wrong += [Violation("unread", f"her2sr verify: {d}") for d in checked.damage]
    if checked.accounting.written != sum(unit.readable for unit in units.values()):
        wrong.append(Violation("unread", "her2sr verify counts other frames"))
    return Audit(units, checked.accounting, tuple(wrong))


def _read_ledger(
    run: RunFolder, planned: dict[Name, int]
) -> tuple[dict[Name, FoundUnit], list[Violation]]:
    units = {name: FoundUnit() for name in planned}
    wrong = []
    text = run.ledger.read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():
        said = json.loads(line)
        key = said["key"]
        name = (key["field"], key["channel"])
        if name not in units or key["attempt"] != 1:
            text = f"{'/'.join(name)} attempt {key['attempt']} was not planned"
            wrong.append(Violation("doubled", text))
        elif said["kind"] == "block":
            units[name].blocks.append(said)
        elif said not in units[name].verdicts:
            units[name].verdicts.append(said)
    return units, wrong


def _read_chunks(root: Path, name: Name, unit: FoundUnit) -> None:
    store = root / "raw" / name[0] / f"{name[1]}.ome.zarr"
    if not unit.blocks:
        return
    array = zarr.open_array(store=str(store / "0"), mode="r")
    for block in unit.blocks:
        number, first = block["key"]["block"], block["first_frame"]
        path = store / "0" / "c" / str(number) / "0" / "0"
        data = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(data).hexdigest() != block["sha256"]:
            continue
        frames = np.asarray(array[first : first + block["frames"]])
        unit.readable += len(frames)
        unit.empty += int((frames.max(axis=(1, 2)) == 0).sum())


def _judge(unit: FoundUnit, frames: int) -> list[Violation]:
    """Return what is wrong with one unit."""
    wrong = []
    numbers = [block["key"]["block"] for block in unit.blocks]
    if len(set(numbers)) != len(numbers):
        wrong.append(Violation("doubled", "a block stands twice in the ledger"))
    if unit.empty:
        text = f"{unit.empty} frames without content count as data"
        wrong.append(Violation("unread", text))
    if len(unit.verdicts) > 1:
        text = f"{len(unit.verdicts)} verdicts that differ"
        wrong.append(Violation("doubled", text))
    for said in unit.verdicts[-1:]:
        counts = (said["requested"], said["delivered"], said["written"], unit.readable)
        if said["state"] == "complete" and set(counts) != {frames}:
            wrong.append(Violation("complete", f"of {frames} frames it has {counts}"))
        if said["written"] != unit.readable:
            text = f"{said['written']} written, {unit.readable} readable"
            wrong.append(Violation("unread", text))
        if said["written"] > said["delivered"] or said["delivered"] > frames:
            wrong.append(Violation("doubled", f"more than was asked for: {counts}"))
    return wrong


def _against_view(
    units: dict[Name, FoundUnit], view: RunView, fields: list[FieldView]
) -> list[str]:
    """Compare with what control socket and REST tell of the same units."""
    told = [unit for tile in fields for unit in tile.units]
    wrong = []
    if sorted((unit.field, unit.channel) for unit in told) != sorted(units):
        wrong.append("the units told are not those planned, each once")
    for unit in told:
        found = units.get((unit.field, unit.channel))
        if found is None or found.state != unit.state or found.readable != unit.written:
            wrong.append(
                f"{unit.field}/{unit.channel} is told as {unit.state} with "
                f"{unit.written} frames, and is not so in its folder"
            )
    if view.frames_done != sum(unit.readable for unit in units.values()):
        wrong.append(f"{view.frames_done} frames are told as done")
    return wrong


def _broken_chain(path: Path) -> list[str]:
    former, wrong = "", []
    text = path.read_text()
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines()):
        event = json.loads(line)
        if event["previous"] != former or event["sequence"] != number:
            wrong.append(f"event {number} does not follow the one before it")
        former = hashlib.sha256(line.encode()).hexdigest()
    return wrong
