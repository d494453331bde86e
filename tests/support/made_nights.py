"""A night of many fields on disk and in the database, as the engine leaves it.

No microscope: the lines of ledger, events and database are written by the engine's own
tracker, the fields' results, pictures and the report by the steps that write them in a
run. Counts and pixels are drawn; every field has the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Self

import numpy as np
from bench_counting import PITCH_PX, evidence, points_of
from growth_cases import NUCLEUS_PX, PARAMS, PIXEL_NM
from run_folders import make_run

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.device_views import DevicesView
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.states import RunEvent
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import FieldView, Health, RunRequest, RunView
from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.guard.messages import Status
from her2sr_acq.plan.models import Protocol
from her2sr_proc.counting import count_field
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.counts import FieldResult, NucleusCounts
from her2sr_proc.schema.ledger import BlockRecord, FocusRecord, UnitRecord, UnitState
from her2sr_proc.store.images import write_preview
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import write_field

ACROSS = 20
NUCLEI = 36
BLOCKS, BLOCK_FRAMES = 20, 250
SIDE_PX = 64
CHANNELS = ("561", "488", "405")


@dataclass
class MadeNight:
    """One run of so many fields, all of them taken and counted."""

    data: DataFolder
    database: Database
    order: RunOrder
    tracker: Tracker
    engine_s: list[float] = field(default_factory=list)
    """Processor time of the engine's book-keeping, field by field."""

    @property
    def run(self) -> RunFolder:
        return self.data.run(self.order.id)

    @property
    def names(self) -> list[str]:
        return [tile.name for tile in self.order.tiles]


def name_of(number: int) -> str:
    return f"r{number // ACROSS:02d}_c{number % ACROSS:02d}"


def begun(root: Path, fields: int) -> MadeNight:
    """Return a run with its manifest and database, of which nothing is taken yet."""
    data = DataFolder(root)
    run_id = f"20260101T200000-{fields:04d}"
    frames = dict.fromkeys(CHANNELS, BLOCKS * BLOCK_FRAMES)
    names = [name_of(number) for number in range(fields)]
    folder = make_run(data.run(run_id).root, frames=frames, size=SIDE_PX, fields=names)
    manifest = read_manifest(folder)
    channels = [
        channel.model_dump(
            include={"name", "probe", "laser_nm", "power_percent", "exposure_ms"}
            | {"frames", "role"}
        )
        for channel in manifest.channels
    ]
    grid = {"rows": max(1, -(-fields // ACROSS)), "columns": min(fields, ACROSS)}
    order = RunOrder(
        id=run_id,
        request=RunRequest(protocol="demo", sample="s1", operator="o1"),
        protocol=Protocol.model_validate(
            {"name": "demo", "grid": grid, "channels": channels}
        ),
        tiles=manifest.fields,
        created_utc="2026-01-01T20:00:00.000Z",
    )
    database = Database(root / "runs.db")
    view, views = order.view(), order.fields()
    database.add(view, views, order=order)
    tracker = Tracker(view, views, database=database, clock=Clock())
    return MadeNight(data, database, order, tracker)


def take(night: MadeNight) -> None:
    """Let the engine's book-keeping go through every field of the night."""
    tracker = night.tracker
    with RunLedger(night.run, Clock()) as ledger:
        tracker.attach(ledger)
        tracker.move(RunEvent.PREPARE, phase="preparing")
        tracker.move(RunEvent.START, phase="exposing")
        for name in night.names:
            used = time.process_time()
            for unit in tracker.planned(name):
                key = tracker.key_of(unit)
                tracker.enter("exposing", current=f"{name}/{unit.channel}")
                tracker.begin_unit(key)
                for record in _blocks(key):
                    tracker.block_written(record)
                tracker.note("light", **_light(key))
                tracker.end_unit(_last_word(key))
            night.engine_s.append(time.process_time() - used)
        tracker.move(RunEvent.FINISH, phase="done")
        tracker.attach(None)


def count(night: MadeNight) -> None:
    """Write the result and the pictures of every field."""
    rng = np.random.default_rng(1)
    drawn = _counted(rng)
    pixels = rng.poisson(100, (SIDE_PX, SIDE_PX)).astype(np.float32)
    for name in night.names:
        rows = drawn.model_copy(update={"run": night.order.id, "field": name})
        write_field(night.run, rows)
        for channel in CHANNELS[:2]:
            for kind in ("conventional", "superresolution"):
                write_preview(night.run.preview(name, channel, kind), pixels)


def _blocks(key: UnitKey) -> Iterator[BlockRecord]:
    for number in range(BLOCKS):
        yield BlockRecord(
            key=BlockKey(**key.model_dump(), block=number),
            first_frame=number * BLOCK_FRAMES,
            frames=BLOCK_FRAMES,
            bytes=1_000_000,
            sha256=f"{number:064x}",
            t_s=tuple(0.03 * n for n in range(BLOCK_FRAMES)),
            published=True,
        )


def _light(key: UnitKey) -> dict[str, object]:
    frames = BLOCKS * BLOCK_FRAMES
    nm = int(key.channel)
    return {"nm": nm, "power_percent": 40, "lit_s": 0.03 * frames, "frames": frames}


def _last_word(key: UnitKey) -> UnitRecord:
    frames = BLOCKS * BLOCK_FRAMES
    stamp = "2026-01-01T20:00:00.000Z"
    focus = FocusRecord(
        method="hardware", held_since_utc=stamp, z_um=10.0, z_end_um=10.01
    )
    return UnitRecord(
        key=key,
        state=UnitState.COMPLETE,
        requested=frames,
        delivered=frames,
        written=frames,
        published=frames,
        started_utc=stamp,
        ended_utc=stamp,
        focus=focus,
    )


def _counted(rng: np.random.Generator) -> FieldResult:
    """Return a field of nuclei with six and two signals each, by the counter."""
    across = int(np.ceil(np.sqrt(NUCLEI)))
    side = PITCH_PX * across
    places = np.array([divmod(n, across) for n in range(NUCLEI)])
    centres = (places + 0.5) * PITCH_PX
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for n, (cy, cx) in enumerate(centres):
        labels[np.hypot(y - cy, x - cx) < NUCLEUS_PX] = n + 1
    seen = [
        evidence(probe, points_of(centres, mean, rng), side, rng)
        for probe, mean in (("HER2", 6.0), ("CEP17", 2.0))
    ]
    found = count_field(labels, seen, pixel_nm=PIXEL_NM, params=PARAMS)
    return FieldResult(
        run="made",
        field="r00_c00",
        profile="recommended",
        profile_digest="0" * 16,
        nuclei=tuple(
            NucleusCounts(
                nucleus=label,
                x_um=float(centres[label - 1][1]) * PIXEL_NM / 1000,
                y_um=float(centres[label - 1][0]) * PIXEL_NM / 1000,
                area_um2=60.0,
                quality=0.9,
                excluded=False,
                counts=arms,
            )
            for label, arms in found.nuclei.items()
        ),
        signals=found.marks,
        clusters=found.clusters,
        isolated=found.isolated,
        staining=found.staining,
        flags=found.flags,
    )


class MadeDesk:
    """Tells of the night what the hardware process tells of a run that it holds."""

    def __init__(self, night: MadeNight, *, is_live: bool) -> None:
        self._night = night
        self._is_live = is_live
        """The run is going on: it is held in memory, as by the engine."""

    def runs(self, *, limit: int = 500, before: str = "") -> list[RunView]:
        return self._night.database.runs(limit=limit, before=before)

    def run(self, run_id: str) -> RunView:
        return self._night.database.run(run_id)

    def fields(self, run_id: str) -> list[FieldView]:
        if self._is_live:
            return self._night.tracker.fields
        return self._night.database.fields(run_id)

    def devices(self) -> DevicesView:
        return DevicesView(taken_utc="2026-01-01T19:00:00Z", devices=())

    @property
    def choices(self) -> Self:
        return self

    def look(self, run_id: str) -> NoReturn:
        raise RunNotFoundError(f"run {run_id} lets nobody choose its fields")

    def health(self) -> Health:
        return Health(
            version="1",
            pid=1,
            configuration="simulated",
            simulated=True,
            started_utc="2026-01-01T19:00:00Z",
            active_run=self._night.order.id if self._is_live else None,
            latched="",
            free_bytes=10**12,
        )


class MadeGuard:
    """A guard under which no light is on."""

    def status(self) -> Status:
        return Status(acq_pid=1, is_connected=True, lit_nm=(), deaths=0)
