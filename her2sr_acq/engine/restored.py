"""An index that comes from a backup, told what happened since: folders are the truth.

A run that waited or was under way when the backup was made must not begin by itself, on
whatever lies on the stage now.
"""

from __future__ import annotations

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.rebuild import order_of
from her2sr_acq.engine.states import FINAL, RunEvent, RunState
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.views import RunView
from her2sr_proc.errors import ProcError
from her2sr_proc.store.chain import read_events
from her2sr_proc.store.layout import DataFolder, RunFolder

WAITED = (
    "it waited in the queue when the backup was made that was put back; ask for it "
    "again if it is still wanted"
)
BEGUN = (
    "it was under way when the backup was made that was put back, and its folder does "
    "not tell how it ended"
)


def settle(
    database: Database, data: DataFolder, clock: Clock, *, copied_s: float
) -> list[str]:
    """Bring an index that was copied at a time (Unix, s) up to the run folders.

    Runs that went on since are forgotten: the next start reads them from their folders.
    Returns a sentence for each run that is not as it was in the copy. No folder is
    touched.
    """
    said = []
    before = ""
    while views := database.runs(before=before):
        before = views[-1].id
        said += [
            s for view in views if (s := _settle(database, data, clock, view, copied_s))
        ]
    return said


def _settle(
    database: Database, data: DataFolder, clock: Clock, view: RunView, copied_s: float
) -> str:
    folder = data.run(view.id)
    if view.state in FINAL and not _went_on(folder, view, copied_s):
        return ""
    if _tells(folder):
        database.forget(view.id)
        return f"run {view.id}: read from its folder at the next start"
    if view.state in FINAL:
        return ""
    tracker = Tracker(
        view, tuple(database.fields(view.id)), database=database, clock=clock
    )
    if view.state is RunState.QUEUED:
        tracker.move(RunEvent.ABORT, phase="stopped", reason=WAITED)
        return f"run {view.id}: {WAITED}"
    tracker.move(RunEvent.INTERRUPT, phase="interrupted", reason=BEGUN)
    return f"run {view.id}: {BEGUN}"


def _went_on(folder: RunFolder, view: RunView, copied_s: float) -> bool:
    """Return whether a folder tells more of a finished run than the copy."""
    try:
        if folder.events.stat().st_mtime > copied_s:
            return True
        states = [e.data["state"] for e in read_events(folder) if e.kind == "state"]
    except (OSError, ProcError, LookupError):
        return False
    return bool(states) and states[-1] != view.state


def _tells(folder: RunFolder) -> bool:
    """Return whether the index can be made anew from a folder."""
    try:
        order_of(folder)
    except (OSError, ProcError, ValueError, LookupError):
        return False
    return True
