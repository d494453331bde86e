"""One run from its order to its end: fields in turn, channels in turn, then the answer.

Runs on the engine's thread, the only one that moves hardware. A fault of a device costs
its unit. What would spoil the next unit too holds the run until somebody resumes it; a
light that is not proven off ends it. A field whose dyes were exposed is never taken
again by itself.
"""

from __future__ import annotations

import logging

from her2sr_acq.engine.ballot import Ballot
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.calibrations import record
from her2sr_acq.engine.dose import DoseBook
from her2sr_acq.engine.facts import manifest_of
from her2sr_acq.engine.fields import FieldTaker
from her2sr_acq.engine.focusing import Focuser
from her2sr_acq.engine.hold import HoldError
from her2sr_acq.engine.keeping import keep
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.outcome import Light
from her2sr_acq.engine.overview import Overviewer
from her2sr_acq.engine.recovery import close_abandoned
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.selecting import Selector
from her2sr_acq.engine.states import FINAL, RunEvent, RunState
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.unit import UnitTaker, make_pool
from her2sr_acq.errors import (
    AcqError,
    DeviceError,
    LightError,
    RunConflictError,
    SelectionError,
)
from her2sr_acq.stream.sink import Sink
from her2sr_proc.logs import process_at
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import write_manifest
from her2sr_proc.store.raw_hold import RawHold

log = logging.getLogger(__name__)

TICK_S = 0.25


class Runner:
    """Takes one run, or what is left of it. Its `run` is called once."""

    def __init__(
        self,
        station: Station,
        order: RunOrder,
        tracker: Tracker,
        reins: Reins,
        ballot: Ballot,
    ) -> None:
        self._station = station
        self._order = order
        self._tracker = tracker
        self._reins = reins
        self._folder: RunFolder = station.data.run(order.id)
        self._raw = RawHold(self._folder, making=True)
        self._processing = station.processing()
        burst = Burst(
            station.hardware,
            station.config,
            clock=station.clock,
            light=Light(station.guard, station.safety, reins),
            dose=DoseBook(station.config, self._folder.dose),
        )
        self._focuser = Focuser(station, order, tracker, burst)
        self._fields = FieldTaker(
            station, order, tracker, reins, self._processing, self._focuser
        )
        overviewer = Overviewer(
            station,
            order,
            tracker,
            reins,
            burst=burst,
            enquiry=self._processing.enquiry(reins.rest),
        )
        self._selector = Selector(station, order, tracker, reins, ballot, overviewer)

    def run(self) -> None:
        """Take the run to its end. Raises nothing."""
        with process_at(run=self._order.id):
            self._run()

    def _run(self) -> None:
        try:
            with (
                self._raw,
                RunLedger(self._folder, self._station.clock) as ledger,
            ):
                self._tracker.attach(ledger)
                try:
                    self._go()
                finally:
                    self._tracker.attach(None)
        except Exception as exc:
            log.exception("run %s could not be written to its end", self._order.id)
            self._fall(exc)
        finally:
            self._station.safety.attach(None)
            self._station.guard.describe(run="", phase="idle")

    def _go(self) -> None:
        try:
            self._begin()
            self._acquire()
            self._finish()
        except RunConflictError:
            self._abort()
        except SelectionError as exc:
            self._end_unchosen(exc)
        except Exception as exc:
            log.exception("run %s failed", self._order.id)
            self._fault(exc)

    def _begin(self) -> None:
        tracker, order = self._tracker, self._order
        view = tracker.view
        if not self._folder.manifest.exists():
            tracker.note(
                "accepted",
                request=order.request.model_dump(mode="json"),
                idempotency_key=order.idempotency_key,
            )
            if order.lit_by:
                tracker.alarm(
                    f"this run was queued for where the stage stood, in the fields of "
                    f"run {order.lit_by}: their dyes have had its light, and counts "
                    f"may be too low"
                )
            known = record(order.protocol, self._station, self._folder)
            write_manifest(self._folder, manifest_of(order, self._station, known))
        tracker.mark(boot=self._station.boot, resumes=view.resumes)
        phase = "proving that it is dark"
        self._station.guard.describe(run=order.id, phase="in a run")
        if view.state is RunState.INTERRUPTED:
            tracker.move(RunEvent.RESUME, phase=phase)
            self._ask_again()
        else:
            tracker.move(RunEvent.PREPARE, phase=phase)

    def _ask_again(self) -> None:
        """Ask for the results of what was taken before: who was asked may be gone."""
        for field in self._tracker.fields:
            for unit in field.units:
                if unit.written:
                    self._processing.close_unit(self._tracker.key_of(unit))
            if not self._tracker.planned(field.name):
                self._processing.close_field(self._order.id, field.name)

    def _acquire(self) -> None:
        """Take what is planned; return at its end or at a stop."""
        while not self._reins.stopped.is_set():
            try:
                self._make_ready()
                self._take_planned()
            except HoldError as hold:
                self._hold(str(hold))
            else:
                return

    def _make_ready(self) -> None:
        """Prove that it is dark, wait for what warms up, and start."""
        self._prove_dark()
        self._await_conditions()
        self._station.safety.attach(self._reins)
        self._station.room.restore_reserve()
        if self._tracker.view.state is RunState.PREPARING:
            self._tracker.move(RunEvent.START, phase="acquiring")

    def _await_conditions(self) -> None:
        safety, clock = self._station.safety, self._station.clock
        began = clock.monotonic()
        safety.look()  # what was mended a moment ago is no trouble
        while (troubles := safety.troubles) and not self._reins.stopped.is_set():
            if clock.monotonic() - began >= safety.longest_wait_s():
                raise HoldError(troubles[0])
            self._tracker.enter(f"waiting: {troubles[0]}")
            self._station.guard.pulse()
            self._reins.rest(TICK_S)

    def _take_planned(self) -> None:
        tiles = self._chosen()
        if self._reins.stopped.is_set():
            return
        pool = make_pool(self._order.protocol.channels, self._station)
        with Sink(pool, write=self._station.write_block) as sink:
            taker = UnitTaker(
                self._station,
                self._tracker,
                self._focuser,
                sink,
                pool,
                self._processing.enquiry(self._reins.rest),
            )
            self._fields.take_all(taker, tiles)

    def _chosen(self) -> tuple[FieldFacts, ...]:
        """Return the fields to take, in order; none at a stop."""
        try:
            return self._selector.settle(
                reach=self._fields.look, judge=self._fields.judge
            )
        except HoldError:
            if not self._reins.stopped.is_set():
                raise
            return ()

    def _hold(self, reason: str) -> None:
        """Stand still, dark, until the run is resumed or stopped."""
        self._reins.pause(reason)
        self._station.safety.attach(None)
        self._make_dark(HoldError(reason))
        close_abandoned(self._tracker, self._folder, self._station.clock, reason)
        if self._tracker.view.state is not RunState.PAUSED:
            self._tracker.move(RunEvent.PAUSE, phase="paused", reason=reason)
        log.warning("run %s is paused: %s", self._order.id, reason)
        while self._reins.wait_while_paused(TICK_S):
            self._station.guard.pulse()
        self._fields.forgive()
        if not self._reins.stopped.is_set():
            self._tracker.move(RunEvent.RESUME, phase="going on")

    def _finish(self) -> None:
        if self._station.truth is not None:
            copied = self._station.truth.copy(self._folder)
            self._tracker.note("simulated truth copied", files=copied)
        if self._reins.stopped.is_set():
            self._abort()
            return
        self._station.safety.attach(None)
        # From here on no device is driven, and the guard need not wait for progress.
        self._station.guard.describe(run="", phase="processing")
        self._tracker.enter("processing")
        self._processing.close_run(self._order.id)
        unprocessed = self._processing.finish(
            self._folder.root, self._reins.stopped, self._tracker.enter
        )
        causes = [cause for cause in (self._incomplete(), unprocessed) if cause]
        if not self._reins.stopped.is_set():
            causes += keep(
                self._order, self._folder, self._tracker, self._station, self._raw
            )
        if causes:
            self._tracker.move(
                RunEvent.FINISH_WITH_FAULTS, phase="done", reason="; ".join(causes)
            )
        else:
            self._tracker.move(RunEvent.FINISH, phase="done")

    def _incomplete(self) -> str:
        left_out = self._selector.left_out
        units = [
            unit
            for unit in self._tracker.units
            if unit.state is not UnitState.SKIPPED or unit.field not in left_out
        ]
        bad = [
            unit
            for unit in units
            # one that was withdrawn by the protocol's own rule asks for nothing
            if unit.state is not UnitState.COMPLETE and unit.requested
        ]
        if not bad:
            return ""
        first = bad[0]
        return (
            f"{len(bad)} of {len(units)} units are not complete, the first is "
            f"{first.field}/{first.channel} ({first.state}): {first.reason}"
        )

    def _abort(self) -> None:
        if self._reins.abandons:
            self._tracker.note("left", why="this process ends; another may go on")
            return
        self._tracker.skip_planned_units("the run was stopped before it")
        self._tracker.move(
            RunEvent.ABORT,
            phase="stopped",
            reason=f"stopped on request; what was acquired can be processed with "
            f"`her2sr process {self._folder.root}`",
        )

    def _end_unchosen(self, exc: SelectionError) -> None:
        """End a run of which no field is to be taken, in the dark."""
        self._make_dark(exc)
        log.warning("run %s ends: %s", self._order.id, exc)
        self._tracker.note("no fields chosen", why=str(exc))
        self._tracker.skip_planned_units(str(exc))
        self._tracker.move(RunEvent.STOP, phase="ending")
        self._tracker.move(RunEvent.ABORT, phase="ended", reason=str(exc))

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
                f"out why, then rearm"
            ) from exc

    def _make_dark(self, exc: Exception) -> None:
        try:
            self._prove_dark()
        except Exception as still_lit:  # the latch is the answer
            log.exception("the light is not proven off")
            self._station.guard.latch("light", _sentence(still_lit))
        if isinstance(exc, LightError):
            self._station.guard.latch("light", _sentence(exc))


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, AcqError):
        return str(exc)
    return f"unexpected fault ({type(exc).__name__}: {exc}); see the log of acq"
