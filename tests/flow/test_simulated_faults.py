"""Faults of the simulated microscope as MMCore and its adapters meet them."""

import subprocess
import sys
import threading
import time

import pytest
from microscopes import opened, simulated, simulated_here
from short import short_folder

from her2sr_acq.errors import (
    AcqError,
    BufferOverflowError,
    CameraStalledError,
    DeviceError,
    LightError,
    ReadBackError,
)
from her2sr_acq.runtime import VARIABLE
from simulators.faults.options import FaultOptions

FRAMES = 12


@pytest.fixture(scope="module")
def bench():
    with short_folder() as folder, simulated_here(folder) as bench:
        yield bench


@pytest.fixture(scope="module")
def hardware(bench):
    with opened(bench.config, bench.runtime) as hardware:
        yield hardware


@pytest.fixture
def inject(bench, hardware):
    """Plan faults; all are healed and the camera is free when the test is over."""

    def plan(device, kind, **more):
        return bench.client.inject(FaultOptions(device=device, kind=kind, **more))

    yield plan
    bench.client.heal()
    hardware.camera.disarm()
    hardware.dark()


def core_of(hardware):
    return hardware.camera._handle.core


def start(hardware, frames=FRAMES):
    hardware.camera.arm(frames=frames, exposure_ms=30.0)
    hardware.camera.start()


def take(hardware, frames=FRAMES, *, timeout_s=20.0):
    start(hardware, frames)
    return [hardware.camera.next_frame(timeout_s=timeout_s) for _ in range(frames)]


def test_a_stage_that_fails_says_so_and_works_when_healed(bench, hardware, inject):
    inject("stage", "raises", count=1)
    with pytest.raises(DeviceError, match="failed at 'set position'"):
        hardware.stage.move_to(x_um=5.0, y_um=5.0)
    hardware.stage.move_to(x_um=5.0, y_um=5.0)


@pytest.mark.parametrize("fault", [{"kind": "lost"}, {"kind": "lies", "value": 3.0}])
def test_a_stage_that_is_elsewhere_is_found_out(hardware, inject, fault):
    hardware.stage.move_to(x_um=0.0, y_um=0.0)
    inject("stage", **fault)
    with pytest.raises(ReadBackError):
        hardware.stage.move_to(x_um=40.0, y_um=-40.0)


@pytest.mark.parametrize("fault", [{"kind": "lost"}, {"kind": "lies", "value": 3.0}])
def test_a_focus_that_is_elsewhere_is_found_out(hardware, inject, fault):
    hardware.focus.move_to(z_um=0.0)
    inject("focus", **fault)
    with pytest.raises(ReadBackError):
        hardware.focus.move_to(z_um=6.0)


def test_a_stuck_stage_stays_busy_and_does_not_move(bench, hardware, inject):
    core, before = core_of(hardware), bench.client.state()
    inject("stage", "stuck")
    core.setXYPosition("XYStage", before.x_um + 50.0, before.y_um)
    assert core.deviceBusy("XYStage")
    assert bench.client.state().x_um == before.x_um


def test_a_late_call_takes_its_time(hardware, inject):
    inject("laser", "late", nm=561, duration_s=0.2, count=1)
    began = time.monotonic()
    hardware.lasers[561].set_power(10.0)
    assert time.monotonic() - began >= 0.2


def test_a_hung_call_comes_back_when_it_is_healed(bench, hardware, inject):
    inject("focus", "hangs")
    call = threading.Thread(target=core_of(hardware).setPosition, args=("Focus", 2.0))
    call.start()
    call.join(0.2)
    assert call.is_alive()
    bench.client.heal("focus")
    call.join(2.0)
    assert not call.is_alive()


def test_a_laser_with_a_wrong_reading_is_not_lit(hardware, inject):
    inject("laser", "lies", operation="561 PowerPercent", value=80.0)
    with pytest.raises(ReadBackError):
        hardware.lasers[561].set_power(40.0)


def test_a_stuck_light_is_not_believed_to_be_off(bench, hardware, inject):
    hardware.lasers[561].set_power(10.0)
    hardware.lasers[561].on()
    inject("laser", "stuck", nm=561)
    with pytest.raises(LightError):
        hardware.lasers[561].off()
    assert bench.client.state().is_lit()


def test_interlock_faults_and_temperature_are_properties(bench, hardware, inject):
    core = core_of(hardware)

    def read():
        names = [("Lasers", "Interlock"), ("Lasers", "561 Fault")]
        return [str(core.getProperty(*name)) for name in names]

    assert read() == ["Closed", "0"]
    assert float(core.getProperty("Camera", "Temperature-C")) == -10.0
    inject("interlock", "open")
    inject("laser", "fault", nm=561)
    inject("temperature", "lies", value=25.0)
    assert read() == ["Open", "1"]
    assert float(core.getProperty("Camera", "Temperature-C")) == 25.0
    bench.client.heal()
    assert read() == ["Closed", "0"]


def test_an_interlock_that_opens_at_a_frame_is_on_record_and_light_stays(
    bench, hardware, inject
):
    hardware.lasers[561].set_power(10.0)
    hardware.lasers[561].on()
    inject("interlock", "open", at_frame=5)
    take(hardware)
    history = bench.client.light_history()
    assert history.opened_s() == pytest.approx(time.monotonic(), abs=10.0)
    opening = [c for c in history.changes if c.what == "interlock" and c.on][-1]
    assert opening.in_burst
    assert bench.client.state().interlock_is_open
    assert bench.client.state().is_lit()


def test_an_interlock_that_cuts_the_light_does_so_by_itself():
    with (
        short_folder() as folder,
        simulated_here(folder, interlock_cuts_light=True) as bench,
        opened(bench.config, folder) as hardware,
    ):
        hardware.lasers[561].set_power(10.0)
        hardware.lasers[561].on()
        fault = FaultOptions(device="interlock", kind="open", after_s=0.05)
        bench.client.inject(fault)
        deadline = time.monotonic() + 2.0
        while bench.client.state().is_lit():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        history = bench.client.light_history()
        assert history.dark_s() - history.opened_s() < 0.5


def test_a_camera_that_stalls_is_noticed(bench, hardware, inject):
    inject("camera", "stall", at_frame=5)
    with pytest.raises(CameraStalledError, match="after 5 of 12"):
        take(hardware, timeout_s=1.0)
    assert bench.client.state().is_exposing


def test_a_camera_goes_on_after_a_short_stall(hardware, inject):
    inject("camera", "stall", at_frame=5, duration_s=0.1, count=1)
    assert len(take(hardware)) == FRAMES


def test_a_dropped_frame_leaves_a_gap_in_stamps_and_in_nothing_else(hardware, inject):
    inject("camera", "drop", at_frame=5, count=2)
    frames = take(hardware)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    exposures = [round(frame.t_s / 0.03) for frame in frames]
    assert exposures == [*range(5), *range(7, FRAMES + 2)]
    assert [frame.count for frame in frames] == exposures


def test_a_ring_that_runs_over_is_told_by_the_core(hardware, inject):
    inject("camera", "overflow", at_frame=5, count=1)
    with pytest.raises(BufferOverflowError):
        take(hardware)


def test_a_frame_of_another_size_is_not_taken(hardware, inject):
    inject("camera", "garbage", at_frame=5, count=1)
    with pytest.raises(DeviceError, match=r"a frame of \(3, 5\) uint16 came"):
        take(hardware)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_driver_that_fails_at_a_frame_stops_the_camera(hardware, inject):
    inject("camera", "raises", at_frame=5, count=1)
    with pytest.raises(CameraStalledError, match="after 5 of 12"):
        take(hardware)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost", "operation": "set exposure"},
        {"kind": "lies", "operation": "exposure", "value": 55.0},
        {"kind": "raises", "operation": "start"},
    ],
)
def test_a_camera_that_does_not_obey_takes_no_frame(bench, hardware, inject, fault):
    before = bench.client.state().bursts
    hardware.camera.arm(frames=1, exposure_ms=10.0)
    inject("camera", **fault)
    with pytest.raises(AcqError):
        start(hardware)
    assert bench.client.state().bursts == before


def test_faults_of_the_configuration_are_there_from_the_start():
    fault = {"device": "stage", "kind": "raises", "at_call": 2, "count": 1}
    with (
        short_folder() as folder,
        simulated_here(folder, faults=[fault]) as bench,
        opened(bench.config, folder) as hardware,
    ):
        hardware.stage.move_to(x_um=5.0, y_um=0.0)
        with pytest.raises(DeviceError, match="as planned"):
            hardware.stage.move_to(x_um=9.0, y_um=0.0)


VICTIM = """
import sys
from pathlib import Path
from her2sr_acq.config import load
from her2sr_acq.devices.registry import open_hardware
config = Path(sys.argv[1])
hardware = open_hardware(load(config), config)
hardware.camera.arm(frames=20, exposure_ms=10.0)
hardware.camera.start()
for _ in range(20):
    hardware.camera.next_frame(timeout_s=20.0)
"""


def test_a_driver_that_crashes_takes_its_process_along(monkeypatch):
    fault = {"device": "camera", "kind": "crash", "at_frame": 7}
    with short_folder() as folder, simulated(folder, faults=[fault]) as bench:
        monkeypatch.setenv(VARIABLE, str(folder))
        command = [sys.executable, "-c", VICTIM, str(bench.config)]
        assert subprocess.run(command, timeout=60.0).returncode == -11
        assert bench.client.state().frames >= 7
