"""One run as it happens: seen by anyone at any moment, kept in database and events.

The engine's threads report to it, the control thread reads from it. A step is written
to the run's events and to the database before it takes effect.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pydantic import JsonValue

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.states import FINAL, RunEvent, RunState, advance
from her2sr_acq.engine.views import FieldView, RunView, UnitView
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import (
    BlockRecord,
    DiscardRecord,
    UnitRecord,
    UnitState,
)

_FORGET = (RunEvent.RESUME, RunEvent.RETAKE, RunEvent.START)
"""After these a former reason no longer holds."""


class Tracker:
    """The live state of one run."""

    def __init__(
        self,
        view: RunView,
        fields: tuple[FieldView, ...],
        *,
        database: Database,
        clock: Clock,
    ) -> None:
        self._view = view
        self._fields = {field.name: field for field in fields}
        self._database = database
        self._clock = clock
        self._ledger: RunLedger | None = None
        self._keeps = True
        self._lock = threading.RLock()

    def attach(self, ledger: RunLedger | None) -> None:
        """Write to this ledger from now on; None once it is closed."""
        with self._lock:
            self._ledger = ledger

    def let_go(self) -> None:
        """Go on in memory alone: the last resort when the disk takes nothing more.

        At the next start the run is found unfinished and recovered from what it left.
        """
        with self._lock:
            self._ledger = None
            self._keeps = False

    @property
    def view(self) -> RunView:
        """The run as it stands."""
        with self._lock:
            return self._view

    @property
    def fields(self) -> list[FieldView]:
        """The fields and units as they stand, in order of acquisition."""
        with self._lock:
            return list(self._fields.values())

    @property
    def units(self) -> list[UnitView]:
        """The units as they stand, in order of acquisition."""
        return [unit for field in self.fields for unit in field.units]

    def move(self, event: RunEvent, *, phase: str, reason: str = "") -> None:
        """Take the run to its next state. Raises `RunConflictError` if it has none."""
        with self._lock:
            state = advance(self._view.state, event)
            stamp = self._clock.stamp()
            changes: dict[str, object] = {"state": state, "phase": phase}
            if reason or event in _FORGET:
                changes["reason"] = reason
            if state is RunState.RUNNING and self._view.started_utc is None:
                changes["started_utc"] = stamp
            if state in FINAL:
                changes |= {"ended_utc": stamp, "current": ""}
            elif self._view.state in FINAL:
                changes["ended_utc"] = None
            view = self._view.model_copy(update=changes)
            self.note("state", state=state.value, phase=phase, reason=reason)
            self._store(view)
            self._view = view

    def mark(self, *, boot: str, resumes: int) -> None:
        """Note under which boot of the host the run goes on, and how often it did."""
        with self._lock:
            self.note("taken up", boot=boot, resumes=resumes)
            view = self._view.model_copy(update={"boot": boot, "resumes": resumes})
            self._store(view)
            self._view = view

    def plan_attempts(self, field: str, channels: Sequence[str]) -> None:
        """Plan a further attempt of channels of one field, and queue the run."""
        with self._lock:
            old = self._fields[field]
            further = [_further(old, channel) for channel in channels]
            new = old.model_copy(update={"units": (*old.units, *further)})
            self._fields[field] = new
            frames = sum(unit.requested for unit in further)
            view = self._view.model_copy(
                update={
                    "frames_requested": self._view.frames_requested + frames,
                    "units_total": self._view.units_total + len(further),
                }
            )
            self._store(view, new)
            self._view = view

    def enter(self, phase: str, *, current: str = "") -> None:
        """Say what is being done. For the eye: kept in memory alone."""
        with self._lock:
            self._set(phase=phase, current=current)

    def await_selection(self, until_utc: str | None) -> None:
        """Say that somebody is to choose fields until then; None: no longer."""
        with self._lock:
            if until_utc is None:
                self._set(awaits="", awaits_until_utc=None)
                return
            self.note("selection awaited", until_utc=until_utc)
            self._set(
                phase="waiting for somebody to choose the fields",
                current="",
                awaits="selection",
                awaits_until_utc=until_utc,
            )

    def begin_unit(self, key: UnitKey) -> None:
        """Note, before its light, that a unit is being acquired."""
        with self._lock:
            self.note("unit started", unit=key.model_dump(mode="json"))
            field = self._replace_unit(
                key, state=UnitState.ACQUIRING, started_utc=self._clock.stamp()
            )
            self._store(self._view, field)

    def note(self, kind: str, **data: JsonValue) -> None:
        """Add an event to the chain."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.event(kind, **data)

    def alarm(self, said: str) -> None:
        """Tell people of something that ends no run: as an event, and with the run."""
        with self._lock:
            self.note("alarm", why=said)
            self._set(alarms=(*self._view.alarms, said))
            self._store(self._view)

    def block_written(self, record: BlockRecord) -> None:
        """Write a durable block into the ledger and count its frames."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.record(record)
            unit = self.unit(record.key)
            taken = record.frames if record.published else 0
            self._replace_unit(
                record.key,
                written=unit.written + record.frames,
                published=unit.published + taken,
            )
            self._set(frames_done=self._view.frames_done + record.frames)

    def discarded(self, record: DiscardRecord) -> None:
        """Write into the ledger, before it is done, that raw frames go."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.record(record)

    def end_unit(self, record: UnitRecord) -> None:
        """Write the last word on a unit into ledger and database."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.record(record)
            facts = record.model_dump(exclude={"kind", "key"})
            missing = self.unit(record.key).written - record.written
            field = self._replace_unit(record.key, **facts)
            self._set(
                frames_done=self._view.frames_done - missing,
                units_done=self._view.units_done + 1,
            )
            self._store(self._view, field)

    def skip_planned_units(self, reason: str) -> None:
        """Note that the units not begun will not be taken in this run."""
        for field in self.fields:
            self.skip_field(field.name, reason)

    def withdraw_planned(self, reason: str) -> None:
        """Note that what is planned is not wanted any more: nothing is missing then."""
        stamp = self._clock.stamp()
        for unit in self.units:
            if unit.state is UnitState.PLANNED:
                self._skip(unit.model_copy(update={"requested": 0}), stamp, reason)
                wanted = self._view.frames_requested - unit.requested
                with self._lock:
                    self._set(frames_requested=wanted)

    def skip_field(self, name: str, reason: str) -> None:
        """Note that what is planned of a field will not be taken in this run."""
        stamp = self._clock.stamp()
        for unit in self.planned(name):
            self._skip(unit, stamp, reason)

    def leave_out(self, name: str, reason: str) -> None:
        """Skip a field that was not chosen: its frames are not asked for any more."""
        with self._lock:
            units = self.planned(name)
            self._set(
                frames_requested=self._view.frames_requested
                - sum(unit.requested for unit in units),
                units_total=self._view.units_total - len(units),
            )
            self.skip_field(name, reason)

    def unit(self, key: UnitKey) -> UnitView:
        """Return one unit as it stands."""
        for unit in self._fields[key.field].units:
            if (unit.channel, unit.attempt) == (key.channel, key.attempt):
                return unit
        raise KeyError(key)

    def key_of(self, unit: UnitView) -> UnitKey:
        """Return the name of a unit of this run."""
        return UnitKey(
            run=self.view.id,
            field=unit.field,
            channel=unit.channel,
            attempt=unit.attempt,
        )

    def planned(self, field: str) -> list[UnitView]:
        """Return the units of a field that are still to be taken, in order."""
        with self._lock:
            units = self._fields[field].units
        return [unit for unit in units if unit.state is UnitState.PLANNED]

    def _skip(self, unit: UnitView, stamp: str, reason: str) -> None:
        key = self.key_of(unit)
        record = UnitRecord(
            key=key,
            state=UnitState.SKIPPED,
            requested=unit.requested,
            delivered=0,
            written=0,
            published=0,
            started_utc=stamp,
            ended_utc=stamp,
            reason=reason,
        )
        with self._lock:
            if self._ledger is not None:
                self._ledger.record(record)
            field = self._replace_unit(
                key,
                state=UnitState.SKIPPED,
                reason=reason,
                requested=unit.requested,
            )
            self._store(self._view, field)

    def _replace_unit(self, key: UnitKey, **changes: object) -> FieldView:
        old = self.unit(key)
        new = UnitView.model_validate(old.model_dump() | changes)
        field = self._fields[key.field]
        units = tuple(new if unit is old else unit for unit in field.units)
        self._fields[key.field] = field.model_copy(update={"units": units})
        return self._fields[key.field]

    def _store(self, view: RunView, field: FieldView | None = None) -> None:
        if self._keeps:
            self._database.update(view, field)

    def _set(self, **changes: object) -> None:
        self._view = self._view.model_copy(update=changes)


def _further(field: FieldView, channel: str) -> UnitView:
    former = [unit for unit in field.units if unit.channel == channel]
    return UnitView(
        field=field.name,
        channel=channel,
        attempt=max(unit.attempt for unit in former) + 1,
        state=UnitState.PLANNED,
        requested=former[0].requested,
    )
