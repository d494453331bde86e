"""A calibration lights as a burst does: late, read back, no longer than frames."""

import pytest
from fake_microscope import FakeMicroscope, FakeWatch, Faults, make_config

from her2sr_acq.calibrating import power
from her2sr_acq.calibrating.__main__ import await_conditions, proven_dark
from her2sr_acq.calibrating.order import Order
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.engine.burst import Light
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.safety import Safety
from her2sr_acq.errors import (
    CameraStalledError,
    DeviceError,
    InterlockError,
    LatchedError,
    LightError,
    PlanRejectedError,
    ReadBackError,
)
from her2sr_acq.guard.ports import Unguarded
from her2sr_proc.errors import DataError


def taker_on(microscope, *, guard=None, reins=None) -> Taker:
    guard, clock = guard or Unguarded(), Clock()
    safety = Safety(microscope, guard, clock=clock.monotonic)
    reins = reins or Reins()
    safety.attach(reins)
    light = Light(guard, safety, reins)
    return Taker(microscope, make_config(), clock, light, lambda *_: None)


def take(taker, nm=561, percent=40.0):
    return taker.stack(nm, percent, frames=4, exposure_ms=30.0)


def test_light_comes_after_every_setting_and_goes_with_the_last_frame():
    microscope = FakeMicroscope()
    frames = take(taker_on(microscope))
    assert microscope.log == [
        "power 561 40",
        "arm 4",
        "on 561",
        "start",
        "off 561",
        "disarm",
    ]
    assert microscope.lit_at_frame == [True] * 4
    assert frames[:, 0, 0].tolist() == [100, 101, 102, 103]


def test_dark_frames_are_dark():
    microscope = FakeMicroscope()
    found = taker_on(microscope).moments(None, 0.0, frames=12, exposure_ms=30.0)
    assert found.frames == 12
    assert microscope.lit_at_frame == [False] * 12
    assert not any(word.startswith("on") for word in microscope.log)
    assert microscope.log[0] == "dark"
    assert microscope.log[-1] == "disarm"


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(stall_at=2), CameraStalledError),
        (Faults(crash_at=2), RuntimeError),
        (Faults(wrong_size_at=2), ValueError),
        (Faults(disarm_fails=True), DeviceError),
    ],
)
def test_whatever_ends_a_burst_the_light_is_out(faults, error):
    microscope = FakeMicroscope(faults=faults)
    with pytest.raises(error):
        take(taker_on(microscope))
    assert not microscope.is_lit
    assert "off 561" in microscope.log


@pytest.mark.parametrize(
    "faults", [Faults(power_reads_wrong_nm=561), Faults(exposure_reads_wrong=True)]
)
def test_nothing_is_lit_where_a_setting_does_not_read_back(faults):
    microscope = FakeMicroscope(faults=faults)
    with pytest.raises(ReadBackError):
        take(taker_on(microscope))
    assert "on 561" not in microscope.log


def test_light_that_does_not_go_out_is_latched():
    guard = Unguarded()
    microscope = FakeMicroscope(faults=Faults(off_fails_nm=561))
    with pytest.raises(LightError, match="not proven off"):
        take(taker_on(microscope, guard=guard))
    assert guard.latched.startswith("light")


def test_a_line_that_is_on_in_the_dark_is_no_dark_frame():
    microscope = FakeMicroscope(faults=Faults(on_from_the_start_nm=488))
    microscope.dark = lambda: None  # reports success, and does nothing
    with pytest.raises(LightError, match="488 nm laser is on in the dark"):
        taker_on(microscope).moments(None, 0.0, frames=4, exposure_ms=30.0)
    assert "start" not in microscope.log


def test_no_light_while_latched():
    guard = Unguarded()
    guard.latch("estop", "somebody pressed it")
    microscope = FakeMicroscope()
    with pytest.raises(LatchedError, match="somebody pressed it"):
        take(taker_on(microscope, guard=guard))
    assert "on 561" not in microscope.log


def test_an_open_interlock_is_told_before_anything():
    microscope = FakeMicroscope(watches=[FakeWatch(says="the door is open")])
    taker = taker_on(microscope)
    light = taker.light
    with pytest.raises(InterlockError, match="the door is open"):
        await_conditions(light.safety, light.guard, light.reins, taker.clock)


def test_more_light_than_a_line_may_give_is_refused_untouched():
    microscope = FakeMicroscope()
    with pytest.raises(PlanRejectedError, match="above its limit of 60 %"):
        take(taker_on(microscope), percent=61.0)
    assert microscope.log == []


def test_the_dark_is_proven_first_and_last_and_devices_are_let_go():
    microscope = FakeMicroscope(faults=Faults(on_from_the_start_nm=405))
    with proven_dark(microscope):
        assert not microscope.is_lit
        microscope.lasers[488].on()
    assert not microscope.is_lit
    assert microscope.closed.is_set()


class Meter:
    """Reads what a test lets it read, and whether there was light when it did."""

    def __init__(self, microscope, *, fails_at=None):
        self.microscope, self.fails_at, self.reads = microscope, fails_at, 0

    def power_mw(self):
        assert self.microscope.is_lit
        self.reads += 1
        if self.reads == self.fails_at:
            raise DeviceError("the meter does not answer")
        return 3.25


ORDER = Order(kind="power", steps=2, seconds=0.2, lines_nm=(561,))


def test_a_meter_that_fails_ends_it_dark():
    microscope = FakeMicroscope()
    microscope.meter = Meter(microscope, fails_at=3)
    with pytest.raises(DeviceError, match="the meter does not answer"):
        power.calibrate(taker_on(microscope), ORDER)
    assert not microscope.is_lit


def test_without_a_meter_the_steps_wait_for_a_person_in_the_dark():
    microscope = FakeMicroscope()
    found = power.calibrate(taker_on(microscope), ORDER)
    assert [(s.laser_nm, s.percent, s.mw) for s in found.steps] == [
        (561, 30.0, None),
        (561, 60.0, None),
    ]
    assert found.values == {}
    assert not microscope.is_lit


def test_a_meter_that_does_not_follow_the_light_is_refused():
    microscope = FakeMicroscope()
    microscope.meter = Meter(microscope)  # the same at 30 and at 60 %
    with pytest.raises(DataError, match="off a straight line"):
        power.calibrate(taker_on(microscope), ORDER)
