"""Where runs are asked for and looked at: one at a time, none twice, none unchecked.

Answers at once, from any thread; what needs the hardware is put to the engine's thread.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from her2sr_acq.engine.facts import versions
from her2sr_acq.engine.order import RunOrder, request_digest, run_id
from her2sr_acq.engine.runner import Runner
from her2sr_acq.engine.states import FINAL, RunEvent
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import (
    DevicesView,
    DeviceView,
    FieldView,
    Health,
    ProtocolView,
    RunRequest,
    RunView,
)
from her2sr_acq.engine.worker import Worker
from her2sr_acq.errors import LatchedError, PlanRejectedError, RunConflictError
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
    runner: Runner
    stop: threading.Event

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
        self._lock = threading.Lock()
        self._last: _Last | None = None
        self._is_closed = False
        self._devices: DevicesView | None = None

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Accept a run, or return the one that was accepted under the same key.

        Raises `PlanRejectedError` if it cannot be run here, `RunConflictError` if not
        now.
        """
        with self._lock:
            if idempotency_key is not None:
                known = self._under_key(idempotency_key, request)
                if known is not None:
                    return known
            protocol = _protocol(request)
            self._refuse_if_busy()
            order = self._order(request, protocol, idempotency_key)
            return self._start(order)

    def stop(self, run_id: str) -> RunView:
        """Ask the run to finish its block and end. Raises `RunConflictError`."""
        last = self._last
        if last is None or last.tracker.view.id != run_id:
            view = self._station.database.run(run_id)
            raise RunConflictError(f"cannot stop a run that is {view.state}")
        try:
            last.tracker.move(RunEvent.STOP, phase="stopping")
        finally:
            last.stop.set()
        return last.tracker.view

    def close(self) -> None:
        """Take no more runs and ask whatever runs to end."""
        with self._lock:
            self._is_closed = True
        if self._last is not None and not self._last.is_over:
            with suppress(RunConflictError):  # it is stopping, or has just ended
                self.stop(self._last.tracker.view.id)

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
            latched=last.runner.latch if last else "",
            free_bytes=self._free_bytes(),
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

    def _refuse_if_busy(self) -> None:
        if self._is_closed:
            raise RunConflictError("the service is ending; start it again first")
        last = self._last
        if last is None:
            return
        if last.runner.latch:
            raise LatchedError(f"no run may start: {last.runner.latch}")
        if not last.is_over:
            name = last.tracker.view.id
            raise RunConflictError(
                f"run {name} has the microscope; wait for its end or stop it", run=name
            )

    def _order(
        self, request: RunRequest, protocol: Protocol, key: str | None
    ) -> RunOrder:
        config = self._station.config
        grid = self._tiles(protocol)
        limits.check(protocol, grid, config, free_bytes=self._free_bytes())
        return RunOrder(
            id=self._unused_id(),
            request=request,
            protocol=protocol,
            tiles=grid,
            created_utc=self._station.clock.stamp(),
            idempotency_key=key,
        )

    def _tiles(self, protocol: Protocol) -> tuple[FieldFacts, ...]:
        camera = self._station.config.camera
        if protocol.grid.centre == "current":
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

    def _start(self, order: RunOrder) -> RunView:
        view, fields = order.view(), order.fields()
        self._station.database.add(
            view,
            fields,
            key=order.idempotency_key,
            request_sha256=request_digest(order.request),
        )
        tracker = Tracker(
            view, fields, database=self._station.database, clock=self._station.clock
        )
        stop = threading.Event()
        self._last = _Last(tracker, Runner(self._station, order, tracker, stop), stop)
        self._worker.start_run(self._last.runner.run)
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


def _protocol(request: RunRequest) -> Protocol:
    if request.plan is not None:
        return load.override(request.plan, request.overrides)
    return load.override(load.packaged(request.protocol or ""), request.overrides)
