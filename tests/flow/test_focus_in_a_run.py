"""A run on a tilted slide: every way to focus, and what if there is no focus."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from focus_trials import Trial, order, trial
from short import short_folder
from stations import request, rig

from her2sr_acq.engine.autofocus import ImageFocus
from her2sr_acq.engine.ground import Guess
from her2sr_acq.engine.states import RunState
from her2sr_acq.plan.select import SelectPlan
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.lines import read_lines

TILTED = {"tilt_x_mrad": 30.0, "tilt_y_mrad": -10.0, "creep_z_nm_per_min": 20.0}
"""A quarter of a micrometre a field of 64 pixels."""
IN_FOCUS_UM = 0.2


@contextmanager
def slide(**stage: object) -> Iterator[Trial]:
    with (
        short_folder() as folder,
        trial(
            folder,
            size=96,
            specimen="high_amplified",
            stage=TILTED | stage,
            sample={"blob_nm": 5.0, "section_um": 0.2, "strays_per_um2": 2.0},
            optics={"chromatic": False},
        ) as lab,
    ):
        yield lab


def events(lab: Trial, run: str, kind: str) -> list[dict]:
    folder = lab.engine.station.data.run(run)
    return [e["data"] for e in map_json(folder.events) if e["kind"] == kind]


def map_json(path: Path) -> list[dict]:
    return [json.loads(line) for line in read_lines(path)]


def test_a_lock_holds_the_focus_over_the_tilt_and_its_hold_is_recorded():
    with slide() as lab:
        view = lab.engine.take(order({"method": "hardware"}, rows=2, columns=3))
        units = list(lab.engine.units(view.id).values())
    assert view.state is RunState.COMPLETED, view.reason
    assert max(map(abs, lab.onlooker.out_um)) < IN_FOCUS_UM
    assert len({unit.focus.held_since_utc for unit in units}) == 1
    assert {unit.focus.method for unit in units} == {"hardware"}
    assert units[2].focus.z_um - units[0].focus.z_um == pytest.approx(0.75, abs=0.1)
    assert lab.focus.absolute == 0


def test_without_a_way_to_focus_a_tilted_field_is_out_of_focus():
    with slide() as lab:
        lab.engine.take(order({"method": "none"}, rows=1, columns=4))
    assert max(map(abs, lab.onlooker.out_um)) > IN_FOCUS_UM
    assert lab.onlooker.pictures == 0


def test_a_few_pictures_find_the_focus_of_every_field_and_their_light_is_in_the_book():
    with slide() as lab:
        view = lab.engine.take(order({"method": "image"}, rows=1, columns=3))
        folder = lab.engine.station.data.run(view.id)
        doses = map_json(folder.dose)
    assert view.state is RunState.COMPLETED, view.reason
    assert max(map(abs, lab.onlooker.out_um)) < IN_FOCUS_UM
    pictures = [d for d in doses if d["purpose"] == "focus"]
    assert len(pictures) == lab.onlooker.pictures == 3 * 10
    assert {d["nm"] for d in pictures} == {561}
    assert sum(d["purpose"] == "burst" for d in doses) == 3


def test_a_map_is_measured_before_the_first_burst_and_holds_for_every_field():
    with slide(creep_z_nm_per_min=0.0) as lab:
        asked = order({"method": "map"}, rows=2, columns=5, frames=20)
        view = lab.engine.take(asked)
        (told,) = events(lab, view.id, "focus map")
        purposes = [
            d["purpose"] for d in map_json(lab.engine.station.data.run(view.id).dose)
        ]
    assert view.state is RunState.COMPLETED, view.reason
    assert np.sqrt(np.mean(np.square(lab.onlooker.out_um))) < IN_FOCUS_UM
    assert told["points"] >= 3  # some fields of this slide show nothing
    assert told["slope_mrad"] == pytest.approx(31.6, abs=6.0)
    assert purposes == sorted(purposes, reverse=True)  # focus, then bursts


@pytest.mark.parametrize("method", ["hardware", "image", "map"])
def test_the_overview_is_taken_at_the_focus_of_every_tile(method):
    """Held at one height, the last of six tiles would be 1.2 um out of focus.

    The first may show nothing to focus on, and then nothing is known yet.
    """
    with slide(creep_z_nm_per_min=0.0) as lab:
        plain = order({"method": method}, rows=1, columns=6, frames=20)
        select = SelectPlan(choose="random", fields=1, areas=1, frames=3)
        body = plain.plan.model_copy(update={"select": select})
        lab.engine.take(request(plan=body))
        looks_um = np.abs(lab.onlooker.out_um)
    assert looks_um.size == 6 + 1
    assert looks_um[1:6].max() < 0.6


def test_a_map_of_points_on_a_line_is_refused_before_any_burst():
    with slide() as lab:
        asked = order({"method": "map", "every": 50}, rows=2, columns=2)
        lab.engine.desk.submit(asked)
        view = lab.engine.until("paused")
        lab.engine.desk.helm.stop(view.id)
        lab.engine.finish()
    assert "measure more with a smaller focus.every" in view.reason
    assert lab.onlooker.out_um == []


def test_behind_a_bubble_a_field_is_skipped_with_its_reason_and_the_rest_is_taken():
    bubble = {"x_um": 0.0, "y_um": 0.0, "radius_um": 5.0}
    with slide(bubbles=[bubble]) as lab:
        view = lab.engine.take(order({"method": "hardware"}, rows=1, columns=3))
        units = lab.engine.units(view.id)
    assert view.state is RunState.COMPLETED_WITH_FAULTS
    assert [u.state for u in units.values()] == ["complete", "skipped", "complete"]
    why = units["r00_c01/561"].reason
    assert "could not be focused: the focus lock found nothing" in why
    assert "reads 'Dim'" in why
    assert max(map(abs, lab.onlooker.out_um)) < IN_FOCUS_UM


def test_pictures_that_contradict_the_fields_before_skip_that_field_alone(
    tmp_path, monkeypatch
):
    seen_um = iter([0.0, 0.1, 0.2, 0.3, 2.4, 0.5])

    def find(self, tile, camera, believe, *, drift):
        z_um = believe(Guess(next(seen_um), 0.03))
        self._focus.move_by(dz_um=z_um - self._focus.position_um())
        return z_um

    monkeypatch.setattr(ImageFocus, "find", find)
    with rig(tmp_path) as engine:
        view = engine.take(order({"method": "image"}, rows=1, columns=6, frames=20))
        units = list(engine.units(view.id).values())
    assert [u.state for u in units] == ["complete"] * 4 + ["skipped", "complete"]
    why = units[4].reason
    assert "its pictures are sharpest at z = 2.40 um, and the fields before" in why
    assert units[5].focus.z_um == pytest.approx(0.5, abs=0.05)


def test_where_the_protocol_says_pause_the_run_waits_and_takes_the_field_after_it():
    bubble = {"x_um": 0.0, "y_um": 0.0, "radius_um": 5.0}
    with slide(bubbles=[bubble]) as lab:
        asked = order({"method": "hardware", "on_failure": "pause"}, rows=1, columns=1)
        lab.engine.desk.submit(asked)
        view = lab.engine.until("paused")
        assert "r00_c00 could not be focused" in view.reason
        assert lab.onlooker.out_um == []
        lab.engine.desk.helm.stop(view.id)
        lab.engine.finish()


def test_a_lock_that_runs_away_is_caught_again_by_steps():
    with slide(lock={"failure_probability": 0.5, "runaway_um": 12.0}) as lab:
        view = lab.engine.take(order({"method": "hardware"}, rows=2, columns=5))
        units = list(lab.engine.units(view.id).values())
        failures = lab.client.state().lock_failures
    assert failures > 0
    assert all(u.state is UnitState.COMPLETE or "focused" in u.reason for u in units)
    assert max(map(abs, lab.onlooker.out_um)) < IN_FOCUS_UM
    assert min(lab.focus.read_um) >= -20.0
    assert max(lab.focus.read_um) <= 20.0
    assert lab.focus.absolute == 0


def test_a_tilt_beyond_the_drive_skips_the_fields_without_light_or_move():
    with (
        short_folder() as folder,
        trial(folder, z_um=(-2.0, 2.0), stage=TILTED | {"tilt_x_mrad": 40.0}) as lab,
    ):
        places = [[2.0 * n, 0.0] for n in range(8)] + [[60.0, 0.0]]
        asked = order({"method": "hardware"}, positions=places, centre="current")
        view = lab.engine.take(asked)
        last = list(lab.engine.units(view.id).values())[-1]
        x_um, _ = lab.engine.station.hardware.stage.position_um()
    assert last.state is UnitState.SKIPPED
    assert "the tilt is too steep; level the slide" in last.reason
    assert x_um == pytest.approx(12.0)


def test_a_lock_that_lets_go_in_a_burst_flags_the_unit_which_stays_whole():
    with slide() as lab:
        armed = []
        start = lab.onlooker.start

        def lose() -> None:
            start()
            if not armed:
                armed.append(True)
                lab.engine.station.hardware.lock.release()

        lab.onlooker.start = lose
        view = lab.engine.take(order({"method": "hardware"}, rows=1, columns=2))
        first, second = lab.engine.units(view.id).values()
    assert first.state is UnitState.COMPLETE
    assert first.focus.lost_at_frame is not None
    assert "the focus was lost by frame" in first.not_scorable
    assert (second.focus.lost_at_frame, second.not_scorable) == (None, "")
    assert second.focus.held_since_utc > first.focus.held_since_utc
