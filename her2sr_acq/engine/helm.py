"""Orders to runs that were accepted: hold, go on, end, take again.

Every order may be given twice. Whatever is not in progress is changed in the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from her2sr_acq.engine.recovery import may_go_on
from her2sr_acq.engine.slot import Occupant, Slot
from her2sr_acq.engine.states import FINAL, RunEvent, RunState
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import RunConflictError, RunNotFoundError


class Helm:
    """Steers runs. May be used from any thread."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def pause(self, run_id: str) -> RunView:
        """Hold a run before its next burst. Pausing a paused run changes nothing.

        Raises `RunConflictError` for a run that is not under way.
        """
        run = self._in_progress(run_id, "pause")
        if run.view.state is RunState.STOPPING:
            raise RunConflictError("cannot pause a run that is stopping")
        run.reins.pause("paused on request")
        return run.view

    def resume(self, run_id: str) -> RunView:
        """Let a paused or an interrupted run go on; a running one does already.

        Raises `LatchedError` until somebody has rearmed.
        """
        with self._slot.lock:
            run = self._slot.holds(run_id)
            if run is None or run.is_over:
                return self._resume_interrupted(run_id)
            self._slot.refuse_if_latched()
            if run.view.state is RunState.STOPPING:
                raise RunConflictError("cannot resume a run that is stopping")
            run.reins.resume()
            return run.view

    def stop(
        self, run_id: str, *, burst: Literal["drop", "finish"] = "drop"
    ) -> RunView:
        """Ask the run to end, with its burst or without. Stopping twice is fine."""
        with self._slot.lock:
            run = self._slot.holds(run_id)
            if run is None or run.is_over:
                return self._stop_idle(run_id)
            if run.view.state is not RunState.STOPPING:
                with suppress(RunConflictError):  # it has ended in this moment
                    run.tracker.move(RunEvent.STOP, phase="stopping")
            run.reins.stop(drop=burst == "drop")
            return run.view

    def retake(
        self, run_id: str, field: str, channels: tuple[str, ...] | None
    ) -> RunView:
        """Plan a further attempt of a field, and put its run into the queue.

        Raises `RunConflictError` while the run is in progress, `RunNotFoundError`
        without such a field or channel.
        """
        with self._slot.lock:
            view = self._slot.station.database.run(run_id)
            if view.state not in FINAL:
                raise RunConflictError(
                    f"run {run_id} is {view.state}; a field is taken again after it"
                )
            self._slot.refuse_if_in_use(run_id)
            tracker = self._slot.tracker(view)
            chosen = _channels(tracker, field, channels)
            tracker.move(RunEvent.RETAKE, phase="waiting to take a field again")
            tracker.plan_attempts(field, chosen)
            self._forget(run_id)
            return tracker.view

    def go_on(self, left: Iterable[RunView]) -> list[str]:
        """Take up, after a crash, the first run that may go on by itself.

        ``left`` are the runs as their dead process left them. Returns a sentence for
        each of them.
        """
        said = []
        for view in left:
            station = self._slot.station
            why_not = may_go_on(view, boot=station.boot) or station.guard.latched
            if why_not or self._slot.active is not None:
                said.append(f"run {view.id} waits for an operator: {why_not}")
                continue
            with self._slot.lock:
                now = station.database.run(view.id)
                counted = {"resumes": now.resumes + 1}
                self._slot.take_up(now.model_copy(update=counted))
            said.append(f"run {view.id} goes on at its next burst")
        return said

    def close(self) -> None:
        """Take no more runs and ask whatever runs to end."""
        with self._slot.lock:
            self._slot.is_closed = True
            self._slot.idle.make_way()
            active = self._slot.active
            if active is not None and not active.reins.abandons:
                self.stop(active.view.id)

    def abandon(self) -> None:
        """Take no more runs; leave the one in progress to the next process."""
        with self._slot.lock:
            self._slot.is_closed = True
            self._slot.idle.make_way()
            if (active := self._slot.active) is not None:
                active.reins.abandon()

    def _forget(self, run_id: str) -> None:
        """Let the database answer for a run that memory has as it was."""
        if self._slot.holds(run_id) is not None:
            self._slot.last = None

    def _in_progress(self, run_id: str, verb: str) -> Occupant:
        run = self._slot.holds(run_id)
        if run is None or run.is_over:
            view = self._slot.station.database.run(run_id)
            raise RunConflictError(f"cannot {verb} a run that is {view.state}")
        return run

    def _resume_interrupted(self, run_id: str) -> RunView:
        view = self._slot.station.database.run(run_id)
        if view.state is not RunState.INTERRUPTED:
            raise RunConflictError(f"cannot resume a run that is {view.state}")
        self._slot.refuse_if_busy()
        self._slot.refuse_if_in_use(run_id)
        self._slot.take_up(view)
        return view

    def _stop_idle(self, run_id: str) -> RunView:
        view = self._slot.station.database.run(run_id)
        if view.state is RunState.ABORTED:
            return view
        if view.state not in (RunState.QUEUED, RunState.INTERRUPTED):
            raise RunConflictError(f"cannot stop a run that is {view.state}")
        tracker = self._slot.tracker(view)
        tracker.move(RunEvent.ABORT, phase="stopped", reason="stopped on request")
        tracker.skip_planned_units("the run was stopped before it")
        self._forget(run_id)
        return tracker.view


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
