"""Between runs a person steps, marks and looks; limits and dose hold."""

import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stations import protocol, request, rig

from her2sr_acq.engine.hand_views import Jog, Mark, Marks, SnapRequest
from her2sr_acq.engine.handwork import LIVE_CEILING_S
from her2sr_acq.errors import (
    DoseError,
    InterlockError,
    LatchedError,
    PlanRejectedError,
    RunConflictError,
)
from her2sr_acq.plan.outline import Box
from her2sr_acq.plan.select import SelectPlan


def test_a_step_moves_stage_and_focus_from_where_they_are(tmp_path):
    with rig(tmp_path) as bench:
        hands = bench.desk.hands
        hands.jog(Jog(dx_um=10.0, dy_um=-5.0, dz_um=2.0))
        view = hands.jog(Jog(dx_um=1.0))
    assert (view.x_um, view.y_um, view.z_um) == (11.0, -5.0, 3.5)


@pytest.mark.parametrize(
    ("step", "axis"), [({"dx_um": 501.0}, "x"), ({"dx_um": 5.0, "dz_um": 99.0}, "z")]
)
def test_a_step_beyond_a_limit_moves_nothing(tmp_path, step, axis):
    with rig(tmp_path) as bench:
        with pytest.raises(PlanRejectedError, match=f"would end at {axis} = "):
            bench.desk.hands.jog(Jog(**step))
        assert bench.microscope.log == []
        assert bench.microscope.focus.z_um == 1.5


def test_corners_that_were_marked_give_the_middle_of_a_grid(tmp_path):
    with rig(tmp_path) as bench:
        hands = bench.desk.hands
        hands.mark("a")
        hands.jog(Jog(dx_um=100.0, dy_um=40.0))
        marks = hands.mark("b")
        assert marks.centre_um == (50.0, 20.0)
        assert marks.size_um == (100.0, 40.0)
        assert hands.clear_marks().marks == ()


def test_marks_that_are_set_at_once_are_all_kept(tmp_path):
    names = [f"corner-{n}" for n in range(24)]
    with rig(tmp_path) as engine:
        hand = engine.desk.hands
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(hand.mark, names))
        assert {mark.name for mark in hand.marks().marks} == set(names)


def test_a_picture_is_lit_for_itself_alone_and_comes_whole(tmp_path):
    with rig(tmp_path) as bench:
        picture = bench.desk.hands.snap(SnapRequest())
        log = bench.microscope.log
    adu = np.frombuffer(base64.b64decode(picture.adu_base64), "<u2")
    assert adu.reshape(picture.height, picture.width).shape == (16, 16)
    assert [call for call in log if call.startswith(("on", "off"))] == [
        "on 561",
        "off 561",
    ]


def test_a_look_that_would_pass_the_ceiling_is_refused_in_the_dark(tmp_path):
    with rig(tmp_path) as bench:
        hands = bench.desk.hands
        hands.snap(SnapRequest())
        (key,) = hands._book._doses
        hands._book._doses[key] = LIVE_CEILING_S - 0.0001
        before = list(bench.microscope.log)
        with pytest.raises(DoseError, match="would pass"):
            hands.snap(SnapRequest())
        assert "on 561" not in bench.microscope.log[len(before) :]


def test_looking_ends_where_a_place_has_had_enough_light_and_not_elsewhere(tmp_path):
    with rig(tmp_path) as bench:
        hands = bench.desk.hands
        hands.snap(SnapRequest())
        (key,) = hands._book._doses
        hands._book._doses[key] = LIVE_CEILING_S
        with pytest.raises(DoseError, match="move on, or take it as a field"):
            hands.snap(SnapRequest())
        assert bench.microscope.log.count("on 561") == 1
        hands.jog(Jog(dx_um=50.0))
        hands.snap(SnapRequest())


def test_too_much_light_is_refused_before_anything_is_lit(tmp_path):
    with rig(tmp_path) as bench:
        with pytest.raises(PlanRejectedError, match="whose limit is 60 %"):
            bench.desk.hands.snap(SnapRequest(power_percent=80))
        assert bench.microscope.log == []


def test_nothing_is_lit_by_hand_while_latched_or_open(tmp_path):
    with rig(tmp_path) as bench:
        bench.station.guard.latch("estop", "pressed")
        with pytest.raises(LatchedError):
            bench.desk.hands.snap(SnapRequest())
        bench.station.guard.rearm()
        bench.station.safety._troubles["door"] = "the door is open"
        bench.station.safety._fast = [type("W", (), {"name": "door"})()]
        with pytest.raises(InterlockError):
            bench.desk.hands.snap(SnapRequest())
        assert "on 561" not in bench.microscope.log
        bench.station.safety._fast = []


def test_in_a_run_the_microscope_is_not_in_a_persons_hands(tmp_path):
    with rig(tmp_path) as bench:
        bench.microscope.camera.pace_s = 0.02
        view = bench.desk.submit(request(plan=protocol(columns=1)))
        with pytest.raises(RunConflictError, match="has the microscope"):
            bench.desk.hands.jog(Jog(dx_um=1.0))
        bench.desk.helm.stop(view.id)
        bench.finish()


CORNERS = [("corner-a", 0.0, 0.0), ("corner-b", 50.0, 20.0), ("lamp", 400.0, 400.0)]


def test_two_corners_hold_the_grid_and_other_marks_do_not():
    marks = [Mark(name=n, x_um=x, y_um=y, z_um=0.0) for n, x, y in CORNERS]
    found = Marks.of(tuple(marks), tile_um=(10.0, 20.0))
    assert found.centre_um == (25.0, 10.0)
    assert (found.rows, found.columns) == (2, 3)
    assert found.region is None


def test_three_region_points_are_an_area_that_a_plan_takes():
    corners = ((0.0, 0.0), (40.0, 0.0), (40.0, 30.0))
    marks = [
        Mark(name=f"region-{n}", x_um=x, y_um=y, z_um=0.0)
        for n, (x, y) in enumerate(corners, start=1)
    ]
    (outline,) = SelectPlan(
        choose="regions", regions=Marks.of(tuple(marks)).region
    ).outlines()
    assert outline.covered_um2(Box(0.0, 0.0, 40.0, 30.0)) == pytest.approx(600.0)


def test_the_doctor_looks_at_the_same_things_in_service(tmp_path):
    with rig(tmp_path) as bench:
        bench.microscope.lasers[561].lit = True
        found = {one.subject: one.state for one in bench.desk.doctor.examine().found}
        assert not bench.microscope.is_lit
    for subject in ("light", "position", "frame size", "presets", "disk", "latch"):
        assert subject in found
    assert found["light"] == "good"


def test_the_doctor_asks_no_device_in_a_run(tmp_path):
    with rig(tmp_path) as bench:
        bench.desk.submit(request(plan=protocol(frames=200)))
        told = {one.subject: one for one in bench.desk.doctor.examine().found}
        bench.finish()
    assert told["devices"].state == "note"
    assert "has them" in told["devices"].detail
    assert "disk" in told
    assert "position" not in told
