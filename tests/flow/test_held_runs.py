"""Runs that are paused, resumed, stopped, queued, taken again; each act twice."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import tifffile
from fake_microscope import FakeMicroscope, Faults
from stations import protocol, request, rig

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.recovery import recover
from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import LatchedError, RunConflictError, RunNotFoundError
from her2sr_acq.guard.ports import Unguarded
from her2sr_acq.plan.models import RawPlan
from her2sr_proc.store.chain import read_events

TWO = request(plan=protocol(columns=2))


class Gate:
    """Holds the camera before a frame of its first burst until it is opened."""

    def __init__(self, microscope: FakeMicroscope, at: int) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.at = at
        microscope.camera.on_frame = self._pass

    def _pass(self, index: int) -> None:
        if index == self.at and not self.reached.is_set():
            self.reached.set()
            self.open.wait(5.0)


@pytest.fixture
def microscope():
    return FakeMicroscope()


def test_a_pause_waits_for_the_burst_and_is_dark(tmp_path, microscope):
    gate = Gate(microscope, at=13)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        bench.desk.helm.pause(run.id)
        bench.desk.helm.pause(run.id)
        gate.open.set()
        view = bench.until("paused")
        states = [unit.state for unit in bench.units(run.id).values()]
        assert not microscope.is_lit
        bench.desk.helm.resume(run.id)
        bench.desk.helm.resume(run.id)
        assert bench.finish().state is RunState.COMPLETED
    assert view.reason == "paused on request"
    assert states == ["complete", "planned", "planned", "planned"]


@pytest.mark.parametrize(("burst", "frames"), [("drop", 20), ("finish", 40)])
def test_a_stop_drops_or_finishes_the_burst(tmp_path, microscope, burst, frames):
    gate = Gate(microscope, at=13)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        for _ in range(2):
            assert bench.desk.helm.stop(run.id, burst=burst).state is RunState.STOPPING
        gate.open.set()
        assert bench.finish().state is RunState.ABORTED
        first, *others = bench.units(run.id).values()
        assert bench.desk.helm.stop(run.id).state is RunState.ABORTED
    assert first.written == frames
    assert {unit.state for unit in others} == {"skipped"}


def test_a_paused_run_can_be_stopped(tmp_path, microscope):
    gate = Gate(microscope, at=13)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        bench.desk.helm.pause(run.id)
        gate.open.set()
        bench.until("paused")
        bench.desk.helm.stop(run.id)
        assert bench.finish().state is RunState.ABORTED


def test_a_queued_run_starts_when_the_one_before_is_over(tmp_path, microscope):
    names = iter(["aa", "bb", "cc"])
    gate = Gate(microscope, at=5)
    with rig(tmp_path, microscope=microscope, token=lambda n: next(names)) as bench:
        first = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        second = bench.desk.submit(TWO.model_copy(update={"queue": True}))
        third = bench.desk.submit(TWO.model_copy(update={"queue": True}))
        assert second.state == third.state == "queued"
        assert bench.desk.health().queued == 2
        bench.desk.helm.stop(third.id)
        gate.open.set()
        bench.worker.ask(lambda: None, timeout_s=10.0)
        bench.desk.start_due()
        bench.worker.ask(lambda: None, timeout_s=10.0)
        states = [bench.desk.run(r.id).state for r in (first, second, third)]
    assert states == ["completed", "completed", "aborted"]


def test_a_run_queued_for_where_the_stage_stands_tells_whose_light_it_has_had(
    tmp_path, microscope
):
    here = TWO.plan.model_copy(
        update={"grid": TWO.plan.grid.model_copy(update={"centre": "current"})}
    )
    gate = Gate(microscope, at=5)
    with rig(tmp_path, microscope=microscope) as bench:
        first = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        queued = TWO.model_copy(update={"plan": here, "queue": True})
        second = bench.desk.submit(queued)
        gate.open.set()
        bench.worker.ask(lambda: None, timeout_s=10.0)
        bench.desk.start_due()
        bench.worker.ask(lambda: None, timeout_s=10.0)
        view = bench.desk.run(second.id)
        places = [
            [(f.x_um, f.y_um) for f in bench.desk.fields(r.id)] for r in (first, second)
        ]
    assert view.state == "completed"
    assert places[0] == places[1]
    assert any(first.id in alarm and "light" in alarm for alarm in view.alarms)


def test_a_run_with_a_time_waits_for_it(tmp_path, microscope):
    now = [datetime(2026, 1, 1, 18, 0, tzinfo=UTC)]
    later = TWO.model_copy(update={"not_before": now[0] + timedelta(hours=2)})
    with rig(tmp_path, microscope=microscope, clock=Clock(utc=lambda: now[0])) as bench:
        run = bench.desk.submit(later)
        assert (run.state, run.not_before_utc) == ("queued", "2026-01-01T20:00:00.000Z")
        now[0] += timedelta(hours=2, seconds=1)
        bench.desk.start_due()
        assert bench.finish().state is RunState.COMPLETED


def test_the_queue_outlives_its_process(tmp_path):
    later = TWO.model_copy(update={"not_before": datetime(2099, 1, 1, tzinfo=UTC)})
    with rig(tmp_path) as bench:
        run = bench.desk.submit(later, idempotency_key="k1")
    with rig(tmp_path, clock=Clock(utc=lambda: datetime(2099, 1, 2, tzinfo=UTC))) as b:
        assert b.desk.submit(later, idempotency_key="k1").id == run.id
        b.desk.start_due()
        assert b.finish().state is RunState.COMPLETED


def test_a_field_is_taken_again_as_a_further_attempt(tmp_path):
    microscope = FakeMicroscope(Faults(overflow_at=25))
    with rig(tmp_path, microscope=microscope) as bench:
        view = bench.take(TWO)
        assert view.state is RunState.COMPLETED_WITH_FAULTS
        microscope.faults.overflow_at = None
        bench.desk.helm.retake(view.id, "r00_c01", ("561",))
        bench.desk.start_due()
        again = bench.finish()
        units = [u for f in bench.desk.fields(view.id) for u in f.units]
    taken = [(u.field, u.channel, u.attempt, u.state) for u in units if u.attempt > 1]
    assert taken == [("r00_c01", "561", 2, "complete")]
    assert (again.units_total, again.units_done) == (5, 5)
    assert again.frames_requested == view.frames_requested + 40


def test_what_does_not_exist_is_not_taken_again(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take(TWO)
        with pytest.raises(RunNotFoundError, match="no field 'r09_c09'"):
            bench.desk.helm.retake(view.id, "r09_c09", None)
        with pytest.raises(RunNotFoundError, match="no channel '999'"):
            bench.desk.helm.retake(view.id, "r00_c00", ("999",))
        assert bench.desk.run(view.id).state is RunState.COMPLETED


def test_a_latched_microscope_takes_and_resumes_nothing(tmp_path, microscope):
    guard, gate = Unguarded(), Gate(microscope, at=13)
    with rig(tmp_path, microscope=microscope, guard=guard) as bench:
        run = bench.desk.submit(TWO)
        assert gate.reached.wait(5.0)
        guard.latch("estop", "the red button")
        gate.open.set()
        assert "the red button" in bench.until("paused").reason
        with pytest.raises(LatchedError, match="red button"):
            bench.desk.helm.resume(run.id)
        guard.rearm()
        bench.desk.helm.resume(run.id)
        assert bench.finish().state is RunState.COMPLETED
        guard.latch("estop", "the red button")
        with pytest.raises(LatchedError, match="then rearm"):
            bench.desk.submit(TWO)


# --- after a crash


class DiesError(Exception):
    """Stands for the end of the process: nothing after it is written."""


def crashed(data) -> str:
    """Return a run whose process died in its second burst, after a written block."""
    microscope = FakeMicroscope()
    with rig(data, microscope=microscope) as bench:

        def die(index):
            if microscope.log.count("start") == 2 and index == 25:
                while bench.desk.runs()[0].frames_done < 60:
                    time.sleep(0.001)
                bench.desk._slot.last.tracker.let_go()
                bench.station.database.close()
                raise DiesError

        microscope.camera.on_frame = die
        run = bench.desk.submit(TWO)
        bench.worker.ask(lambda: None, timeout_s=10.0)
    return run.id


def taken_up(data, *, boot="boot-1"):
    with rig(data, boot=boot) as bench:
        left = recover(bench.station.database, bench.station.data, Clock())
        said = bench.desk.helm.go_on(left)
        bench.worker.ask(lambda: None, timeout_s=10.0)
        view = bench.desk.runs()[0]
        return view, said, list(bench.units(view.id).values())


def test_after_a_crash_the_run_goes_on_at_its_next_burst(tmp_path):
    run = crashed(tmp_path)
    view, said, units = taken_up(tmp_path)
    assert view.id == run
    assert "goes on at its next burst" in said[0]
    assert [(u.state, u.written) for u in units] == [
        ("complete", 40), ("partial", 20), ("complete", 40), ("complete", 40)
    ]  # fmt: skip
    assert (view.state, view.resumes) == ("completed_with_faults", 1)
    assert view.frames_done == 140


def test_after_a_power_cut_the_run_waits_for_an_operator(tmp_path):
    crashed(tmp_path)
    view, said, units = taken_up(tmp_path, boot="boot-2")
    assert view.state == "interrupted"
    assert "the computer was restarted" in said[0]
    assert [u.state for u in units] == ["complete", "partial", "planned", "planned"]
    with rig(tmp_path) as bench:
        bench.desk.helm.resume(view.id)
        assert bench.finish().state == "completed_with_faults"


def test_an_interrupted_run_can_be_given_up(tmp_path):
    crashed(tmp_path)
    view, *_ = taken_up(tmp_path, boot="boot-2")
    with rig(tmp_path) as bench:
        assert bench.desk.helm.stop(view.id).state == "aborted"
        with pytest.raises(RunConflictError, match="cannot resume a run that is abort"):
            bench.desk.helm.resume(view.id)


# --- what is kept of the raw frames


def test_frames_may_be_written_as_one_tiff_a_unit(tmp_path):
    plan = TWO.plan.model_copy(update={"raw": RawPlan(format="ome-tiff")})
    with rig(tmp_path) as bench:
        view = bench.take(request(plan=plan))
        folder = bench.station.data.run(view.id)
    assert view.state is RunState.COMPLETED
    path = folder.root / "raw" / "r00_c00" / "561.ome.tif"
    assert tifffile.imread(path).shape == (40, 16, 16)


def test_a_copy_as_tiff_is_made_beside_when_asked_for(tmp_path):
    plan = TWO.plan.model_copy(update={"raw": RawPlan(tiff_copy=True)})
    with rig(tmp_path) as bench:
        view = bench.take(request(plan=plan))
        folder = bench.station.data.run(view.id).root / "raw" / "r00_c01"
    assert tifffile.imread(folder / "405.ome.tif").shape == (40, 16, 16)
    assert (folder / "405.ome.zarr").is_dir()


def test_frames_without_proven_results_are_kept_whatever_the_protocol_says(tmp_path):
    plan = TWO.plan.model_copy(update={"keep_raw": "localizations"})
    with rig(tmp_path) as bench:  # its localizer writes nothing
        view = bench.take(request(plan=plan))
        folder = bench.station.data.run(view.id)
        said = [e.data["what"] for e in read_events(folder) if e.kind == "raw frames"]
    assert len(said) == 4
    assert all("raw frames are kept" in sentence for sentence in said)
    assert (folder.root / "raw" / "r00_c00" / "561.ome.zarr").is_dir()
