"""Where runs are asked for and looked at: one at a time, none twice, none unchecked.

Answers at once, from any thread; what needs the hardware is put to the engine's thread.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.facts import versions
from her2sr_acq.engine.order import RunOrder, request_digest, run_id
from her2sr_acq.engine.preflight import preflight, refused
from her2sr_acq.engine.rebuild import order_of
from her2sr_acq.engine.recovery import may_go_on
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.runner import Runner
from her2sr_acq.engine.states import FINAL, RunEvent, RunState
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import (
    DevicesView,
    DeviceView,
    FieldView,
    Health,
    Preflight,
    ProtocolView,
    RunRequest,
    RunView,
)
from her2sr_acq.engine.worker import Worker
from her2sr_acq.errors import (
    AcqError,
    LatchedError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
)
from her2sr_acq.plan import limits, load
from her2sr_acq.plan.estimate import estimate
from her2sr_acq.plan.models import Protocol
from her2sr_acq.plan.tiling import frame_um, tiles
from her2sr_proc.schema.manifest import FieldFacts

HARDWARE_S = 5.0
"""Deadline of a question to an idle engine."""
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class _Last:
    """The run that has the microscope, or had it last."""

    tracker: Tracker
    reins: Reins

    @property
    def is_over(self) -> bool:
        return self.tracker.view.state in FINAL


class Desk:
    """Takes requests for runs and tells how they stand."""

    def __init__(
        self, station: Station, worker: Worker, *, token: Callable[[int], str]
    ) -> None:
        self._station = station
        self._worker = worker
        self._token = token
        self._started_utc = station.clock.stamp()
        self._lock = threading.RLock()
        self._last: _Last | None = None
        self._is_closed = False
        self._devices: DevicesView | None = None

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Accept a run, or return the one that was accepted under the same key.

        Raises `PlanRejectedError` if it cannot be run here, `RunConflictError` if not
        now and it may not wait.
        """
        with self._lock:
            if idempotency_key is not None:
                known = self._under_key(idempotency_key, request)
                if known is not None:
                    return known
            protocol = protocol_of(request)
            waits = request.queue or request.not_before is not None
            if waits:
                self._refuse_if_closed()
            else:
                self._refuse_if_busy()
            order = self._order(request, protocol, idempotency_key)
            view, fields = order.view(), order.fields()
            self._station.database.add(
                view, fields, order=order, request_sha256=request_digest(request)
            )
            if not waits:
                return self._start(order, view, fields)
            self.start_due()
            return self.run(view.id)

    def start_due(self) -> None:
        """Start the first run of the queue that is due, if the microscope is free."""
        with self._lock:
            if self._is_closed or self._station.guard.latched:
                return
            if self._last is not None and not self._last.is_over:
                return
            now = self._station.clock.stamp()
            for view in self._station.database.queued():
                if view.not_before_utc is None or view.not_before_utc <= now:
                    self._take_up(view)
                    return

    def preflight(self, request: RunRequest) -> Preflight:
        """Return what would keep a request from running now, and what it costs."""
        try:
            protocol = protocol_of(request)
            config = self._station.for_protocol(protocol).config
            tiles = self._tiles(protocol, config)
        except AcqError as exc:
            return refused(exc)
        last = self._last
        return preflight(
            request,
            protocol,
            tiles,
            self._station,
            busy_with="" if last is None or last.is_over else last.tracker.view.id,
            free_bytes=self._free_bytes(),
        )

    def pause(self, run_id: str) -> RunView:
        """Hold a run before its next burst. Pausing a paused run changes nothing."""
        last = self._in_progress(run_id, "pause")
        if last.tracker.view.state is RunState.STOPPING:
            raise RunConflictError("cannot pause a run that is stopping")
        last.reins.pause("paused on request")
        return last.tracker.view

    def resume(self, run_id: str) -> RunView:
        """Let a paused or an interrupted run go on; a running one does already.

        Raises `LatchedError` until somebody has rearmed.
        """
        with self._lock:
            last = self._last
            if last is None or last.tracker.view.id != run_id or last.is_over:
                return self._resume_interrupted(run_id)
            self._refuse_if_latched()
            if last.tracker.view.state is RunState.STOPPING:
                raise RunConflictError("cannot resume a run that is stopping")
            last.reins.resume()
            return last.tracker.view

    def stop(
        self, run_id: str, *, burst: Literal["drop", "finish"] = "drop"
    ) -> RunView:
        """Ask the run to end, with its burst or without. Stopping twice is fine."""
        with self._lock:
            last = self._last
            if last is None or last.tracker.view.id != run_id or last.is_over:
                return self._stop_idle(run_id)
            if last.tracker.view.state is not RunState.STOPPING:
                with suppress(RunConflictError):  # it has ended in this moment
                    last.tracker.move(RunEvent.STOP, phase="stopping")
            last.reins.stop(drop=burst == "drop")
            return last.tracker.view

    def retake(
        self, run_id: str, field: str, channels: tuple[str, ...] | None
    ) -> RunView:
        """Take channels of a field again, as a further attempt, when it is their turn.

        Raises `RunConflictError` while the run is in progress, `RunNotFoundError`
        without such a field or channel.
        """
        with self._lock:
            view = self.run(run_id)
            if view.state not in FINAL:
                raise RunConflictError(
                    f"run {run_id} is {view.state}; a field is taken again after it"
                )
            tracker = self._tracker(view)
            chosen = _channels(tracker, field, channels)
            tracker.move(RunEvent.RETAKE, phase="waiting to take a field again")
            tracker.plan_attempts(field, chosen)
            self.start_due()
            return self.run(run_id)

    def go_on(self, left: Iterable[RunView]) -> list[str]:
        """Take up, after a crash, the first run that may go on by itself.

        ``left`` are the runs as their dead process left them. Returns a sentence for
        each of them.
        """
        said = []
        for view in left:
            why_not = may_go_on(view, boot=self._station.boot)
            why_not = why_not or self._station.guard.latched
            if not why_not and (self._last is None or self._last.is_over):
                with self._lock:
                    now = self._station.database.run(view.id)
                    counted = {"resumes": now.resumes + 1}
                    self._take_up(now.model_copy(update=counted))
                said.append(f"run {view.id} goes on at its next burst")
            else:
                said.append(f"run {view.id} waits for an operator: {why_not}")
        return said

    def close(self) -> None:
        """Take no more runs and ask whatever runs to end."""
        with self._lock:
            self._is_closed = True
            last = self._last
            if last is not None and not last.is_over and not last.reins.abandons:
                self.stop(last.tracker.view.id)

    def abandon(self) -> None:
        """Take no more runs; leave the one in progress to the next process."""
        with self._lock:
            self._is_closed = True
            if self._last is not None:
                self._last.reins.abandon()

    def runs(self) -> list[RunView]:
        """Return the last runs, newest first."""
        live = self._last.tracker.view if self._last is not None else None
        stored = self._station.database.runs()
        return [live if live and live.id == view.id else view for view in stored]

    def run(self, run_id: str) -> RunView:
        """Return one run as it stands. Raises `RunNotFoundError`."""
        last = self._last
        if last is not None and last.tracker.view.id == run_id:
            return last.tracker.view
        return self._station.database.run(run_id)

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run as they stand. Raises `RunNotFoundError`."""
        last = self._last
        if last is not None and last.tracker.view.id == run_id:
            return last.tracker.fields
        self._station.database.run(run_id)
        return self._station.database.fields(run_id)

    def devices(self) -> DevicesView:
        """Return what every device says; during a run, what it said before."""
        if self._devices is None or self._last is None or self._last.is_over:
            self._devices = self._worker.ask(self._read_devices, timeout_s=HARDWARE_S)
        return self._devices

    def health(self) -> Health:
        """Return whether a run could start now."""
        last = self._last
        return Health(
            version=versions()["her2sr"],
            pid=os.getpid(),
            configuration=self._station.config.name,
            simulated=self._station.config.simulator is not None,
            started_utc=self._started_utc,
            active_run=last.tracker.view.id if last and not last.is_over else None,
            latched=self._station.guard.latched,
            free_bytes=self._free_bytes(),
            queued=len(self._station.database.queued()),
            troubles=self._station.safety.troubles,
        )

    def protocols(self) -> list[ProtocolView]:
        """Return the packaged protocols and what each would cost here."""
        found = [load.packaged(name) for name in load.known()]
        return [
            ProtocolView(
                name=protocol.name,
                protocol=protocol,
                estimate=estimate(protocol, self._station.config),
            )
            for protocol in found
        ]

    def _under_key(self, key: str, request: RunRequest) -> RunView | None:
        if not 0 < len(key) <= MAX_KEY:
            raise PlanRejectedError(
                f"an idempotency key has 1 to {MAX_KEY} characters; this one has "
                f"{len(key)}"
            )
        known = self._station.database.under_key(key)
        if known is None:
            return None
        digest, name = known
        if digest != request_digest(request):
            raise PlanRejectedError(
                f"the idempotency key '{key}' was used for another request, run "
                f"{name}; use a new key"
            )
        return self.run(name)

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise RunConflictError("the service is ending; start it again first")

    def _refuse_if_latched(self) -> None:
        if latched := self._station.guard.latched:
            raise LatchedError(f"no run may start: {latched}; find out why, then rearm")

    def _refuse_if_busy(self) -> None:
        self._refuse_if_closed()
        self._refuse_if_latched()
        last = self._last
        if last is not None and not last.is_over:
            name = last.tracker.view.id
            raise RunConflictError(
                f"run {name} has the microscope; wait for its end, stop it, or submit "
                f"with 'queue'",
                run=name,
            )

    def _in_progress(self, run_id: str, verb: str) -> _Last:
        last = self._last
        if last is None or last.tracker.view.id != run_id or last.is_over:
            view = self._station.database.run(run_id)
            raise RunConflictError(f"cannot {verb} a run that is {view.state}")
        return last

    def _resume_interrupted(self, run_id: str) -> RunView:
        view = self._station.database.run(run_id)
        if view.state is not RunState.INTERRUPTED:
            raise RunConflictError(f"cannot resume a run that is {view.state}")
        self._refuse_if_busy()
        self._take_up(view)
        return self.run(run_id)

    def _stop_idle(self, run_id: str) -> RunView:
        view = self._station.database.run(run_id)
        if view.state is RunState.ABORTED:
            return view
        if view.state not in (RunState.QUEUED, RunState.INTERRUPTED):
            raise RunConflictError(f"cannot stop a run that is {view.state}")
        tracker = self._tracker(view)
        tracker.move(RunEvent.ABORT, phase="stopped", reason="stopped on request")
        tracker.skip_planned_units("the run was stopped before it")
        return tracker.view

    def _order(
        self, request: RunRequest, protocol: Protocol, key: str | None
    ) -> RunOrder:
        config = self._station.for_protocol(protocol).config
        grid = self._tiles(protocol, config)
        limits.check(
            protocol, grid, self._station.config, free_bytes=self._free_bytes()
        )
        return RunOrder(
            id=self._unused_id(),
            request=request,
            protocol=protocol,
            tiles=grid,
            created_utc=self._station.clock.stamp(),
            idempotency_key=key,
        )

    def _tiles(
        self, protocol: Protocol, config: DeviceConfig
    ) -> tuple[FieldFacts, ...]:
        camera = config.camera
        if protocol.grid.positions:
            centre = (0.0, 0.0)
        elif protocol.grid.centre == "current":
            self._refuse_if_busy()  # where the stage is now says nothing then
            centre = self._worker.ask(
                self._station.hardware.stage.position_um, timeout_s=HARDWARE_S
            )
        else:
            centre = protocol.grid.centre
        size_um = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        return tiles(protocol.grid, centre_um=centre, size_um=size_um)

    def _unused_id(self) -> str:
        while True:
            name = run_id(self._station.clock.utc(), self._token)
            if not self._station.data.run(name).root.exists():
                return name

    def _tracker(self, view: RunView) -> Tracker:
        return Tracker(
            view,
            tuple(self._station.database.fields(view.id)),
            database=self._station.database,
            clock=self._station.clock,
        )

    def _take_up(self, view: RunView) -> None:
        """Start a run that is in the database: queued, or interrupted."""
        order = self._station.database.order(view.id)
        if order is None:
            order = order_of(self._station.data.run(view.id))
        fields = tuple(self._station.database.fields(view.id))
        self._start(order, view, fields)

    def _start(
        self, order: RunOrder, view: RunView, fields: tuple[FieldView, ...]
    ) -> RunView:
        station = self._station.for_protocol(order.protocol)
        tracker = Tracker(
            view, fields, database=self._station.database, clock=self._station.clock
        )
        reins = Reins()
        self._last = _Last(tracker, reins)
        self._worker.start_run(Runner(station, order, tracker, reins).run)
        return view

    def _read_devices(self) -> DevicesView:
        readings = self._station.hardware.readings()
        return DevicesView(
            taken_utc=self._station.clock.stamp(),
            devices=tuple(
                DeviceView(
                    label=reading.label,
                    role=reading.role,
                    adapter=reading.adapter,
                    values=dict(reading.values),
                )
                for reading in readings
            ),
        )

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._station.data.root).free


def _channels(
    tracker: Tracker, field: str, channels: tuple[str, ...] | None
) -> list[str]:
    """Return the channels of a field that exist, each once, in their order."""
    found = next((f for f in tracker.fields if f.name == field), None)
    if found is None:
        raise RunNotFoundError(f"the run has no field '{field[:80]}'")
    names = list(dict.fromkeys(unit.channel for unit in found.units))
    unknown = set(channels or ()) - set(names)
    if unknown:
        raise RunNotFoundError(
            f"{field} has no channel '{min(unknown)[:80]}'; it has {', '.join(names)}"
        )
    return [name for name in names if channels is None or name in channels]


def protocol_of(request: RunRequest) -> Protocol:
    """Return what a request asks for, its overrides applied."""
    if request.plan is not None:
        return load.override(request.plan, request.overrides)
    return load.override(load.packaged(request.protocol or ""), request.overrides)
