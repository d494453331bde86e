"""Where runs are asked for and looked at: one at a time, none twice, none unchecked.

Answers at once, from any thread; what needs the hardware is put to the engine's thread.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine import calibrations
from her2sr_acq.engine.choices import Choices
from her2sr_acq.engine.database import LISTED
from her2sr_acq.engine.device_views import DevicesView, DeviceView
from her2sr_acq.engine.examining import Examining
from her2sr_acq.engine.hand_views import StagePosition
from her2sr_acq.engine.handwork import Handwork
from her2sr_acq.engine.helm import Helm
from her2sr_acq.engine.order import RunOrder, request_digest, run_id
from her2sr_acq.engine.preflight import preflight, refused
from her2sr_acq.engine.slot import Slot
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.views import (
    FieldView,
    Health,
    Preflight,
    ProtocolView,
    RunRequest,
    RunView,
)
from her2sr_acq.engine.worker import Worker
from her2sr_acq.errors import AcqError, PlanRejectedError, RunConflictError
from her2sr_acq.plan import limits, load
from her2sr_acq.plan.estimate import estimate
from her2sr_acq.plan.models import Protocol
from her2sr_acq.plan.tiling import frame_um, middle_um, tiles
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.versions import versions

HARDWARE_S = 5.0
"""Deadline of a question to an idle engine."""
MOVE_S = 8.0
"""Deadline of a move by hand: below the control socket's, so that its error arrives."""
MAX_KEY = 200


class Desk:
    """Takes requests for runs and tells how they stand."""

    def __init__(
        self, station: Station, worker: Worker, *, token: Callable[[int], str]
    ) -> None:
        self._station = station
        self._token = token
        self._started_utc = station.clock.stamp()
        self._slot = Slot(station, worker)
        self.helm = Helm(self._slot)
        self.hands = Handwork(self._slot)
        self.doctor = Examining(self._slot)
        self.choices = Choices(self._slot)
        self._devices: DevicesView | None = None

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Accept a run, or return the one that was accepted under the same key.

        Raises `PlanRejectedError` if it cannot be run here, `RunConflictError` if not
        now and it may not wait.
        """
        with self._slot.lock:
            if idempotency_key is not None:
                known = self._under_key(idempotency_key, request)
                if known is not None:
                    return known
            protocol = protocol_of(request)
            waits = request.queue or request.not_before is not None
            if waits:
                self._slot.refuse_if_closed()
            else:
                self._slot.refuse_if_busy()
            order = self._order(request, protocol, idempotency_key)
            view, fields = order.view(), order.fields()
            self._station.database.add(
                view, fields, order=order, request_sha256=request_digest(request)
            )
            if not waits:
                return self._slot.start(order, view, fields)
            self.start_due()
            return self.run(view.id)

    def start_due(self) -> None:
        """Start the first run of the queue that is due, if the microscope is free."""
        with self._slot.lock:
            is_held = self._slot.is_closed or self._station.guard.latched
            if is_held or self._slot.active is not None:
                return
            now = self._station.clock.stamp()
            for view in self._station.database.queued():
                is_due = view.not_before_utc is None or view.not_before_utc <= now
                if is_due and not self._slot.is_in_use(view.id):
                    self._slot.take_up(view)
                    return

    def rest(self) -> None:
        """See whether nobody measures, for what is done in such hours."""
        with self._slot.lock:
            if not self._slot.is_closed:
                self._slot.idle.look(is_free=self._slot.active is None)

    def preflight(self, request: RunRequest) -> Preflight:
        """Return what would keep a request from running now, and what it costs."""
        try:
            protocol = protocol_of(request)
            config = self._station.for_protocol(protocol).config
            tiles, _ = self._tiles(protocol, config)
        except AcqError as exc:
            return refused(exc)
        active = self._slot.active
        return preflight(
            request,
            protocol,
            tiles,
            self._station,
            busy_with=active.view.id if active else "",
            free_bytes=self._free_bytes(),
        )

    def move(self, position: StagePosition) -> StagePosition:
        """Move the stage in the dark between runs; return where it reads itself.

        Raises `PlanRejectedError` outside its limits, `RunConflictError` in a run.
        """
        limits.check_position(
            "the place", position.x_um, position.y_um, self._station.config
        )
        with self._slot.lock:
            self._slot.refuse_if_closed()
            if (active := self._slot.active) is not None:
                raise RunConflictError(
                    f"run {active.view.id} has the microscope; the stage moves by "
                    f"hand after it"
                )
            x_um, y_um = self._slot.worker.ask(
                partial(self._travel, position), timeout_s=MOVE_S
            )
        return StagePosition(x_um=x_um, y_um=y_um)

    def witness(self, run_id: str, verb: str, by: str) -> None:
        """Note in the events of a run in progress who gave an order."""
        held = self._slot.holds(run_id)
        if held is not None and not held.is_over:
            held.tracker.note("order", verb=verb, by=by)

    def runs(self, *, limit: int = LISTED, before: str = "") -> list[RunView]:
        """Return runs, newest first: the last, or those before a run."""
        live = self._slot.last.view if self._slot.last is not None else None
        stored = self._station.database.runs(limit=limit, before=before)
        return [live if live and live.id == view.id else view for view in stored]

    def run(self, run_id: str) -> RunView:
        """Return one run as it stands. Raises `RunNotFoundError`."""
        if (held := self._slot.holds(run_id)) is not None:
            return held.view
        return self._station.database.run(run_id)

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run as they stand. Raises `RunNotFoundError`."""
        if (held := self._slot.holds(run_id)) is not None:
            return held.tracker.fields
        self._station.database.run(run_id)
        return self._station.database.fields(run_id)

    def devices(self) -> DevicesView:
        """Return what every device says; during a run, what it said before.

        Never waits for the engine's thread during a run, or pause and stop would wait
        behind it: without an earlier reading there is no device in the answer.
        """
        if self._slot.active is not None:
            nothing = DevicesView(taken_utc=self._started_utc, devices=())
            return self._devices or nothing
        self._devices = self._slot.worker.ask(self._read_devices, timeout_s=HARDWARE_S)
        return self._devices

    def health(self) -> Health:
        """Return whether a run could start now."""
        active = self._slot.active
        return Health(
            version=versions()["her2sr"],
            pid=os.getpid(),
            configuration=self._station.config.name,
            simulated=self._station.config.simulator is not None,
            started_utc=self._started_utc,
            active_run=active.view.id if active else None,
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

    def _order(
        self, request: RunRequest, protocol: Protocol, key: str | None
    ) -> RunOrder:
        config = self._station.for_protocol(protocol).config
        grid, lit_by = self._tiles(protocol, config)
        limits.check(
            protocol, grid, self._station.config, free_bytes=self._free_bytes()
        )
        calibrations.require(protocol, self._station)
        return RunOrder(
            id=self._unused_id(),
            request=request,
            protocol=protocol,
            tiles=grid,
            created_utc=self._station.clock.stamp(),
            idempotency_key=key,
            lit_by=lit_by,
        )

    def _tiles(
        self, protocol: Protocol, config: DeviceConfig
    ) -> tuple[tuple[FieldFacts, ...], str]:
        """Return the fields, and the run whose light they will have had, or ''."""
        camera, lit_by = config.camera, ""
        if protocol.grid.positions:
            centre = (0.0, 0.0)
        elif protocol.grid.centre == "current":
            if (active := self._slot.active) is not None:
                # the stage is on its way: what somebody chose is where it set out
                places_um = [(f.x_um, f.y_um) for f in active.tracker.fields]
                centre, lit_by = middle_um(places_um), active.view.id
            else:
                centre = self._slot.worker.ask(
                    self._station.hardware.stage.position_um, timeout_s=HARDWARE_S
                )
        else:
            centre = protocol.grid.centre
        size_um = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        return tiles(protocol.grid, centre_um=centre, size_um=size_um), lit_by

    def _unused_id(self) -> str:
        newest = next((run.id for run in self._station.database.runs(limit=1)), "")
        while True:
            name = run_id(self._station.clock.utc(), self._token, newest=newest)
            if not self._station.data.run(name).root.exists():
                return name

    def _travel(self, position: StagePosition) -> tuple[float, float]:
        stage = self._station.hardware.stage
        stage.move_to(x_um=position.x_um, y_um=position.y_um)
        return stage.position_um()

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


def protocol_of(request: RunRequest) -> Protocol:
    """Return what a request asks for, its overrides applied."""
    if request.plan is not None:
        return load.override(request.plan, request.overrides)
    return load.override(load.packaged(request.protocol or ""), request.overrides)
