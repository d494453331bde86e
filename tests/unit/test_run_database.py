"""The run database: an index that says no more and no less than the run folders."""

import shutil
import sqlite3
from datetime import UTC, datetime

import pytest
from fake_microscope import FakeMicroscope, Faults
from stations import protocol, request, rig

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import LISTED, Database
from her2sr_acq.engine.order import run_id
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.recovery import recover
from her2sr_acq.engine.states import RunEvent, RunState
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.errors import NewerDatabaseError, StorageError
from her2sr_acq.verbs.recover import apply, look
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.layout import DataFolder

SMALL = request(plan=protocol(columns=2, frames=20))


def taken(data, faults=None):
    """Return run and fields of a run that went through, as the database has them."""
    with rig(data, microscope=FakeMicroscope(faults or Faults())) as bench:
        bench.desk.submit(SMALL, idempotency_key="k1")
        view = bench.finish()
        return view, bench.station.database.fields(view.id)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(), id="complete"),
        pytest.param(Faults(overflow_at=15), id="partial"),
        pytest.param(Faults(stage_raises_at_move=1, stage_raises_times=3), id="failed"),
        pytest.param(Faults(crash_at=15), id="faulted, with units skipped"),
    ],
)
def test_a_lost_database_is_rebuilt_as_it_was(tmp_path, faults):
    view, fields = taken(tmp_path, faults)
    with Database(tmp_path / "new.db") as database:
        assert rebuild(database, DataFolder(tmp_path)) == [view.id]
        assert rebuild(database, DataFolder(tmp_path)) == []  # known by now
        again = database.fields(view.id)
        assert database.under_key("k1")[1] == view.id
        assert facts(database.run(view.id)) == facts(view)
    assert [units(field) for field in again] == [units(field) for field in fields]


def test_a_run_beyond_those_that_a_list_shows_is_known_at_the_next_start(tmp_path):
    view, _ = taken(tmp_path)
    data = DataFolder(tmp_path)
    with Database(data.database) as database:
        order = database.order(view.id)
        for n in range(LISTED):
            later = order.model_copy(
                update={"id": f"29991231T000000-{n:04x}", "idempotency_key": None}
            )
            database.add(later.view(), (), order=later)
        assert view.id not in {run.id for run in database.runs()}
        assert rebuild(database, data) == []
        assert facts(database.run(view.id)) == facts(view)


def test_a_copy_of_a_run_folder_beside_it_keeps_no_service_from_its_start(
    tmp_path, caplog
):
    view, _ = taken(tmp_path)
    folder = DataFolder(tmp_path).run(view.id).root
    shutil.copytree(folder, folder.with_name(f"{view.id} (copy)"))
    with Database(DataFolder(tmp_path).database) as database:
        assert rebuild(database, DataFolder(tmp_path)) == []
    with Database(tmp_path / "new.db") as database:
        assert rebuild(database, DataFolder(tmp_path)) == [view.id]
    assert f"its manifest is that of run {view.id}; give the folder" in caplog.text


def facts(view):
    """Stamps of database and events are taken one after the other."""
    return view.model_dump(exclude={"started_utc", "ended_utc"})


def units(field):
    return [
        unit.model_dump(exclude={"started_utc", "ended_utc"}) for unit in field.units
    ]


def test_a_folder_that_is_no_run_is_left_out(tmp_path, caplog):
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    with Database(tmp_path / "new.db") as database:
        assert rebuild(database, DataFolder(tmp_path)) == []
    assert "notes is left out" in caplog.text


def interrupted(data, *, begin: bool):
    """Leave a run as a process does that dies at a certain point."""
    data_folder, clock = DataFolder(data), Clock()
    with rig(data) as bench:
        order = bench.desk._order(SMALL, SMALL.plan, None)
    with Database(data_folder.database) as database:
        database.add(order.view(), order.fields(), order=order)
        tracker = Tracker(order.view(), order.fields(), database=database, clock=clock)
        if begin:
            tracker.move(RunEvent.PREPARE, phase="")
            tracker.begin_unit(UnitKey(run=order.id, field="r00_c00", channel="561"))
        left = [run.id for run in recover(database, data_folder, clock)]
        assert left == [order.id] * begin
        assert recover(database, data_folder, clock) == []
        return database.run(order.id), database.fields(order.id)


def test_a_run_that_waits_in_the_queue_goes_on_waiting(tmp_path):
    view, fields = interrupted(tmp_path, begin=False)
    assert view.state == "queued"
    assert {unit.state for field in fields for unit in field.units} == {"planned"}


def test_a_burst_without_a_frame_is_partial_since_its_dyes_may_be_bleached(tmp_path):
    view, fields = interrupted(tmp_path, begin=True)
    first, *others = [unit for field in fields for unit in field.units]
    assert view.state == "interrupted"
    assert (first.state, first.written) == ("partial", 0)
    assert "process died in this burst" in first.reason
    assert {unit.state for unit in others} == {"planned"}


def test_a_damaged_ledger_is_named_and_the_run_still_ends(tmp_path):
    view, _ = taken(tmp_path)
    folder = DataFolder(tmp_path).run(view.id)
    folder.ledger.write_text("{}\n")
    with Database(DataFolder(tmp_path).database) as database:
        database.update(view.model_copy(update={"state": RunState.RUNNING}))
        recover(database, DataFolder(tmp_path), Clock())
        again = database.run(view.id)
    assert again.state == "interrupted"
    assert "line 1 is not a ledger line" in again.reason


def test_a_run_with_damaged_events_ends_and_keeps_no_other_waiting(tmp_path):
    view, _ = taken(tmp_path)
    folder = DataFolder(tmp_path).run(view.id)
    folder.events.write_bytes(b"\xff\n")
    with Database(DataFolder(tmp_path).database) as database:
        database.update(view.model_copy(update={"state": RunState.RUNNING}))
        left = recover(database, DataFolder(tmp_path), Clock())
        assert [run.id for run in left] == [view.id]
        again = database.run(view.id)
    assert again.state == "interrupted"
    assert "events.jsonl line 1 is damaged" in again.reason
    assert folder.events.read_bytes() == b"\xff\n"


def test_a_newer_database_is_refused(tmp_path):
    path = tmp_path / "her2sr.db"
    Database(path).close()
    with sqlite3.connect(path) as link:
        link.execute("PRAGMA user_version = 99")
    link.close()
    with pytest.raises(StorageError, match="install the newer her2sr"):
        Database(path)


def test_a_commit_survives_power_loss_by_its_settings(tmp_path):
    with Database(tmp_path / "her2sr.db") as database:
        modes = [
            database._link.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert modes == ["wal", 2, 1]


def test_run_ids_sort_by_time():
    moments = [datetime(2026, 11, 23, 22, 18, s, tzinfo=UTC) for s in (1, 59)]
    ids = [run_id(moment, lambda n: "0f" * n) for moment in moments]
    assert ids == ["20261123T221801-0f0f", "20261123T221859-0f0f"]


def test_recover_leaves_the_database_of_a_newer_program_as_it_is(tmp_path):
    taken(tmp_path)
    path = DataFolder(tmp_path).database
    link = sqlite3.connect(path)
    link.execute("PRAGMA user_version = 99")
    link.close()
    before = path.read_bytes()
    (found,) = look(tmp_path)
    assert found.act == "stays as it is"
    assert "install the newer her2sr" in found.found
    with pytest.raises(NewerDatabaseError):
        apply(tmp_path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*damaged*"))


def test_recover_tells_of_a_run_beyond_those_that_a_list_shows(tmp_path):
    view, _ = taken(tmp_path)
    data = DataFolder(tmp_path)
    with Database(data.database) as database:
        order = database.order(view.id)
        database.update(view.model_copy(update={"state": RunState.INTERRUPTED}))
        for n in range(LISTED):
            later = order.model_copy(
                update={"id": f"29991231T000000-{n:04x}", "idempotency_key": None}
            )
            database.add(later.view(), (), order=later)
    assert view.id in {finding.subject for finding in look(tmp_path)}
