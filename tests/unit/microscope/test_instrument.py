"""What is physically there: light that strays counts, drives take their time."""

import numpy as np
import pytest

from her2sr_acq.errors import DeviceError
from simulators.crisp import Crisp
from simulators.filterwheel import LEAK, Wheel
from simulators.instrument import Instrument
from simulators.motion import Motion
from simulators.options import LockOptions
from simulators.protocol import LockOrder
from simulators.world import Light, View


class NotedWorld:
    """Writes down what is done to the specimen."""

    def __init__(self):
        self.said = []

    def begin_burst(self, view: View) -> None:
        self.said.append(("begin", view.lights))

    def expose(self, view: View, out, *, slot=None) -> float:
        out[:] = 1
        self.said.append(("expose", view.lights))
        return 5.0

    def end_burst(self) -> None:
        self.said.append("end")

    def illuminate(self, view: View, seconds: float) -> None:
        self.said.append(("stray", view.lights, round(seconds, 6)))

    def rest(self, seconds: float) -> None:
        self.said.append(("rest", round(seconds, 6)))

    def write_truth(self, folder) -> None:
        self.said.append(("truth", folder))


class Bench:
    """An instrument on a clock that a test turns."""

    def __init__(self, **options):
        self.now = 100.0
        self.world = NotedWorld()
        drive = {"speed_um_s": 100.0, "settle_s": 0.5, "time_scale": 10.0}
        focus = Motion((1.5,), **drive, clock=lambda: self.now)
        self.slope = 0.01
        crisp = Crisp(
            LockOptions(noise_nm=0.0),
            glass=lambda x_um, y_um: self.slope * x_um,
            focus=focus,
            offset_um=1.5,
            seed=1,
            wall=(lambda: self.now, 10.0),
        )
        self.instrument = Instrument(
            self.world,
            stage=Motion((0.0, 0.0), **drive, clock=lambda: self.now),
            crisp=crisp,
            wheel=Wheel(time_scale=10.0, clock=lambda: self.now),
            clock=lambda: self.now,
            **options,
        )
        self.lights = self.instrument.lights

    def light(self, seconds):
        self.lights.switch(561, on=True)
        self.now += seconds
        self.lights.switch(561, on=False)

    def strays(self):
        self.instrument.write_truth("truth")
        return [said[2] for said in self.world.said if said[0] == "stray"]


@pytest.fixture
def bench():
    bench = Bench()
    bench.lights.set_power(561, 40.0)
    return bench


RED = (Light(nm=561, power=0.4),)


@pytest.mark.parametrize(
    ("lit_s", "counted"),
    [(0.029, []), (0.031, [0.03]), (0.1, [0.09]), (3600.01, [3600.0])],
)
def test_light_without_a_frame_counts_in_whole_quanta(bench, lit_s, counted):
    bench.light(lit_s)
    assert bench.strays() == counted


def test_light_that_the_camera_gates_does_not_stray():
    bench = Bench(is_gated=True)
    bench.lights.set_power(561, 40.0)
    bench.light(3600.0)
    assert bench.strays() == []


def test_stretches_of_light_are_rounded_down_one_by_one(bench):
    for _ in range(10):
        bench.light(0.025)
    assert bench.strays() == []


def test_looking_often_does_not_lose_light(bench):
    bench.lights.switch(561, on=True)
    for _ in range(30):
        bench.now += 0.01
        bench.lights.set_power(488, 1.0)
    bench.lights.switch(561, on=False)
    assert sum(bench.strays()) == pytest.approx(0.3)


def test_a_line_at_no_power_does_not_bleach(bench):
    bench.lights.set_power(561, 0.0)
    bench.light(10.0)
    assert bench.strays() == []


def test_light_in_a_burst_is_the_frames_and_no_more(bench):
    bench.lights.switch(561, on=True)
    bench.instrument.seize()
    bench.now += 5.0
    bench.instrument.begin_burst(0.03)
    bench.now += 5.0
    bench.instrument.expose(0.03, np.zeros((2, 2), np.uint16))
    bench.instrument.end_burst()
    bench.now += 5.0
    bench.instrument.release()
    bench.lights.switch(561, on=False)
    assert bench.world.said == [("begin", RED), ("expose", RED), "end"]


def test_light_left_on_after_a_burst_bleaches(bench):
    bench.lights.switch(561, on=True)
    bench.instrument.seize()
    bench.instrument.begin_burst(0.03)
    bench.instrument.end_burst()
    bench.instrument.release()
    bench.now += 1.5
    assert bench.strays() == [pytest.approx(1.5)]


def test_stray_light_falls_where_the_stage_was(bench):
    bench.lights.switch(561, on=True)
    bench.now += 0.31
    bench.instrument.move_stage(30.0, 40.0)
    assert bench.world.said == [("stray", RED, 0.3), ("rest", 1.0)]


def test_many_changes_of_light_do_not_pile_up(bench):
    for _ in range(500):
        bench.light(0.031)
    assert len(bench.world.said) > 400


def test_a_drive_is_on_its_way_and_then_there(bench):
    assert bench.instrument.move_stage(30.0, 40.0) == pytest.approx(1.0)
    stage = bench.instrument.stage
    bench.now += 0.05
    assert stage.is_moving()
    assert stage.position_um() == pytest.approx((15.0, 20.0))
    bench.now += 0.06
    assert not stage.is_moving()
    assert stage.position_um() == (30.0, 40.0)


def test_a_drive_sent_to_where_it_is_stays(bench):
    assert bench.instrument.move_focus(1.5) == 0.0
    assert not bench.instrument.focus.is_moving()


def test_the_camera_sees_the_plane_and_the_light(bench):
    bench.lights.switch(561, on=True)
    view = bench.instrument.view(0.03)
    assert view == View(x_um=0.0, y_um=0.0, z_um=1.5, exposure_s=0.03, lights=RED)


def test_a_lock_follows_the_tilt_and_lets_go_when_the_drive_is_moved(bench):
    bench.instrument.order_lock(LockOrder(state="Lock"))
    bench.instrument.move_stage(200.0, 0.0)
    assert bench.instrument.z_um == pytest.approx(3.5)
    bench.instrument.move_focus(3.0)
    bench.now += 10.0
    assert bench.instrument.crisp.state() == "Ready"
    assert bench.instrument.z_um == pytest.approx(3.0)


def test_a_plane_out_of_reach_is_not_caught(bench):
    bench.instrument.move_focus(9.0)
    bench.now += 10.0
    bench.instrument.order_lock(LockOrder(state="Lock"))
    assert bench.instrument.crisp.state() == "Error"
    assert not bench.instrument.view(0.03).is_held


def test_where_no_light_comes_back_the_lock_reads_dim_and_stays(bench):
    bench.instrument.order_lock(LockOrder(state="Lock"))
    bench.instrument.crisp._glass = lambda x_um, y_um: None
    bench.instrument.move_stage(50.0, 0.0)
    assert bench.instrument.crisp.state() == "Dim"


def test_a_line_is_seen_through_its_own_filter_or_an_open_wheel(bench):
    bench.lights.switch(561, on=True)
    shares = []
    for place in (0, 1, 2, 3, 2.5):
        bench.instrument.turn_wheel(place)
        bench.now += 1.0
        shares.append(bench.instrument.view(0.03).passes)
    assert shares == [1.0, LEAK, LEAK, 1.0, LEAK]


def test_a_wheel_that_turns_shows_next_to_nothing_and_reads_no_position(bench):
    bench.lights.switch(561, on=True)
    bench.instrument.turn_wheel(3)
    wheel = bench.instrument.wheel
    assert (wheel.position(), wheel.is_moving()) == (-1, True)
    assert bench.instrument.view(0.03).passes == LEAK
    bench.now += 1.0
    assert (wheel.position(), wheel.is_moving()) == (3, False)


def test_activation_beside_a_burst_does_not_change_the_filter_that_counts(bench):
    bench.lights.set_power(405, 1.0)
    for nm in (405, 561):
        bench.lights.switch(nm, on=True)
    bench.instrument.turn_wheel(3)
    bench.now += 1.0
    assert bench.instrument.view(0.03).passes == 1.0


def test_a_place_beyond_the_wheel_is_refused(bench):
    with pytest.raises(DeviceError, match="the positions 0 to 3"):
        bench.instrument.turn_wheel(4)
