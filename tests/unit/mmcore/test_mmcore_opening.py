"""Opening a microscope: every failed device in one sentence, nothing left behind."""

import gc
import itertools
import time
import weakref

import pytest

from her2sr_acq.devices.mmcore.motion import Drive
from her2sr_acq.errors import (
    AcqError,
    CameraStalledError,
    ConfigError,
    DeviceError,
    DeviceTimeoutError,
    LightError,
    ReadBackError,
)


def test_every_device_that_fails_is_named_at_once(bench):
    bench.replace("Focus,DemoCamera,DStage", "Focus,DemoCamera,NoSuchStage")
    bench.replace(
        "Device,Power405,DemoCamera,D-DA", "Device,Power405,NoSuchLibrary,D-DA"
    )
    with pytest.raises(DeviceError) as caught:
        bench.open()
    assert "Focus: " in str(caught.value)
    assert "Power405: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_roles_that_do_not_answer_are_named_at_once(bench):
    bench.replace_camera("MuteCamera")
    bench.data["stage"]["label"] = "NoStage"
    with pytest.raises(DeviceError, match=r"opened: Camera: no cable; NoStage: "):
        bench.open()


def test_a_preset_that_stops_the_start_is_explained(bench):
    bench.replace("Startup,Camera,BitDepth,16", "Startup,Camera,BitDeep,16")
    with pytest.raises(DeviceError, match=r"line \d+: preset System/Startup names pro"):
        bench.open()


def test_frames_of_another_size_are_a_configuration_error(bench):
    bench.data["camera"]["width"] = 128
    with pytest.raises(ConfigError, match=r"frames of \(64, 64\) pixels"):
        bench.open()


def test_a_ring_too_small_for_the_frames_is_a_configuration_error(bench):
    side = {"OnCameraCCDXSize": "2048", "OnCameraCCDYSize": "2048"}
    bench.data["mmcore"].update(buffer_mb=16, settings={"Camera": side})
    bench.data["camera"].update(width=2048, height=2048)
    with pytest.raises(ConfigError, match="holds 2 frames, and at least 4"):
        bench.open()


def test_a_pixel_size_that_contradicts_the_results_is_refused(bench):
    bench.data["camera"]["model"]["pixel_nm"] = 65.0
    with pytest.raises(ConfigError, match=r"130 nm .* says 65"):
        bench.open()


def test_a_laser_property_that_is_not_there_is_named(bench):
    bench.data["lasers"][0]["power_property"] = "Volts"
    with pytest.raises(ConfigError, match="Power405 has no property 'Volts'"):
        bench.open()


def test_a_setting_that_does_not_stick_is_refused(bench):
    bench.data["mmcore"]["settings"]["Camera"]["CCDTemperature"] = "-20.123456"
    with pytest.raises(DeviceError, match=r"CCDTemperature.* reads"):
        bench.open()


def test_a_cfg_that_is_not_there_is_a_configuration_error(bench):
    bench.data["mmcore"]["cfg"] = "elsewhere.cfg"
    with pytest.raises(ConfigError, match="names a file beside the yaml"):
        bench.open()


def test_closing_drops_the_core(bench):
    hardware = bench.open()
    core = weakref.ref(hardware._handle.core)
    hardware.close()
    hardware.close()
    deadline = time.monotonic() + 5.0
    while core() is not None and time.monotonic() < deadline:
        time.sleep(0.01)  # the core's own thread may still be telling its last events
        gc.collect()
    assert core() is None
    with pytest.raises(AcqError, match="is closed"):
        hardware.stage.position_um()


def test_a_python_camera_needs_no_ring_of_whole_megabytes(bench):
    bench.replace_camera("OddCamera")
    bench.data["camera"].update(width=100, height=100)
    camera = bench.open().camera
    camera._size_ring(1)
    camera.arm(frames=200, exposure_ms=10.0)
    camera.start()
    assert [next_with_backlog(camera, 10).index for _ in range(200)] == [*range(200)]


def next_with_backlog(camera, backlog):
    """Return the next frame once ``backlog`` others wait, or the burst is over."""
    # pymmcore-plus may only be imported by the adapter, which keeps it quiet
    from broken_devices import OddCamera

    OddCamera.room.release()
    core = camera._handle.core
    while core.isSequenceRunning("Camera") and core.getRemainingImageCount() <= backlog:
        time.sleep(0.0001)
    return camera.next_frame(timeout_s=5.0)


FAULTS = [
    pytest.param("NoDevice,State,0", "'NoDevice', which is not declared", id="device"),
    pytest.param("Gate405,Stat,0", "'Stat', which device 'Gate405'", id="property"),
    pytest.param("Camera,Mode,Cats", "it takes Artificial Waves", id="value"),
    pytest.param("Power405,Voltage,11", "takes 0.0 to 10.0", id="limit"),
    pytest.param("XYStage,Name,me", "can only be read", id="read only"),
]


@pytest.mark.parametrize(("setting", "message"), FAULTS)
def test_the_linter_finds_a_preset_that_would_fail_when_used(bench, setting, message):
    line = "ConfigGroup,System,Shutdown,Gate405,State,0"
    bench.replace(line, f"ConfigGroup,Light,odd,{setting}\n{line}")
    found = bench.lint()
    assert len(found) == 1
    assert message in found[0]


def test_a_missing_shutdown_preset_is_a_finding(bench):
    bench.replace("System,Shutdown", "System,Bedtime")
    found = bench.lint()
    assert len(found) == 1
    assert "no preset System/Shutdown" in found[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_python_camera_that_dies_is_noticed_at_once(bench):
    bench.replace_camera("TiredCamera")
    camera = bench.open().camera
    camera.arm(frames=10, exposure_ms=10.0)
    camera.start()
    for _ in range(3):
        camera.next_frame(timeout_s=5.0)
    with pytest.raises(CameraStalledError, match="stopped by itself after 3 of 10"):
        camera.next_frame(timeout_s=60.0)


def test_an_exposure_that_the_camera_does_not_take_is_an_error(bench):
    bench.replace_camera("TiredCamera")
    with pytest.raises(ReadBackError, match="set to 30 ms and reads 10 ms"):
        bench.open().camera.arm(frames=10, exposure_ms=30.0)


def test_a_laser_that_ignores_its_power_is_an_error(bench):
    bench.replace_device("Power405", "broken_devices,DeafLasers")
    bench.data["lasers"][0]["power_property"] = "Power"
    with pytest.raises(ReadBackError, match="to 2 V and 'Power' of Power405 reads 0"):
        bench.open().lasers[405].set_power(20.0)


def test_a_laser_that_emits_though_it_says_off_is_not_taken_for_dark(bench):
    bench.replace_device("Power405", "broken_devices,StuckLaser")
    bench.data["lasers"][0].update(power_property="Power", readback_property="Output")
    with pytest.raises(LightError, match="405 nm laser was switched off and does not"):
        bench.open()


def test_dark_goes_on_after_a_line_that_fails(bench, monkeypatch):
    hardware = bench.open()
    for laser in hardware.lasers.values():
        laser.on()
    monkeypatch.setattr(hardware.lasers[405], "_switch", lambda *, on: None)
    with pytest.raises(LightError, match="405"):
        hardware.dark()
    assert [nm for nm, laser in hardware.lasers.items() if laser.is_on()] == [405]
    monkeypatch.undo()


def test_a_drive_that_stays_busy_is_told_to_stop(bench, monkeypatch):
    stage = bench.open().stage
    ticks = itertools.count()
    drive = Drive(
        stage._handle,
        "XYStage",
        timeout_s=10.0,
        settle_s=0.0,
        clock=lambda: float(next(ticks)),
        sleep=lambda _: None,
    )
    monkeypatch.setattr(Drive, "_is_busy", lambda _: True)
    with pytest.raises(DeviceTimeoutError, match="still moving after 10 s"):
        drive.wait()
