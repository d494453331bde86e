"""One run from its order to its end: fields in turn, channels in turn, then the answer.

Runs on the engine's thread, the only one that moves hardware. A fault of a device costs
its unit; a disk that does not take frames, or a light that is not proven off, ends the
run. A field whose dyes were exposed is never taken again by itself.
"""

from __future__ import annotations

import logging
import threading

from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.facts import manifest_of
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.recovery import close_abandoned
from her2sr_acq.engine.states import FINAL, RunEvent
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.unit import UnitTaker, make_pool
from her2sr_acq.errors import (
    AcqError,
    DeviceError,
    LightError,
    RunConflictError,
    StorageError,
)
from her2sr_acq.plan.models import Channel
from her2sr_acq.stream.sink import Sink
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import write_manifest

log = logging.getLogger(__name__)


class Runner:
    """Takes one run. Its `run` is called once, on the engine's thread."""

    def __init__(
        self,
        station: Station,
        order: RunOrder,
        tracker: Tracker,
        stop: threading.Event,
    ) -> None:
        self._station = station
        self._order = order
        self._tracker = tracker
        self._stop = stop
        self._folder: RunFolder = station.data.run(order.id)
        self._processing = station.processing()
        self.latch = ""
        """Why no further run may start, once the light was not proven off."""

    def run(self) -> None:
        """Take the run to a final state. Raises nothing."""
        try:
            with RunLedger(self._folder, self._station.clock) as ledger:
                self._tracker.attach(ledger)
                try:
                    self._go()
                finally:
                    self._tracker.attach(None)
        except Exception as exc:
            log.exception("run %s could not be written to its end", self._order.id)
            self._fall(exc)

    def _go(self) -> None:
        try:
            self._begin()
            self._acquire()
            self._finish()
        except RunConflictError:
            self._abort()
        except Exception as exc:
            log.exception("run %s failed", self._order.id)
            self._fault(exc)

    def _begin(self) -> None:
        tracker, order = self._tracker, self._order
        tracker.note(
            "accepted",
            request=order.request.model_dump(mode="json"),
            idempotency_key=order.idempotency_key,
        )
        write_manifest(self._folder, manifest_of(order, self._station))
        tracker.move(RunEvent.PREPARE, phase="proving that it is dark")
        self._prove_dark()
        tracker.move(RunEvent.START, phase="acquiring")

    def _acquire(self) -> None:
        pool = make_pool(self._order.protocol.channels, self._station)
        burst = Burst(
            self._station.hardware,
            self._station.config,
            clock=self._station.clock,
            stop=self._stop,
        )
        with Sink(pool, write=self._station.write_block) as sink:
            taker = UnitTaker(
                self._station, self._folder, self._tracker, burst, sink, pool
            )
            for tile in self._order.tiles:
                if self._stop.is_set():
                    return
                self._take_field(tile, taker)

    def _take_field(self, tile: FieldFacts, taker: UnitTaker) -> None:
        self._tracker.enter("moving the stage", current=tile.name)
        lost: DeviceError | None = None
        try:
            self._station.hardware.stage.move_to(x_um=tile.x_um, y_um=tile.y_um)
        except DeviceError as exc:
            lost = exc
        for channel in self._order.protocol.channels:
            if self._stop.is_set():
                return
            if lost is not None:
                taker.fail(self._order.unit(tile, channel), channel, lost)
            else:
                self._take_unit(tile, channel, taker)
        if lost is None:
            self._processing.close_field(self._order.id, tile.name)

    def _take_unit(self, tile: FieldFacts, channel: Channel, taker: UnitTaker) -> None:
        key = self._order.unit(tile, channel)
        self._tracker.enter("acquiring", current=f"{key.field}/{key.channel}")
        record, fault = taker.take(key, tile, channel)
        if record.written and not self._stop.is_set():
            self._processing.close_unit(key)
        if isinstance(fault, LightError | StorageError):
            raise fault

    def _finish(self) -> None:
        if self._station.truth is not None:
            copied = self._station.truth.copy(self._folder)
            self._tracker.note("simulated truth copied", files=copied)
        if self._stop.is_set():
            self._abort()
            return
        self._tracker.enter("processing")
        self._processing.close_run(self._order.id)
        unprocessed = self._processing.finish(
            self._folder.root, self._stop, self._tracker.enter
        )
        causes = [cause for cause in (self._incomplete(), unprocessed) if cause]
        if causes:
            self._tracker.move(
                RunEvent.FINISH_WITH_FAULTS, phase="done", reason="; ".join(causes)
            )
        else:
            self._tracker.move(RunEvent.FINISH, phase="done")

    def _incomplete(self) -> str:
        units = self._tracker.units
        bad = [unit for unit in units if unit.state is not UnitState.COMPLETE]
        if not bad:
            return ""
        first = bad[0]
        return (
            f"{len(bad)} of {len(units)} units are not complete, the first is "
            f"{first.field}/{first.channel} ({first.state}): {first.reason}"
        )

    def _abort(self) -> None:
        self._tracker.skip_planned_units("the run was stopped before it")
        self._tracker.move(
            RunEvent.ABORT,
            phase="stopped",
            reason=f"stopped on request; what was acquired can be processed with "
            f"`her2sr process {self._folder.root}`",
        )

    def _fault(self, exc: Exception) -> None:
        """End the run for a fault that no later unit could survive."""
        self._make_dark(exc)
        self._close_units(_sentence(exc))
        self._end_faulted(_sentence(exc))

    def _fall(self, exc: Exception) -> None:
        """End the run in memory alone, when not even its end can be written."""
        self._tracker.let_go()
        self._make_dark(exc)
        if self._tracker.view.state in FINAL:
            return
        try:
            self._close_units(_sentence(exc))
        except Exception:  # the run must end all the same, or none could follow
            log.exception("the units of run %s could not be closed", self._order.id)
        self._end_faulted(_sentence(exc))

    def _close_units(self, reason: str) -> None:
        close_abandoned(self._tracker, self._folder, self._station.clock, reason)
        self._tracker.skip_planned_units("the run ended before it")

    def _end_faulted(self, reason: str) -> None:
        self._tracker.move(RunEvent.FAULT, phase="ended by a fault", reason=reason)

    def _prove_dark(self) -> None:
        try:
            self._station.hardware.dark()
        except DeviceError as exc:
            raise LightError(
                f"the light is not proven off ({exc}); switch it off by hand, find "
                f"out why, then restart the service"
            ) from exc

    def _make_dark(self, exc: Exception) -> None:
        try:
            self._prove_dark()
        except Exception as still_lit:  # the latch is the answer
            log.exception("the light is not proven off")
            self.latch = _sentence(still_lit)
        if isinstance(exc, LightError):
            self.latch = self.latch or _sentence(exc)


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, AcqError):
        return str(exc)
    return f"unexpected fault ({type(exc).__name__}: {exc}); see the log of acq"
