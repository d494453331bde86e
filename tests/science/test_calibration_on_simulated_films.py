"""What a calibration finds is held against what the simulated microscope is made of."""

from dataclasses import replace

import numpy as np
import pytest
from calibrating import instrument

from her2sr_acq.engine.reins import Reins
from her2sr_acq.errors import PlanRejectedError, RunConflictError
from her2sr_proc.errors import DataError
from her2sr_proc.registration import moved
from her2sr_proc.store.calibrations import latest, read_array


@pytest.fixture(scope="module")
def beads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("b")
    with instrument(folder, "bead_film", size=192, films={"beads_per_um2": 0.06}) as it:
        yield it


@pytest.fixture(scope="module")
def even(tmp_path_factory):
    with instrument(tmp_path_factory.mktemp("u"), "uniform_film", size=64) as it:
        yield it


def test_colours_are_registered_within_20_nm_across_and_100_nm_along_the_axis(beads):
    before = beads.where()
    card = beads.do("beads")
    assert card.registration is not None
    corners = np.array([[0.0, 0.0], [24_800.0, 24_800.0]])
    for nm, true in beads.true_channels().items():
        found = card.registration.channel(int(nm))
        away = moved(corners, found.to_reference) - corners
        shift = [true["to_reference_x_nm"], true["to_reference_y_nm"]]
        assert np.abs(away - shift).max() < 20.0
        assert abs(found.focus_offset_um - true["focus_offset_um"]) < 0.1
        assert found.residual_nm < 10.0
        assert found.focal_depth_um == pytest.approx(0.258, rel=0.1)
    assert beads.where() == pytest.approx(before, abs=0.01)
    assert beads.is_dark()
    stored = latest(beads.data, "beads")
    assert stored.card == card


def test_the_pixel_is_found_and_the_stage_comes_back(beads):
    before = beads.where()
    card = beads.do("pixel", frames=4)
    assert card.values["pixel_nm"] == pytest.approx(130.0, rel=0.002)
    assert card.values["agrees"] is True
    assert card.values["x_is_mirrored"] is False
    assert beads.where() == pytest.approx(before, abs=0.01)
    assert beads.is_dark()


def test_powers_are_those_of_the_meter(beads):
    card = beads.do("power", steps=2, seconds=0.15, exposure_ms=300.0, lines_nm=(561,))
    assert card.values["561"]["mw_per_percent"] == pytest.approx(1.63, rel=0.001)
    assert beads.is_dark()


def test_the_camera_is_measured_pixel_by_pixel(even):
    card = even.do("camera", dark_frames=1000, levels=20, frames=100)
    stored, true = latest(even.data, "camera"), even.true_camera()
    found = {name: read_array(stored, name) for name in true}
    assert np.median(np.abs(found["offset_adu"] - true["offset_adu"])) < 0.1
    assert np.median(np.abs(found["e_per_adu"] / true["e_per_adu"] - 1.0)) < 0.01
    ratio = found["variance_e2"] / true["variance_e2"]
    assert np.median(np.abs(ratio - 1.0)) < 0.05
    assert (card.frame_height, card.frame_width) == (64, 64)
    assert even.is_dark()


def test_an_even_film_shows_how_the_field_is_lit(even):
    card = even.do("flat", frames=20)
    stored = latest(even.data, "flat")
    relative = read_array(stored, "relative_561")
    assert relative.shape == (64, 64)
    corner, middle = relative[:3, :3].mean(), relative[30:34, 30:34].mean()
    assert corner / middle == pytest.approx(0.85, abs=0.06)  # falloff and soft edge
    assert card.values["561"]["centre_x_px"] == pytest.approx(31.5, abs=0.5)


def test_a_saturated_flat_field_is_refused_with_nothing_moved_or_written(even):
    before, kept = even.where(), latest(even.data, "flat")
    with pytest.raises(DataError, match="of the flat field is saturated"):
        even.do("flat", frames=4, exposure_ms=1000.0, percent=50.0, lines_nm=(561,))
    assert even.where() == before
    assert even.is_dark()
    assert latest(even.data, "flat") == kept


def test_a_film_without_beads_is_refused_at_the_first_look(even):
    before = even.where()
    with pytest.raises(DataError, match="0 fiducials are seen at 561 nm and 12 are"):
        even.do("beads", exposure_ms=10.0)
    assert even.where() == before
    assert even.is_dark()
    assert latest(even.data, "beads") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"percent": 90.0}, "above its limit"),
        ({"exposure_ms": 5000.0}, "outside the camera's"),
        ({"lines_nm": (640,)}, "has no laser of 640 nm"),
        ({"lines_nm": (488,)}, "registered to 561 nm"),
        ({"range_um": 10.0, "step_um": 5.0}, None),
        ({"range_um": 9.9, "step_um": 0.1}, None),
    ],
)
def test_what_breaks_a_limit_is_refused_before_any_light(even, changes, words):
    if words is None:  # planes beyond the focus' travel
        even.taker.hardware.focus.move_to(z_um=15.0)
        words = "stack would reach"
    before, lit = even.where(), even.lit_s()
    with pytest.raises(PlanRejectedError, match=words):
        even.do("beads", **changes)
    assert even.where() == before
    assert even.lit_s() == lit
    even.taker.hardware.focus.move_to(z_um=1.5)


def test_a_stop_ends_it_dark_and_writes_nothing(even):
    kept = latest(even.data, "camera")
    stopped = Reins()
    stopped.stop(drop=True)
    light = replace(even.taker.light, reins=stopped)
    halted = replace(even, taker=replace(even.taker, light=light))
    with pytest.raises(RunConflictError, match="stopped; nothing was written"):
        halted.do("camera", dark_frames=20, levels=3, frames=10)
    assert even.is_dark()
    assert latest(even.data, "camera") == kept
