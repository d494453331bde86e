"""An index from a backup begins no run by itself, and learns what happened since."""

import os

import pytest
from stations import protocol, request, rig

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.recovery import recover
from her2sr_acq.engine.states import RunState
from her2sr_acq.verbs.backup import backup
from her2sr_acq.verbs.restore import restore
from her2sr_proc.store.layout import DataFolder

SMALL = request(plan=protocol(columns=2, frames=20))


@pytest.fixture
def taken(tmp_path):
    """Data folder and view of a run that went through."""
    data = tmp_path / "data"
    data.mkdir()
    with rig(data) as bench:
        bench.desk.submit(SMALL, idempotency_key="k1")
        return data, bench.finish()


def as_it_was(data, view, state):
    """Set the index back to a moment of the run, and copy it."""
    with Database(DataFolder(data).database) as database:
        database.update(view.model_copy(update={"state": state, "ended_utc": None}))
    backup(data, data.parent / "b")


def started(data):
    """Do what a start does; return the run's view after it."""
    folder = DataFolder(data)
    with Database(folder.database) as database:
        rebuild(database, folder)
        left = recover(database, folder, Clock())
        queued = database.queued()
        (view,) = database.runs()
    return left, queued, view


@pytest.mark.parametrize("state", ["queued", "preparing", "running", "stopping"])
def test_a_run_that_ended_after_the_backup_stays_ended(taken, state):
    data, view = taken
    as_it_was(data, view, RunState(state))
    events = DataFolder(data).run(view.id).events.read_bytes()
    said = restore(data, data.parent / "b")
    left, queued, again = started(data)
    assert (left, queued) == ([], [])
    assert again.state == view.state == "completed"
    assert DataFolder(data).run(view.id).events.read_bytes() == events
    assert any(f"{view.id}: read from its folder" in line for line in said)


@pytest.mark.parametrize(
    ("state", "now", "why"),
    [
        ("queued", "aborted", "ask for it again"),
        ("running", "interrupted", "does not tell how it ended"),
    ],
)
def test_a_run_without_a_folder_does_not_begin_by_itself(
    taken, tmp_path, state, now, why
):
    data, view = taken
    as_it_was(data, view, RunState(state))
    said = restore(tmp_path / "new", tmp_path / "b")
    left, queued, again = started(tmp_path / "new")
    assert (left, queued) == ([], [])
    assert again.state == now
    assert why in again.reason
    assert any(why in line for line in said)


def test_a_run_taken_up_since_is_read_from_its_folder(taken):
    data, view = taken
    as_it_was(data, view, RunState.INTERRUPTED)
    restore(data, data.parent / "b")
    assert started(data)[2].state == "completed"


def test_what_went_on_in_the_same_state_is_told_by_the_time_of_its_events(taken):
    data, _ = taken
    backup(data, data.parent / "b")
    copied = data.parent / "b" / "her2sr.db"
    assert not any("read from" in line for line in restore(data, data.parent / "b"))
    os.utime(copied, (1.0, 1.0))
    assert any("read from" in line for line in restore(data, data.parent / "b"))
