"""The simulated microscope as a process: what it shows, counts and refuses."""

import time

import numpy as np
import pytest
from microscopes import (
    opened,
    runtime_variable,
    simulated,
    simulated_here,
    write_config,
)
from short import short_folder

from her2sr_acq.child import STEPS
from her2sr_acq.config import load
from her2sr_acq.devices.registry import open_hardware
from her2sr_acq.errors import DeviceError
from her2sr_acq.runtime import MICROSCOPE, address
from her2sr_acq.stream.envelope import ask
from simulators.microscope import main
from simulators.protocol import Burst

FRAMES = 12


def burst(hardware, frames=FRAMES):
    """Take one lit burst; return pixels and stamps."""
    hardware.stage.move_to(x_um=20.0, y_um=10.0)
    hardware.lasers[561].set_power(40.0)
    hardware.camera.arm(frames=frames, exposure_ms=30.0)
    hardware.lasers[561].on()
    hardware.camera.start()
    taken = [hardware.camera.next_frame(timeout_s=20.0) for _ in range(frames)]
    hardware.dark()
    hardware.camera.disarm()
    return np.stack([f.adu for f in taken]), [f.t_s for f in taken]


@pytest.fixture(scope="module")
def bench():
    with (
        short_folder() as folder,
        simulated_here(folder, truth_folder="truth") as bench,
    ):
        yield bench


@pytest.fixture(scope="module")
def hardware(bench):
    with opened(bench.config, bench.runtime) as hardware:
        yield hardware


def test_one_seed_gives_the_same_bursts_every_time():
    bursts = []
    for _ in range(2):
        with (
            short_folder() as folder,
            simulated_here(folder, seed=7) as bench,
            opened(bench.config, folder) as hardware,
        ):
            bursts.append([burst(hardware)[0] for _ in range(2)])
    assert np.array_equal(bursts[0], bursts[1])
    assert not np.array_equal(bursts[0][0], bursts[0][1])


def test_stamps_run_in_simulated_time(bench, hardware):
    _, t_s = burst(hardware)
    assert t_s == pytest.approx([0.03 * frame for frame in range(FRAMES)], abs=1e-5)


def test_light_makes_the_picture(bench, hardware):
    lit, _ = burst(hardware)
    hardware.camera.arm(frames=2, exposure_ms=30.0)
    hardware.camera.start()
    dark = [hardware.camera.next_frame(timeout_s=5.0).adu for _ in range(2)]
    assert np.mean(dark) == pytest.approx(100.0, abs=2.0)
    assert lit.mean() > np.mean(dark) + 10.0


def test_the_state_counts_bursts_frames_and_light(bench, hardware):
    before = bench.client.state()
    burst(hardware)
    after = bench.client.state()
    assert after.bursts == before.bursts + 1
    assert after.frames == FRAMES
    assert after.simulated_s >= before.simulated_s + 0.03 * FRAMES - 1e-6
    assert (after.x_um, after.y_um, after.is_lit()) == (20.0, 10.0, False)
    assert (after.overflows, after.fault) == (0, "")


def test_the_truth_is_there_from_the_start_and_grows_with_each_burst(bench, hardware):
    names = {path.name for path in (bench.runtime / "truth").iterdir()}
    assert {"nuclei.parquet", "loci.parquet", "specimen.json"} <= names
    written = (bench.runtime / "truth" / "intervals.parquet").stat().st_mtime_ns
    burst(hardware)
    deadline = time.monotonic() + 5.0
    while (bench.runtime / "truth" / "intervals.parquet").stat().st_mtime_ns == written:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stage_takes_the_time_that_it_is_told_to():
    slow = {"settle_s": 0.5}
    with (
        short_folder() as folder,
        simulated_here(folder, time_scale=1.0, stage=slow) as bench,
        opened(bench.config, folder) as hardware,
    ):
        began = time.monotonic()
        hardware.stage.move_to(x_um=1.0, y_um=0.0)
        assert time.monotonic() - began >= 0.5


def test_a_region_of_interest_is_cut_from_the_frame(bench, hardware):
    core = hardware.camera._handle.core
    core.setROI("Camera", 10, 20, 30, 16)
    assert hardware.camera.shape == (16, 30)
    core.clearROI()
    with pytest.raises(ValueError, match="does not lie within the sensor"):
        core.setROI("Camera", 60, 0, 30, 30)


def test_a_read_out_mode_is_set_and_read_back(bench, hardware):
    core = hardware.camera._handle.core
    assert core.getAllowedPropertyValues("Camera", "Readout") == ("standard", "fast")
    core.setProperty("Camera", "Readout", "fast")
    assert core.getProperty("Camera", "Readout") == "fast"
    core.setProperty("Camera", "Readout", "standard")


def test_light_is_on_record_with_the_burst_it_was_in(bench, hardware):
    before = bench.client.light_history()
    burst(hardware)
    after = bench.client.light_history(since_s=before.now_s)
    said = [(c.what, c.on) for c in after.changes]
    assert said == [
        ("light", True),
        ("burst", True),
        ("burst", False),
        ("light", False),
    ]
    assert before.now_s < after.dark_s() <= time.monotonic()
    assert after.lit_outside_s > before.lit_outside_s


def test_a_camera_that_exposes_refuses_another_burst(bench, hardware):
    hardware.camera.arm(frames=100_000, exposure_ms=1000.0)
    hardware.camera.start()
    order = Burst(height=64, width=64, frames=1, exposure_ms=1.0, reader="other")
    with pytest.raises(DeviceError, match="already exposing"):
        bench.client.start(order)
    hardware.camera.disarm()
    assert not bench.client.state().is_exposing


def test_frames_of_another_size_are_refused(bench):
    order = Burst(height=32, width=64, frames=1, exposure_ms=1.0, reader="other")
    with pytest.raises(DeviceError, match="64 x 64"):
        bench.client.start(order)


@pytest.mark.parametrize(
    ("verb", "body", "reason"),
    [("dance", {}, "does not know 'dance'"), ("move_focus", {"z": 1}, "understood")],
)
def test_what_makes_no_sense_is_refused(bench, verb, body, reason):
    answer = ask(address(bench.runtime, MICROSCOPE), verb, body, deadline_s=5.0)
    assert not answer.ok
    assert reason in answer.error.message


def test_it_ends_on_request_before_the_launcher_would_ask_again():
    kind, patience_s = STEPS[0]
    with short_folder() as folder, simulated(folder) as bench:
        bench.process.send_signal(kind)
        assert bench.process.wait(patience_s) == 0
        assert not (folder / "ring.bin").exists()


def test_wrong_options_are_one_line_with_the_key(tmp_path, caplog):
    config = write_config("simulated", tmp_path, time_scale=-1)
    assert main(["--config", str(config), "--runtime", str(tmp_path)]) == 2
    assert [record.exc_info for record in caplog.records] == [None]
    assert "simulator.options: 'time_scale'" in caplog.text


def test_without_a_microscope_the_devices_say_what_to_start(tmp_path):
    config = write_config("simulated", tmp_path)
    with (
        short_folder() as empty,
        runtime_variable(empty),
        pytest.raises(DeviceError, match=r"start .* with `her2sr serve`"),
    ):
        open_hardware(load(config), config)
