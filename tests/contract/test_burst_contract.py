"""What every microscope must do in a burst: one suite, simulated and demo adapters."""

import numpy as np
import pytest
from microscopes import opened, simulated, write_config
from short import short_folder

from her2sr_acq.errors import (
    BufferOverflowError,
    CameraStalledError,
    DeviceError,
    ReadBackError,
)


@pytest.fixture(scope="module", params=["simulated", "demo"])
def hardware(request):
    with short_folder() as folder:
        if request.param == "demo":
            with opened(write_config("demo", folder), folder) as demo:
                yield demo
            return
        with simulated(folder) as bench, opened(bench.config, folder) as real:
            yield real


@pytest.fixture
def camera(hardware):
    yield hardware.camera
    hardware.camera.disarm()


def take(camera, frames, exposure_ms=2.0):
    camera.arm(frames=frames, exposure_ms=exposure_ms)
    camera.start()
    return [camera.next_frame(timeout_s=5.0) for _ in range(frames)]


def test_a_burst_delivers_exactly_the_frames_asked_for_in_order(camera):
    frames = take(camera, 50)
    assert [frame.index for frame in frames] == list(range(50))
    with pytest.raises(DeviceError, match="all 50 frames were delivered"):
        camera.next_frame(timeout_s=1.0)


def test_frames_are_whole_and_belong_to_the_receiver(camera):
    first, second = take(camera, 2)
    assert first.adu.shape == camera.shape == (64, 64)
    assert first.adu.dtype == np.uint16
    assert not np.shares_memory(first.adu, second.adu)


def test_camera_stamps_begin_at_zero_and_rise(camera):
    t_s = [frame.t_s for frame in take(camera, 10)]
    assert t_s[0] == 0.0
    assert all(np.diff(t_s) > 0.0)


def test_bursts_follow_each_other(camera):
    for _ in range(3):
        assert len(take(camera, 5)) == 5
        camera.disarm()


def test_an_exposure_outside_the_limits_is_refused(camera):
    with pytest.raises(DeviceError, match="limits of 1 to 1000 ms"):
        camera.arm(frames=1, exposure_ms=5000.0)


def test_an_exposure_that_does_not_read_back_is_refused(camera, monkeypatch):
    monkeypatch.setattr(camera, "_exposure_ms", lambda: 12.0)
    with pytest.raises(ReadBackError, match="set to 10 ms and reads 12 ms"):
        camera.arm(frames=1, exposure_ms=10.0)


def test_a_region_is_set_for_a_burst_and_left_after_it(camera):
    camera.arm(frames=3, exposure_ms=2.0, roi=(8, 16, 32, 24))
    assert camera.shape == (24, 32)
    camera.start()
    frames = [camera.next_frame(timeout_s=5.0) for _ in range(3)]
    assert {frame.adu.shape for frame in frames} == {(24, 32)}
    assert take(camera, 2)[0].adu.shape == camera.shape == (64, 64)


def test_a_region_that_the_camera_does_not_take_is_an_error(camera):
    with pytest.raises(DeviceError):
        camera.arm(frames=1, exposure_ms=2.0, roi=(40, 0, 64, 64))
    assert len(take(camera, 2)) == 2


def test_an_unknown_read_out_mode_lists_what_there_is(camera):
    with pytest.raises(DeviceError, match="has no read-out mode 'loud'; there is: "):
        camera.arm(frames=1, exposure_ms=2.0, readout="loud")


def test_a_read_out_mode_lasts_for_its_burst_alone(hardware, camera):
    modes = camera._config.readout_modes
    read = hardware._handle.core.getProperty
    for mode, wanted in modes.items():
        before = {name: read("Camera", name) for name in wanted}
        camera.arm(frames=1, exposure_ms=2.0, readout=mode)
        assert {name: read("Camera", name) for name in wanted} == wanted
        camera.arm(frames=1, exposure_ms=2.0)
        assert {name: read("Camera", name) for name in wanted} == before


def test_the_cameras_own_count_begins_at_zero_where_it_has_one(camera):
    counts = [frame.count for frame in take(camera, 5)]
    has_one = camera._config.counter_tag is not None
    assert counts == (list(range(5)) if has_one else [None] * 5)


def test_without_a_start_no_frame_is_waited_for(camera):
    camera.arm(frames=3, exposure_ms=2.0)
    with pytest.raises(CameraStalledError, match="0 of 3"):
        camera.next_frame(timeout_s=5.0)


def test_a_late_frame_is_a_stall(camera):
    camera.arm(frames=1, exposure_ms=300.0)
    camera.start()
    with pytest.raises(CameraStalledError, match="no frame came within 0"):
        camera.next_frame(timeout_s=0.0)


def test_a_burst_may_be_ended_early_and_twice(camera):
    camera.arm(frames=100_000, exposure_ms=2.0)
    camera.start()
    camera.next_frame(timeout_s=5.0)
    camera.disarm()
    camera.disarm()
    assert len(take(camera, 3)) == 3


def test_a_ring_that_runs_over_ends_the_burst_with_an_error(camera):
    camera._size_ring(1)
    try:
        camera.arm(frames=1000, exposure_ms=1.0)
        camera.start()
        with pytest.raises(BufferOverflowError, match="ran over"):
            drain_nothing(camera)
        camera.disarm()
    finally:
        camera._size_ring(16)
    assert len(take(camera, 3)) == 3


def drain_nothing(camera):
    """Wait until the ring is full, then ask."""
    core = camera._handle.core
    while core.isSequenceRunning(camera._config.label):
        camera._sleep(0.01)
    camera.next_frame(timeout_s=0.0)


def test_the_stage_goes_and_reads_back(hardware):
    hardware.stage.move_to(x_um=66.5, y_um=-20.0)
    assert hardware.stage.position_um() == pytest.approx((66.5, -20.0), abs=0.5)


def test_the_focus_goes_and_reads_back(hardware):
    hardware.focus.move_to(z_um=2.25)
    assert hardware.focus.position_um() == pytest.approx(2.25, abs=0.05)


def test_a_place_beyond_the_limits_is_refused_without_moving(hardware):
    before = hardware.stage.position_um()
    with pytest.raises(DeviceError, match="outside its limits"):
        hardware.stage.move_to(x_um=20_000.0, y_um=0.0)
    assert hardware.stage.position_um() == before


def test_a_stage_that_stops_short_is_an_error(hardware, monkeypatch):
    monkeypatch.setattr(hardware.stage, "position_um", lambda: (1.0, 2.0))
    with pytest.raises(ReadBackError, match=r"x was sent to 40.00 um and reads 1.00"):
        hardware.stage.move_to(x_um=40.0, y_um=2.0)


@pytest.mark.parametrize("nm", [405, 488, 561])
def test_a_laser_reads_back_power_on_and_off(hardware, nm):
    laser = hardware.lasers[nm]
    laser.set_power(20.0)
    assert not laser.is_on()
    laser.on()
    assert laser.is_on()
    laser.off()
    assert not laser.is_on()


def test_power_over_the_limit_is_refused_before_the_device_is_touched(hardware):
    laser = hardware.lasers[405]
    laser.set_power(10.0)
    with pytest.raises(DeviceError, match=r"takes 0 to 50 %, and 50.1 % was asked"):
        laser.set_power(50.1)
    assert float(laser.readings()["power"]) == pytest.approx(
        10.0 / 100.0 * laser._config.power_full_scale
    )


def test_dark_shuts_every_line(hardware):
    for laser in hardware.lasers.values():
        laser.set_power(5.0)
        laser.on()
    hardware.dark()
    assert not any(laser.is_on() for laser in hardware.lasers.values())


def test_every_role_says_what_it_is(hardware):
    roles = {reading.role for reading in hardware.readings()}
    assert {"camera", "stage", "focus", "laser 405", "laser 488", "laser 561"} <= roles
    assert not any("fault" in reading.values for reading in hardware.readings())


def test_the_packaged_presets_name_what_there_is(hardware):
    assert hardware.lint() == []
