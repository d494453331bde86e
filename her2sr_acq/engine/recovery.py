"""What a dead process left: its runs become interrupted, its bursts partial.

Nothing is taken again. Whether a run may go on by itself is said here, too. What counts
is what can be read back, never what was announced.
"""

from __future__ import annotations

import logging

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.states import RunEvent, RunState
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.verification import reread
from her2sr_acq.engine.views import RunView, UnitView
from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.ledger import UnitRecord, UnitState
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger

log = logging.getLogger(__name__)

DIED = "the acquisition process died in this burst"
NOTHING_AGAIN = "the acquisition process died; nothing was taken again"
MAX_RESUMES = 3


def recover(database: Database, data: DataFolder, clock: Clock) -> list[RunView]:
    """Bring every run that a dead process left to its rest; return how they were.

    A run that waits in the queue goes on waiting. One that was being stopped is
    aborted, every other is interrupted.
    """
    left = [v for v in database.unfinished() if v.state is not RunState.QUEUED]
    for view in left:
        _interrupt(view, database, data.run(view.id), clock)
        log.warning("run %s was interrupted; her2sr recover tells more", view.id)
    return left


def may_go_on(left: RunView, *, boot: str) -> str:
    """Return why a run must not go on by itself after a crash; empty: it may.

    ``left`` is the run as its dead process left it.
    """
    if left.state not in (RunState.PREPARING, RunState.RUNNING):
        return f"it was {left.state}"
    if left.boot != boot:
        return "the computer was restarted since: look at the sample, then resume it"
    if left.resumes >= MAX_RESUMES:
        return f"it went on by itself {left.resumes} times already: find out why"
    return ""


def close_abandoned(
    tracker: Tracker, folder: RunFolder, clock: Clock, reason: str
) -> None:
    """Give every unit that is still acquiring its last word, from what is on disk."""
    histories = read_ledger(folder.ledger)
    for unit in tracker.units:
        if unit.state is UnitState.ACQUIRING:
            key = tracker.key_of(unit)
            history = histories.get(key, UnitHistory(key))
            tracker.end_unit(
                history.verdict or _partial(unit, history, folder, clock, reason)
            )


def _interrupt(
    view: RunView, database: Database, folder: RunFolder, clock: Clock
) -> None:
    fields = tuple(database.fields(view.id))
    tracker = Tracker(view, fields, database=database, clock=clock)
    if not folder.root.exists():
        _close(tracker, folder, clock)
        return
    try:
        ledger = RunLedger(folder, clock)
    except IntegrityError as exc:  # one damaged run must not keep the others waiting
        _end(tracker, f"{NOTHING_AGAIN}; {exc}")
        return
    with ledger:
        tracker.attach(ledger)
        _close(tracker, folder, clock)


def _close(tracker: Tracker, folder: RunFolder, clock: Clock) -> None:
    reason = NOTHING_AGAIN
    try:
        close_abandoned(tracker, folder, clock, DIED)
    except IntegrityError as exc:
        reason = f"{reason}; {exc}"
    _end(tracker, reason)


def _end(tracker: Tracker, reason: str) -> None:
    if tracker.view.state is RunState.STOPPING:
        tracker.skip_planned_units("the run was stopped before it")
        tracker.move(RunEvent.ABORT, phase="stopped", reason=reason)
        return
    tracker.move(RunEvent.INTERRUPT, phase="interrupted", reason=reason)


def _partial(
    unit: UnitView,
    history: UnitHistory,
    folder: RunFolder,
    clock: Clock,
    reason: str,
) -> UnitRecord:
    path = folder.raw(history.key)
    readable = reread(path, history.blocks.values())
    raw.finish(path, history.blocks.values())
    published = sum(b.frames for b in history.blocks.values() if b.published)
    return UnitRecord(
        key=history.key,
        state=UnitState.PARTIAL,
        requested=unit.requested,
        delivered=history.frames,
        written=readable.frames,
        published=published,
        started_utc=unit.started_utc or clock.stamp(),
        ended_utc=clock.stamp(),
        reason=f"{reason}; {readable.frames} of {unit.requested} frames are kept",
    )
