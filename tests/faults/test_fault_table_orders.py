"""Rows 21 and 23 of the fault table: orders at any moment, calls that never return.

A call that hangs while light is on stands among the kinds of `test_kill_trials`.
"""

import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import yaml
from fake_microscope import FakeMicroscope
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from light_times import lit_times
from night_audit import audit
from nights import night, night_config, night_request, until
from short import short_folder
from stations import protocol, request, rig

from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.errors import AcqError, RunConflictError
from simulators.faults.options import FaultOptions

PLAN = request(plan=protocol(columns=2, frames=20))
UNITS, FRAMES = 4, 20
OVER_S = 15.0

# --- row 21: stop, pause, resume, in any order and at any moment


class Orders(RuleBasedStateMachine):
    """Somebody who gives orders to a desk without waiting for what becomes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.microscope = FakeMicroscope()
        self.microscope.camera.pace_s = 0.0005
        names = iter(f"ab{n:02d}" for n in range(100))
        self.bench = self.stack.enter_context(
            rig(Path(folder), microscope=self.microscope, token=lambda _: next(names))
        )
        self.ids: list[str] = []

    @property
    def helm(self):
        return self.bench.desk.helm

    @rule()
    def submit(self) -> None:
        with suppress(RunConflictError):  # one at a time
            self.ids.append(self.bench.desk.submit(PLAN).id)

    @precondition(lambda self: self.ids)
    @rule(burst=st.sampled_from(["drop", "finish"]), times=st.integers(1, 3))
    def stop(self, burst: str, times: int) -> None:
        with suppress(RunConflictError):  # it has completed
            seen = [
                self.helm.stop(self.ids[-1], burst=burst).state for _ in range(times)
            ]
            assert set(seen) <= {RunState.STOPPING, RunState.ABORTED}

    @precondition(lambda self: self.ids)
    @rule(times=st.integers(1, 3))
    def pause(self, times: int) -> None:
        with suppress(RunConflictError):
            for _ in range(times):
                self.helm.pause(self.ids[-1])

    @precondition(lambda self: self.ids)
    @rule(times=st.integers(1, 3))
    def resume(self, times: int) -> None:
        with suppress(RunConflictError):
            for _ in range(times):
                self.helm.resume(self.ids[-1])

    @precondition(lambda self: self.ids)
    @rule()
    def take_a_field_again(self) -> None:
        with suppress(RunConflictError):
            self.helm.retake(self.ids[-1], "r00_c00", None)

    @rule(seconds=st.sampled_from([0.0, 0.002, 0.01, 0.03]))
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    @invariant()
    def no_more_than_one_run_is_in_progress(self) -> None:
        going = [
            view
            for view in self.bench.desk.runs()
            if view.state not in FINAL | {RunState.QUEUED}
        ]
        assert len(going) <= 1

    def teardown(self) -> None:
        try:
            self._bring_to_an_end()
        finally:
            self.stack.close()

    def _bring_to_an_end(self) -> None:
        for run_id in self.ids:
            with suppress(AcqError):
                self.helm.stop(run_id)
        deadline = time.monotonic() + OVER_S
        while left := [v for v in self.bench.desk.runs() if v.state not in FINAL]:
            assert time.monotonic() < deadline, left
            time.sleep(0.005)
        self.bench.worker.ask(lambda: None, timeout_s=OVER_S)
        assert not self.microscope.is_lit
        for run_id in self.ids:
            self._is_accounted_for(run_id)

    def _is_accounted_for(self, run_id: str) -> None:
        units = [u for f in self.bench.desk.fields(run_id) for u in f.units]
        assert len([u for u in units if u.attempt == 1]) == UNITS
        for unit in units:
            assert unit.written <= unit.delivered <= unit.requested == FRAMES
            assert (unit.state == "complete") == (unit.written == FRAMES)
            assert unit.state not in ("planned", "acquiring")


@pytest.mark.timeout(120)
def test_row_21_a_run_ends_dark_and_accounted_for_whatever_was_ordered_when():
    some = settings(max_examples=30, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(Orders, settings=some)


# --- row 23: a call of a device that never comes back, in the dark


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_23_a_hung_call_in_the_dark_ends_acq_and_the_run_goes_on():
    hung = FaultOptions(device="stage", kind="hangs", count=1)
    with short_folder() as folder:
        config = impatient(night_config(folder, time_scale=10.0, dark_silence_s=3.0))
        names = ("microscope", "guard", "localizer")
        with night(config, folder / "data", only=names) as service:
            service.microscope.inject(hung)
            asked = night_request(rows=1, columns=2, frames=60)
            run = service.control.submit(asked)
            until(lambda: service.guard.status().deaths == 1, within_s=40.0)
            service.microscope.heal()
            view = service.rest(run.id, within_s=40.0)
            found = audit(service.folder(view), view, service.control.fields(run.id))
            history = service.microscope.light_history()
    assert view.resumes == 1
    assert found.violations == ()
    assert found.count("complete") == 4
    assert all(lit.has_burst for lit in lit_times(history))


def impatient(config: Path) -> Path:
    """Let a guard wait less for an engine that drives in the dark."""
    data = yaml.safe_load(config.read_text())
    data["guard"]["dark_progress_s"] = 6.0
    config.write_text(yaml.safe_dump(data))
    return config
