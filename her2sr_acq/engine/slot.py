"""The one place for a run on the microscope: who has it, and how one gets it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from her2sr_acq.engine.ballot import Ballot
from her2sr_acq.engine.idle import Idle
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.rebuild import order_of
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.runner import Runner
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import FieldView, RunView
from her2sr_acq.engine.worker import Worker
from her2sr_acq.errors import LatchedError, RunConflictError
from her2sr_proc.errors import StateError
from her2sr_proc.store.raw_hold import RawHold


@dataclass(frozen=True, slots=True)
class Occupant:
    """The run that has the microscope, or had it last."""

    tracker: Tracker
    reins: Reins
    ballot: Ballot = field(default_factory=Ballot)

    @property
    def view(self) -> RunView:
        """The run as it stands."""
        return self.tracker.view

    @property
    def is_over(self) -> bool:
        """Whether it left the microscope free."""
        return self.view.state in FINAL


class Slot:
    """Holds one run at a time. Its lock is held by whoever decides about runs."""

    def __init__(self, station: Station, worker: Worker) -> None:
        self.station = station
        self.worker = worker
        self.lock = threading.RLock()
        self.idle = Idle(
            station.config.storage.recompress_idle,
            station.data,
            clock=station.clock.monotonic,
        )
        self.last: Occupant | None = None
        self.is_closed = False

    @property
    def active(self) -> Occupant | None:
        """The run that has the microscope now."""
        last = self.last
        return None if last is None or last.is_over else last

    def holds(self, run_id: str) -> Occupant | None:
        """Return the run of that id if it is in memory, over or not."""
        last = self.last
        return last if last is not None and last.view.id == run_id else None

    def refuse_if_closed(self) -> None:
        """Raise `RunConflictError` once the service is ending."""
        if self.is_closed:
            raise RunConflictError("the service is ending; start it again first")

    def refuse_if_latched(self) -> None:
        """Raise `LatchedError` while nothing may be lit."""
        if latched := self.station.guard.latched:
            raise LatchedError(f"no run may start: {latched}; find out why, then rearm")

    def refuse_if_busy(self) -> None:
        """Raise `RunConflictError` unless a run could start now."""
        self.refuse_if_closed()
        self.refuse_if_latched()
        if (active := self.active) is not None:
            name = active.view.id
            raise RunConflictError(
                f"run {name} has the microscope; wait for its end, stop it, or submit "
                f"with 'queue'",
                run=name,
            )

    def refuse_if_in_use(self, run_id: str) -> None:
        """Raise `RunConflictError` while another call rewrites the frames of a run."""
        self.idle.make_way()
        try:
            with RawHold(self.station.data.run(run_id), patience_s=0.0):
                return
        except StateError as exc:
            raise RunConflictError(str(exc), run=run_id) from None

    def is_in_use(self, run_id: str) -> bool:
        """Return whether another call rewrites the raw frames of a run."""
        try:
            self.refuse_if_in_use(run_id)
        except RunConflictError:
            return True
        return False

    def tracker(self, view: RunView) -> Tracker:
        """Return a tracker of a run that is in the database alone."""
        return Tracker(
            view,
            tuple(self.station.database.fields(view.id)),
            database=self.station.database,
            clock=self.station.clock,
        )

    def take_up(self, view: RunView) -> None:
        """Start a run that is in the database: queued, or interrupted."""
        order = self.station.database.order(view.id)
        if order is None:
            order = order_of(self.station.data.run(view.id))
        self.start(order, view, tuple(self.station.database.fields(view.id)))

    def start(
        self, order: RunOrder, view: RunView, fields: tuple[FieldView, ...]
    ) -> RunView:
        """Give the microscope to a run."""
        self.idle.make_way()
        station = self.station.for_protocol(order.protocol)
        tracker = Tracker(view, fields, database=station.database, clock=station.clock)
        self.last = Occupant(tracker, Reins())
        runner = Runner(station, order, tracker, self.last.reins, self.last.ballot)
        self.worker.start_run(runner.run)
        return view
