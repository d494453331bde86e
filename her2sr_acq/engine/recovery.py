"""What a dead process left: its runs become interrupted, its bursts partial.

Nothing is taken again and nothing goes on by itself. What counts is what can be read
back, never what was announced.
"""

from __future__ import annotations

import logging

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.ledger import RunLedger
from her2sr_acq.engine.states import RunEvent
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.verification import reread
from her2sr_acq.engine.views import RunView, UnitView
from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import UnitRecord, UnitState
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger

log = logging.getLogger(__name__)

DIED = "the acquisition process died in this burst"
NOTHING_AGAIN = "the acquisition process died; nothing was taken again"


def recover(database: Database, data: DataFolder, clock: Clock) -> list[str]:
    """Bring every run that a dead process left to a final state; return their ids."""
    left = database.unfinished()
    for view in left:
        _interrupt(view, database, data.run(view.id), clock)
        log.warning("run %s was interrupted; her2sr recover tells more", view.id)
    return [view.id for view in left]


def close_abandoned(
    tracker: Tracker, folder: RunFolder, clock: Clock, reason: str
) -> None:
    """Give every unit that is still acquiring its last word, from what is on disk."""
    histories = read_ledger(folder.ledger)
    for unit in tracker.units:
        if unit.state is UnitState.ACQUIRING:
            key = UnitKey(
                run=tracker.view.id,
                field=unit.field,
                channel=unit.channel,
                attempt=unit.attempt,
            )
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
    tracker.move(RunEvent.INTERRUPT, phase="interrupted", reason=reason)


def _partial(
    unit: UnitView,
    history: UnitHistory,
    folder: RunFolder,
    clock: Clock,
    reason: str,
) -> UnitRecord:
    readable = reread(folder.raw(history.key), history.blocks.values())
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
