"""Faults carried out in the process of the devices: look, ask, then suffer."""

import threading
import time

import numpy as np
import pytest

from her2sr_acq.errors import DeviceError
from simulators.faults.board import BOARD, FaultBoard
from simulators.faults.device import FOREVER_S, DeviceFaults
from simulators.faults.options import Strike


class AskedMicroscope:
    """Answers with a strike and counts how often it is asked."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.strike_next: Strike | None = None
        self.asked = []

    def strike(self, device, operation):
        self.asked.append((device, operation))
        return self.strike_next


class Bench:
    """The faults of a stage; a board that says that there are some."""

    def __init__(self, folder):
        self.now = 0.0
        self.board = FaultBoard.make(folder / BOARD)
        self.board.write({"stage"})
        self.microscope = AskedMicroscope(folder)
        self.faults = DeviceFaults(
            "stage", self.microscope, sleep=self.sleep, clock=lambda: self.now
        )

    def sleep(self, seconds):
        self.now += seconds

    def plan(self, kind, **more):
        self.microscope.strike_next = Strike(number=1, kind=kind, **more)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_without_a_fault_on_the_board_nobody_is_asked(bench):
    bench.board.write({"focus"})
    bench.plan("raises")
    assert bench.faults.lets("set position")
    assert bench.microscope.asked == []


def test_without_a_board_there_are_no_faults(tmp_path):
    microscope = AskedMicroscope(tmp_path)
    assert DeviceFaults("stage", microscope).lets("set position")


def test_a_call_that_fails_says_which(bench):
    bench.plan("raises")
    with pytest.raises(DeviceError, match="stage failed at 'set position'"):
        bench.faults.lets("set position")


@pytest.mark.parametrize("kind", ["lost", "stuck"])
def test_a_lost_call_is_not_carried_out(bench, kind):
    bench.plan(kind)
    assert not bench.faults.lets("set position")


def test_a_late_call_is_carried_out_after_its_time(bench):
    bench.plan("late", duration_s=2.0)
    assert bench.faults.lets("set position")
    assert bench.now == pytest.approx(2.0)


def test_a_hung_call_ends_after_its_time_or_much_later(bench):
    bench.plan("hangs", duration_s=60.0)
    bench.faults.lets("set position")
    assert bench.now == pytest.approx(60.0)
    bench.plan("hangs")
    bench.faults.lets("set position")
    assert bench.now == pytest.approx(60.0 + FOREVER_S)


def test_a_hung_call_comes_back_when_it_is_healed(bench):
    bench.plan("hangs")
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        bench.board.write(())

    faults = DeviceFaults(
        "stage", bench.microscope, sleep=sleep, clock=lambda: bench.now
    )
    faults.lets("set position")
    assert len(slept) == 1


def test_a_hung_driver_with_the_lock_lets_no_other_thread_run(bench):
    bench.plan("hangs", duration_s=1.0, holds_gil=True)
    beats = []

    def beat():
        while not over.wait(0.01):
            beats.append(time.monotonic())

    over, heart = threading.Event(), threading.Thread(target=beat)
    heart.start()
    while not beats:
        time.sleep(0.005)
    bench.faults.lets("set position")
    over.set()
    heart.join()
    assert np.diff([*beats, time.monotonic()]).max() > 0.8


def test_a_lie_has_the_type_of_the_truth(bench):
    bench.plan("lies", value="12.5")
    assert bench.faults.reported("position", 1.0) == 12.5
    bench.plan("lies", value=12.5)
    assert bench.faults.reported("position", "1") == "12.5"


def test_a_stuck_drive_says_that_it_is_busy(bench):
    assert not bench.faults.is_stuck()
    bench.plan("stuck")
    assert bench.faults.is_stuck()


def test_the_board_holds_only_what_was_written_last(tmp_path):
    board = FaultBoard.make(tmp_path / BOARD)
    reader = FaultBoard(tmp_path / BOARD)
    board.write({"camera", "laser"})
    assert (reader.has("camera"), reader.has("stage")) == (True, False)
    board.write(())
    assert not reader.has("camera")
