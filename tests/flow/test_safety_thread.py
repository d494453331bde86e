"""The safety thread: interlocks in a burst, conditions before light, orders of dark."""

import threading
import time
from dataclasses import dataclass

import pytest
from fake_microscope import FakeMicroscope
from stations import protocol, request, rig

from her2sr_acq.errors import LatchedError
from her2sr_acq.guard.ports import Unguarded

ONE = request(plan=protocol(columns=1))


@dataclass
class FakeWatch:
    name: str
    kind: str = "interlock"
    wait_s: float = 0.0
    said: str = ""
    reads: int = 0

    def trouble(self) -> str:
        self.reads += 1
        return self.said


class Slow:
    """Makes every frame take a while and tells when the burst is under way."""

    def __init__(self, microscope, at: int = 5) -> None:
        self.reached, self.at = threading.Event(), at
        microscope.camera.on_frame = self._pass

    def _pass(self, index: int) -> None:
        if index == self.at:
            self.reached.set()
        time.sleep(0.01)


def lab(*watches):
    microscope = FakeMicroscope()
    microscope.watches = list(watches)
    return microscope


def test_an_interlock_opened_in_a_burst_puts_the_light_out_and_latches(tmp_path):
    door, guard = FakeWatch("door"), Unguarded()
    microscope = lab(door)
    slow = Slow(microscope)
    with rig(tmp_path, microscope=microscope, guard=guard) as bench:
        run = bench.desk.submit(ONE)
        assert slow.reached.wait(5.0)
        door.said = "the door is open; close it"
        while microscope.is_lit:
            time.sleep(0.001)
        view = bench.until("paused")
        first, second = bench.units(run.id).values()
        assert "the door is open" in guard.latched
        with pytest.raises(LatchedError):
            bench.desk.helm.resume(run.id)
        door.said = ""
        guard.rearm()
        bench.desk.helm.resume(run.id)
        end = bench.finish()
    assert "the door is open" in view.reason
    assert first.state in ("partial", "failed")  # as its first block was there or not
    assert second.state == "planned"
    assert end.state == "completed_with_faults"


def test_an_interlock_that_is_open_keeps_a_run_from_any_light(tmp_path):
    microscope = lab(FakeWatch("door", said="the door is open; close it"))
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(ONE)
        assert "the door is open" in bench.until("paused").reason
        assert not [call for call in microscope.log if call.startswith("on")]
        assert bench.desk.health().latched == ""
        bench.desk.helm.stop(run.id)
        bench.finish()


def test_an_idle_microscope_may_be_opened(tmp_path):
    door, guard = FakeWatch("door"), Unguarded()
    with rig(tmp_path, microscope=lab(door), guard=guard) as bench:
        door.said = "the door is open; close it"
        reads = door.reads
        while door.reads < reads + 3:
            time.sleep(0.001)
        assert guard.latched == ""
        assert bench.desk.health().troubles == ("the door is open; close it",)


def test_a_run_waits_for_what_warms_up(tmp_path):
    sensor = FakeWatch("sensor", "temperature", wait_s=30.0, said="warm; wait")
    with rig(tmp_path, microscope=lab(sensor)) as bench:
        bench.desk.submit(ONE)
        while "waiting: warm" not in bench.desk.runs()[0].phase:
            time.sleep(0.005)
        sensor.said = ""
        assert bench.finish().state == "completed"


def test_a_sensor_that_stays_warm_holds_the_run(tmp_path):
    sensor = FakeWatch("sensor", "temperature", said="the sensor is at -3 C; wait")
    with rig(tmp_path, microscope=lab(sensor)) as bench:
        run = bench.desk.submit(ONE)
        assert "-3 C" in bench.until("paused").reason
        bench.desk.helm.stop(run.id)
        bench.finish()


def test_an_order_of_dark_ends_the_burst_at_once(tmp_path):
    microscope = lab()
    slow = Slow(microscope)
    with rig(tmp_path, microscope=microscope) as bench:
        run = bench.desk.submit(ONE)
        assert slow.reached.wait(5.0)
        bench.station.safety.order_dark("e-stop by op-2")
        assert not microscope.is_lit
        view = bench.until("paused")
        first = bench.units(run.id)["r00_c00/561"]
        bench.desk.helm.stop(run.id)
        bench.finish()
    assert "e-stop by op-2" in view.reason
    assert first.state in ("partial", "failed")
    assert first.delivered < 40


def test_every_frame_was_lit_and_nothing_else(tmp_path):
    microscope = lab(FakeWatch("door"))
    with rig(tmp_path, microscope=microscope) as bench:
        bench.take(ONE)
    assert all(microscope.lit_at_frame)
    assert not microscope.is_lit
