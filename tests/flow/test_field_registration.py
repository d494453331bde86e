"""Signals and nuclei of a field stand in one frame, or the answer says that they don't.

The three colours of the movies lie 2 and 3 pixels apart, far more than any objective's,
so that what is registered cannot be mistaken for what is not.
"""

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.schema.calibration import (
    AffineTransform,
    CalibrationUse,
    ChannelRegistration,
    Registration,
    RunCalibration,
)
from her2sr_proc.store.manifest import read_manifest, write_manifest
from her2sr_proc.store.results import read_field, read_result

SIDE = 96
FRAMES = {"561": 40, "488": 80, "405": 20}
AWAY_PX = {"561": (0, 0), "488": (2, 0), "405": (0, -3)}
"""Where a colour shows what 561 shows at nought: x, y."""
PLACES = {"561": [(40, 40), (58, 50), (45, 62)], "488": [(50, 38)]}
GRAIN = (30, 56)
"""Steady and bright in both colours: lipofuscin."""


def movie(channel, drift_px=0):
    rng = np.random.default_rng([7, int(channel)])
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    y -= AWAY_PX[channel][1]
    x = x - AWAY_PX[channel][0] + np.zeros((FRAMES[channel], 1, 1))
    if channel == "488":  # moves evenly from first to last frame
        x -= np.linspace(0.0, drift_px, len(x))[:, None, None]
    light = np.full(x.shape, 30.0)
    if channel == "405":
        light[np.hypot(y - 48, x - 48) < 30] += 60.0
    else:
        grain = np.exp(-((y - GRAIN[0]) ** 2 + (x - GRAIN[1]) ** 2) / 2.0)
        light += 1_500.0 * grain
        for py, px in PLACES[channel]:
            spot = np.exp(-((y - py) ** 2 + (x - px) ** 2) / 2.0)
            blinks = 1 + rng.poisson(5, len(light))[:, None, None]
            light += 300.0 * blinks * spot
    return (rng.poisson(light) / 0.46 + 100).astype(np.uint16)


def known(*lines, expired=False) -> RunCalibration:
    colours = [
        ChannelRegistration(
            laser_nm=int(name),
            to_reference=AffineTransform(x_nm=-130.0 * x, y_nm=-130.0 * y),
            fiducials=40,
            residual_nm=2.5,
            focus_offset_um=0.15 if name == "405" else 0.0,
            focus_error_um=0.001,
            focal_depth_um=0.25,
            spot_sigma_nm=90.0,
        )
        for name, (x, y) in AWAY_PX.items()
        if name in lines
    ]
    use = CalibrationUse(
        kind="beads",
        id="20260101T000000Z",
        made_utc="2026-01-01T00:00:00Z",
        sha256="0" * 64,
        age_days=9.0,
        expired=expired,
    )
    return RunCalibration(used=(use,), registration=Registration(channels=colours))


def processed(folder, calibration, *, drift_px=0):
    run = make_run(folder / "r1", frames=FRAMES, size=SIDE)
    manifest = read_manifest(run)
    change = {"calibration": calibration, "plan": {"section_um": 3.0}}
    write_manifest(run, manifest.model_copy(update=change))
    for channel in FRAMES:
        add_unit(run, channel, movie(channel, drift_px))
    process_run(run, lambda *_: None)
    return run


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    return processed(tmp_path_factory.mktemp("loose"), RunCalibration())


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return processed(tmp_path_factory.mktemp("fast"), known("561", "488", "405"))


def marks(run, probe, arm="sr"):
    found = [m for m in read_field(run, "r00_c00").signals if m.probe == probe]
    return sorted((m.y_px, m.x_px) for m in found if m.arm == arm)


def test_signals_of_all_colours_stand_in_the_frame_of_561(fast):
    ((y, x),) = marks(fast, "CEP17")
    assert (y, x) == pytest.approx(PLACES["488"][0], abs=0.15)
    for (y, x), place in zip(marks(fast, "HER2"), sorted(PLACES["561"]), strict=True):
        assert (y, x) == pytest.approx(place, abs=0.15)


def test_nuclei_stand_there_too(fast, loose):
    (registered,) = read_field(fast, "r00_c00").nuclei
    (plain,) = read_field(loose, "r00_c00").nuclei
    assert registered.y_um - plain.y_um == pytest.approx(3 * 0.13, abs=0.03)
    assert registered.x_um - plain.x_um == pytest.approx(0.0, abs=0.03)


def test_lipofuscin_is_found_out_once_the_colours_coincide(fast, loose):
    def grains(run):
        found = marks(run, "HER2", "conventional")
        return [m for m in found if np.hypot(m[0] - GRAIN[0], m[1] - GRAIN[1]) < 1.0]

    assert len(grains(loose)) == 1  # two pixels apart it passes for a signal
    assert grains(fast) == []


def test_a_run_without_beads_is_not_shifted_and_says_so(loose):
    ((_, x),) = marks(loose, "CEP17")
    assert x == pytest.approx(PLACES["488"][0][1] + 2, abs=0.15)
    flags = read_result(loose).flags
    assert sum("colours are not registered" in flag for flag in flags) == 1
    geometry = read_field(loose, "r00_c00").geometry
    assert not any(c.registered for c in geometry.channels.values())
    assert sum("depth seen is unknown" in note for note in geometry.notes) == 3
    assert all(c.seen_share is None for c in geometry.channels.values())


def test_a_registered_run_tells_residual_depth_and_drift(fast):
    geometry = read_field(fast, "r00_c00").geometry
    assert all(c.registered for c in geometry.channels.values())
    assert geometry.channels["488"].registration_residual_nm == 2.5
    # peaks above a tenth lie within 3 d of the focus: 0.75 um up and down
    assert geometry.channels["561"].seen_share == pytest.approx(0.5)
    assert geometry.drift_nm == pytest.approx((0.0, 0.0), abs=30.0)
    assert not any("not registered" in flag for flag in read_result(fast).flags)


def test_drift_over_the_bursts_is_summed_and_flagged_and_moves_nothing(tmp_path):
    run = processed(tmp_path, known("561", "488", "405", expired=True), drift_px=1)
    geometry = read_field(run, "r00_c00").geometry
    assert geometry.channels["488"].drift_nm == pytest.approx((130.0, 0.0), abs=40.0)
    assert geometry.drift_nm == pytest.approx((130.0, 0.0), abs=40.0)
    flags = " ".join(read_result(run).flags)
    assert "nm over the signal bursts" in flags
    assert "the bead calibration was 9.0 days old and had expired" in flags
    ((_, x),) = marks(run, "CEP17")
    assert x == pytest.approx(PLACES["488"][0][1] + 0.5, abs=0.3)  # where it was seen


def test_a_colour_that_the_beads_lacked_is_named(tmp_path):
    run = make_run(tmp_path / "r1", frames=FRAMES, size=SIDE)
    manifest = read_manifest(run)
    change = {"calibration": known("561", "405")}
    write_manifest(run, manifest.model_copy(update=change))
    process_run(run, lambda *_: None)
    flags = read_result(run).flags
    assert any("488 (CEP17) is not registered" in flag for flag in flags)
