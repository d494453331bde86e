"""Asking for runs: one at a time, none twice, stopped when told."""

import threading
import time

import pytest
from fake_localizer import FakeLocalizer
from fake_microscope import FakeMicroscope
from pydantic import ValidationError
from stations import protocol, request, rig

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import PlanRejectedError, RunConflictError, RunNotFoundError

SMALL = request(plan=protocol(columns=1, frames=10))


class Gate:
    """Holds the camera before a frame until it is opened."""

    def __init__(self, microscope: FakeMicroscope, at: int) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.at = at
        microscope.camera.on_frame = self._pass

    def _pass(self, index: int) -> None:
        if index == self.at:
            self.reached.set()
            self.open.wait(5.0)


@pytest.fixture
def microscope():
    return FakeMicroscope()


def test_the_microscope_takes_one_run_at_a_time(tmp_path, microscope):
    gate = Gate(microscope, at=5)
    with rig(tmp_path, microscope=microscope) as bench:
        first = bench.desk.submit(SMALL)
        assert gate.reached.wait(5.0)
        with pytest.raises(RunConflictError, match=f"run {first.id} has the microscop"):
            bench.desk.submit(SMALL)
        assert bench.desk.health().active_run == first.id
        gate.open.set()
        bench.finish()
        assert bench.desk.health().active_run is None
        assert len(bench.desk.runs()) == 1


def test_a_stop_finishes_the_block_and_makes_dark(tmp_path, microscope):
    gate = Gate(microscope, at=13)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(request())
        assert gate.reached.wait(5.0)
        assert bench.desk.helm.stop(run.id).state is RunState.STOPPING
        assert bench.desk.helm.stop(run.id).state is RunState.STOPPING
        gate.open.set()
        view = bench.finish()
        units = bench.units(run.id)
        assert not microscope.is_lit
    first = units["r00_c00/561"]
    assert view.state is RunState.ABORTED
    assert "her2sr process" in view.reason
    assert (first.state, first.delivered, first.written) == ("partial", 20, 20)
    assert "stopped after 20 frames" in first.reason
    assert [unit.state for unit in units.values()][1:] == ["skipped"] * 3


def test_a_stop_after_the_last_frame_keeps_a_whole_unit_whole(tmp_path, microscope):
    gate = Gate(microscope, at=39)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(request())
        assert gate.reached.wait(5.0)
        bench.desk.helm.stop(run.id)
        gate.open.set()
        bench.finish()
        assert bench.units(run.id)["r00_c00/561"].state == "complete"


def test_a_stop_is_heard_while_no_frame_comes(tmp_path, microscope):
    gate = Gate(microscope, at=13)
    microscope.faults.stall_at = 13
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(request())
        assert gate.reached.wait(5.0)
        bench.desk.helm.stop(run.id)
        gate.open.set()
        bench.finish()
        unit = bench.units(run.id)["r00_c00/561"]
    assert (unit.state, unit.delivered, unit.written) == ("partial", 13, 10)
    assert "stopped after 13 frames" in unit.reason


def test_a_stop_ends_the_wait_for_the_answer(tmp_path):
    stalled = FakeLocalizer(stalls=True)
    with rig(tmp_path, localizer=stalled) as bench:
        run = bench.desk.submit(SMALL)
        while "close_run" not in stalled.verbs:
            time.sleep(0.01)
        bench.desk.helm.stop(run.id)
        view = bench.finish()
    assert view.state is RunState.ABORTED
    assert view.frames_done == view.frames_requested


def test_a_run_that_is_over_cannot_be_stopped(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take(SMALL)
        with pytest.raises(RunConflictError, match="cannot stop a run that is compl"):
            bench.desk.helm.stop(view.id)


def test_an_unknown_run_is_not_found(tmp_path):
    with rig(tmp_path) as bench:
        for ask in (bench.desk.run, bench.desk.fields, bench.desk.helm.stop):
            with pytest.raises(RunNotFoundError, match="no run 'r9'"):
                ask("r9")


# --- idempotency


def test_the_same_key_and_request_return_the_same_run(tmp_path):
    with rig(tmp_path) as bench:
        first = bench.desk.submit(SMALL, idempotency_key="k1")
        again = bench.desk.submit(SMALL, idempotency_key="k1")
        bench.finish()
        later = bench.desk.submit(SMALL, idempotency_key="k1")
        assert first.id == again.id == later.id
        assert later.state is RunState.COMPLETED
        assert len(bench.desk.runs()) == 1


def test_a_key_used_for_another_request_is_refused(tmp_path):
    with rig(tmp_path) as bench:
        bench.desk.submit(SMALL, idempotency_key="k1")
        bench.finish()
        with pytest.raises(PlanRejectedError, match="use a new key"):
            bench.desk.submit(request(), idempotency_key="k1")


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_an_impossible_key_is_refused(tmp_path, key):
    with rig(tmp_path) as bench, pytest.raises(PlanRejectedError, match="1 to 200"):
        bench.desk.submit(SMALL, idempotency_key=key)


def test_of_fifty_requests_at_once_one_becomes_a_run(tmp_path, microscope):
    gate, accepted, refused = Gate(microscope, at=0), [], []
    with rig(tmp_path, microscope=microscope) as bench:

        def ask():
            try:
                accepted.append(bench.desk.submit(SMALL))
            except RunConflictError:
                refused.append(1)

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gate.open.set()
        bench.finish()
    assert (len(accepted), len(refused)) == (1, 49)


# --- requests


def test_a_refused_plan_leaves_nothing_behind(tmp_path):
    with rig(tmp_path) as bench:
        with pytest.raises(PlanRejectedError, match="limit is 60 %"):
            bench.desk.submit(request(overrides={"channels.561.power_percent": 99}))
        assert bench.desk.runs() == []
        assert list(bench.station.data.runs.iterdir()) == []
        assert bench.microscope.log == []


def test_a_packaged_protocol_is_taken_by_name(tmp_path):
    asked = RunRequest(
        protocol="demo",
        sample="S1",
        operator="op",
        overrides={"grid.centre": [0, 0], "grid.rows": 1, "grid.columns": 1}
        | {f"channels.{name}.frames": 5 for name in ("561", "488", "405")},
    )
    with rig(tmp_path) as bench:
        view = bench.take(asked)
    assert (view.protocol, view.frames_requested) == ("demo", 15)
    assert view.state is RunState.COMPLETED


REQUESTS = [
    pytest.param({"sample": "Ann Example"}, "no pseudonym", id="a name with a space"),
    pytest.param({"sample": "../x"}, "no pseudonym", id="a path"),
    pytest.param({"operator": ""}, "no pseudonym", id="no operator"),
    pytest.param({"protocol": "demo"}, "not both", id="plan and protocol"),
    pytest.param({"plan": None}, "not both", id="neither"),
]


@pytest.mark.parametrize(("changes", "message"), REQUESTS)
def test_a_malformed_request_is_refused(changes, message):
    body = request().model_dump() | changes
    with pytest.raises(ValidationError, match=message):
        RunRequest.model_validate(body)


def test_devices_are_read_when_idle_and_remembered_during_a_run(tmp_path, microscope):
    gate = Gate(microscope, at=5)
    with rig(tmp_path, microscope=microscope) as bench:
        before = bench.desk.devices()
        bench.desk.submit(SMALL)
        assert gate.reached.wait(5.0)
        assert bench.desk.devices() == before
        gate.open.set()
        bench.finish()
        after = bench.desk.devices()
    assert before.devices[0].values == {"x_um": "0.0"}
    assert after.devices[0].values == {"x_um": "10.0"}


def test_protocols_come_with_what_they_cost_here(tmp_path):
    with rig(tmp_path) as bench:
        costs = {p.name: p.estimate.frames for p in bench.desk.protocols()}
    assert costs == {
        "demo": 3600,
        "her2_fish_peg2024": 1_100_000,
        "her2_fish_select": 220_000,
    }
