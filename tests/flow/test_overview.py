"""A run looks over its tiles first, and takes those that are chosen."""

import json
import time

import pytest
from fake_localizer import FakeLocalizer
from fake_microscope import FakeMicroscope, Faults
from stations import protocol, request, rig

from her2sr_acq.engine.choice_views import SelectionRequest
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.recovery import recover
from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import (
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
)
from her2sr_acq.plan.models import Protocol
from her2sr_acq.verbs.recover import look
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.chain import read_events
from her2sr_proc.store.lines import read_lines
from her2sr_proc.store.manifest import read_manifest

NINE = [f"r{row:02d}_c{column:02d}" for row in range(3) for column in range(3)]
FULL = dict.fromkeys(NINE, (5, 0.2))


def asked(*, rows: int = 3, columns: int = 3, **select):
    """Ten pictures a tile, so that the fake camera's are light enough."""
    data = protocol(rows=rows, columns=columns, frames=10).model_dump(mode="json")
    if select.get("overview", True):
        select["frames"] = 10
    return request(plan=Protocol.model_validate(data | {"select": select}))


def told(engine, view, kind):
    events = read_events(engine.station.data.run(view.id))
    return [event.data for event in events if event.kind == kind]


def doses(engine, run):
    path = engine.station.data.run(run).dose
    return [json.loads(line) for line in read_lines(path)]


def states(engine, run):
    return {name: unit.state for name, unit in engine.units(run).items()}


def taken(engine, run):
    found = states(engine, run)
    return {n.partition("/")[0] for n, s in found.items() if s is UnitState.COMPLETE}


def test_every_tile_is_looked_at_by_561_before_any_burst(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="all"))
        lines = doses(engine, view.id)
    assert view.state is RunState.COMPLETED
    assert [line["purpose"] for line in lines[:9]] == ["overview"] * 9
    assert {line["nm"] for line in lines[:9]} == {561}
    assert {line["purpose"] for line in lines[9:]} == {"burst"}


def test_tiles_without_nuclei_are_skipped_with_the_reason_and_no_fault(tmp_path):
    nuclei = {name: FULL[name] for name in NINE[:4]}
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=nuclei)) as engine:
        view = engine.take(asked(choose="all"))
        units = engine.units(view.id)
        assert view.state is RunState.COMPLETED
        assert taken(engine, view.id) == set(NINE[:4])
    assert units["r02_c02/561"].state is UnitState.SKIPPED
    assert units["r02_c02/561"].reason == "no nucleus in its overview picture"
    assert (view.units_total, view.frames_requested) == (8, 80)


def test_pictures_and_scores_are_in_the_run_folder(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="all"))
        folder = engine.station.data.run(view.id)
        look = engine.desk.choices.look(view.id)
    assert folder.overview_mosaic.exists()
    assert all(folder.overview_image(name).exists() for name in NINE)
    assert look.state == "made"
    assert {tile.nuclei for tile in look.tiles} == {5}
    assert look.tiles[0].picture.endswith("/overview/r00_c00.png")


def test_who_chose_by_which_rule_seed_and_scores_is_recorded(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="random", fields=3, seed=7))
        selection = read_manifest(engine.station.data.run(view.id)).selection
        (event,) = told(engine, view, "fields chosen")
        assert taken(engine, view.id) == set(selection.chosen)
    assert (selection.by, selection.seed, len(selection.chosen)) == ("rule", 7, 3)
    assert selection.areas >= 2
    assert event["scores"]["r00_c00"] == 0.2
    assert "seed 7" in event["rule"]


def test_fields_are_taken_in_the_order_of_the_draw(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="random", fields=5, seed=3))
        selection = read_manifest(engine.station.data.run(view.id)).selection
        bursts = [d["field"] for d in doses(engine, view.id) if d["purpose"] == "burst"]
    assert list(dict.fromkeys(bursts)) == list(selection.chosen)


def test_a_silent_localizer_leaves_the_structure_and_says_so(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=None)) as engine:
        view = engine.take(asked(choose="all", rows=1, columns=2))
        look = engine.desk.choices.look(view.id)
    assert look.scored_by == "structure"
    assert look.fall_back == "no such"
    # even pictures have no structure: nothing to take, and the run says so, dark
    assert view.state is RunState.ABORTED
    assert "none of 2 tiles holds tissue" in view.reason


REGION = {
    "type": "Feature",
    "properties": {"name": "tumour"},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[8.0, 18.0], [9.9, 18.0], [9.9, 19.9], [8.0, 19.9]]],
    },
}


def test_the_tiles_that_a_region_overlaps_are_taken(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="regions", regions=REGION))
        fields = {f.name: f for f in engine.desk.fields(view.id)}
        found = taken(engine, view.id)
    half_um = 16 * engine.station.config.camera.model.pixel_nm / 2000.0
    expected = {
        name
        for name, f in fields.items()
        if 8.0 - half_um < f.x_um < 9.9 + half_um
        and 18.0 - half_um < f.y_um < 19.9 + half_um
    }
    assert found == expected
    assert 1 <= len(found) < 9


@pytest.mark.parametrize(
    ("move_um", "message"),
    [(5000.0, "a corner of tumour would be at x"), (100.0, "overlap no tile")],
)
def test_a_region_beyond_stage_or_grid_is_refused_before_anything_moves(
    tmp_path, move_um, message
):
    ring = [[x + move_um, y] for x, y in REGION["geometry"]["coordinates"][0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    moved = REGION | {"geometry": geometry}
    with rig(tmp_path) as engine:
        with pytest.raises(PlanRejectedError, match=message):
            engine.desk.submit(asked(choose="regions", regions=moved))
        assert engine.desk.runs() == []


def test_an_overview_by_violet_light_is_refused(tmp_path):
    with rig(tmp_path) as engine, pytest.raises(PlanRejectedError, match="405 nm"):
        engine.desk.submit(asked(choose="all", laser_nm=405))


# --- a person


def waiting(engine, asked_for):
    view = engine.desk.submit(asked_for)
    deadline = time.monotonic() + 10.0
    while not engine.desk.run(view.id).awaits:
        assert time.monotonic() < deadline, engine.desk.run(view.id)
        time.sleep(0.005)
    return view.id


def test_a_run_waits_for_a_person_and_takes_what_they_choose(tmp_path):
    wanted = ("r02_c02", "r00_c01")
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        look = engine.desk.choices.look(run)
        assert (look.state, look.until_utc is None) == ("open", False)
        assert not [d for d in doses(engine, run) if d["purpose"] == "burst"]
        engine.desk.choices.choose(run, SelectionRequest(fields=wanted, by="op-2"))
        view = engine.finish()
        selection = read_manifest(engine.station.data.run(run)).selection
        assert taken(engine, run) == set(wanted)
    assert view.state is RunState.COMPLETED
    assert view.awaits == ""
    assert (selection.by, selection.chosen) == ("op-2", wanted)
    assert selection.skipped["r01_c01"] == "not chosen by op-2"


def test_recover_tells_that_a_run_waits_for_a_choice_until_it_is_made(tmp_path):
    def told_by_recover(engine):
        return [f for f in look(engine.station.data.root) if "selection" in f.found]

    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        (found,) = told_by_recover(engine)
        choice = SelectionRequest(fields=("r00_c01",), by="op-2")
        engine.desk.choices.choose(run, choice)
        engine.finish()
        after = told_by_recover(engine)
    assert found.subject == run
    assert "no fields are chosen (awaits: selection)" in found.found
    assert "the overview is not taken again" in found.act
    assert after == []


def test_nobody_choosing_ends_the_run_in_the_dark_with_the_cure(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        view = engine.take(asked(choose="person", wait_min=0.005))
        bursts = [d for d in doses(engine, view.id) if d["purpose"] == "burst"]
        assert engine.desk.choices.look(view.id).state == "ended"
        late = SelectionRequest(fields=("r00_c00",), by="op-2")
        with pytest.raises(RunConflictError, match=r"closed at 20.* nobody had chosen"):
            engine.desk.choices.choose(view.id, late)
        assert not any(laser.is_on() for laser in engine.microscope.lasers.values())
    assert view.state is RunState.ABORTED
    assert "nobody chose fields within 0.005 min" in view.reason
    assert bursts == []


def test_a_choice_that_nobody_waits_for_or_of_no_field_is_refused(tmp_path):
    one = SelectionRequest(fields=("r00_c00",), by="op-2")
    strange = SelectionRequest(fields=("r09_c09",), by="op-2")
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        with pytest.raises(RunNotFoundError, match="no field 'r09_c09'"):
            engine.desk.choices.choose(run, strange)
        engine.desk.choices.choose(run, one)
        engine.finish()
        with pytest.raises(
            RunConflictError, match=r"closed at 20.*Z: op-2 chose r00_c00;"
        ):
            engine.desk.choices.choose(run, one)


def test_the_rule_suggests_fields_and_taking_them_is_recorded_as_such(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person", fields=3, seed=7))
        look = engine.desk.choices.look(run)
        assert (look.most, len(look.suggested)) == (3, 3)
        choice = SelectionRequest(fields=look.suggested, by="op-2")
        engine.desk.choices.choose(run, choice)
        engine.finish()
        selection = read_manifest(engine.station.data.run(run)).selection
        drawn = engine.take(asked(choose="random", fields=3, seed=7))
        rule = read_manifest(engine.station.data.run(drawn.id)).selection
    assert selection.chosen == look.suggested == rule.chosen
    assert selection.by == "op-2"
    assert "as suggested: 3 fields drawn at random with seed 7" in selection.rule


def test_more_fields_than_may_be_chosen_are_refused_and_the_run_waits_on(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person", fields=2))
        many = SelectionRequest(fields=tuple(NINE[:3]), by="op-2")
        with pytest.raises(PlanRejectedError, match="at most 2 may be"):
            engine.desk.choices.choose(run, many)
        assert engine.desk.choices.look(run).state == "open"
        engine.desk.helm.stop(run)
        engine.finish()


def test_a_waiting_run_can_be_stopped(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        engine.desk.helm.stop(run)
        view = engine.finish()
    assert view.state is RunState.ABORTED
    assert "stopped on request" in view.reason


def test_a_waiting_run_can_be_paused_and_waits_again_after_it(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        engine.desk.helm.pause(run)
        paused = engine.until("paused")
        assert paused.awaits == ""
        engine.desk.helm.resume(run)
        engine.until("running")
        choice = SelectionRequest(fields=("r00_c00",), by="op-2")
        deadline = time.monotonic() + 10.0
        while not engine.desk.run(run).awaits and time.monotonic() < deadline:
            time.sleep(0.005)
        engine.desk.choices.choose(run, choice)
        assert engine.finish().state is RunState.COMPLETED
        overviews = [d for d in doses(engine, run) if d["purpose"] == "overview"]
    assert len(overviews) == 9


@pytest.mark.parametrize("change", [{"fields": ("r00_c00", "r00_c00")}, {"by": "A B"}])
def test_a_choice_names_every_field_once_and_a_pseudonym(change):
    with pytest.raises(ValueError, match=r"named twice|no pseudonym"):
        SelectionRequest.model_validate({"fields": ("r00_c00",), "by": "op"} | change)


# --- after a crash


class Chatty(FakeLocalizer):
    """Calls somebody when a tile is asked about for the first time."""

    def __init__(self, call, at: str, **more) -> None:
        super().__init__(**more)
        self.call, self.at = call, at

    def _overview(self, name):
        if name == self.at:
            self.at = ""
            self.call()
        return super()._overview(name)


def resumed(tmp_path, run):
    """Take up a run as the next process does."""
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        recover(engine.station.database, engine.station.data, Clock())
        assert engine.desk.run(run).state is RunState.INTERRUPTED
        engine.desk.helm.resume(run)
        view = engine.finish()
        return view, doses(engine, run), taken(engine, run)


def test_a_run_left_in_its_overview_lights_no_tile_a_second_time(tmp_path):
    localizer = Chatty(lambda: engine.desk.helm.abandon(), "r01_c01", nuclei=FULL)
    with rig(tmp_path, localizer=localizer) as engine:
        run = engine.desk.submit(asked(choose="random", fields=2)).id
        engine.worker.ask(lambda: None, timeout_s=10.0)
        before = doses(engine, run)
    view, lines, fields = resumed(tmp_path, run)
    looked = [line["field"] for line in lines if line["purpose"] == "overview"]
    assert 0 < len(before) < 9
    assert sorted(looked) == NINE
    assert view.state is RunState.COMPLETED
    assert len(fields) == 2


def test_a_run_left_after_its_choice_keeps_it(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        engine.microscope.camera.on_frame = lambda _: engine.desk.helm.abandon()
        wanted = SelectionRequest(fields=("r02_c02", "r00_c00"), by="op-2")
        engine.desk.choices.choose(run, wanted)
        engine.worker.ask(lambda: None, timeout_s=10.0)
        chosen = read_manifest(engine.station.data.run(run)).selection
    _, lines, fields = resumed(tmp_path, run)
    assert chosen.chosen == ("r02_c02", "r00_c00")
    assert fields <= {"r02_c02", "r00_c00"}
    assert "r00_c00" in fields
    assert len([d for d in lines if d["purpose"] == "overview"]) == 9


def test_a_run_left_waiting_waits_again(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        engine.desk.helm.abandon()
        engine.worker.ask(lambda: None, timeout_s=10.0)
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        recover(engine.station.database, engine.station.data, Clock())
        engine.desk.helm.resume(run)
        deadline = time.monotonic() + 10.0
        while not engine.desk.run(run).awaits and time.monotonic() < deadline:
            time.sleep(0.005)
        assert engine.desk.choices.look(run).state == "open"
        engine.desk.choices.choose(
            run, SelectionRequest(fields=("r01_c01",), by="op-2")
        )
        assert engine.finish().state is RunState.COMPLETED
        assert taken(engine, run) == {"r01_c01"}


def test_a_choice_for_a_run_that_was_left_waiting_is_told_to_resume_it(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        run = waiting(engine, asked(choose="person"))
        engine.desk.helm.abandon()
        engine.worker.ask(lambda: None, timeout_s=10.0)
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=FULL)) as engine:
        recover(engine.station.database, engine.station.data, Clock())
        early = SelectionRequest(fields=("r01_c01",), by="op-2")
        with pytest.raises(RunConflictError, match=r"interrupted .* resume it first"):
            engine.desk.choices.choose(run, early)


def test_a_field_left_out_can_be_taken_deliberately(tmp_path):
    nuclei = {name: FULL[name] for name in NINE[:4]}
    with rig(tmp_path, localizer=FakeLocalizer(nuclei=nuclei)) as engine:
        view = engine.take(asked(choose="all"))
        engine.desk.helm.retake(view.id, "r02_c02", None)
        engine.desk.start_due()
        engine.finish()
        found = [f for f in engine.desk.fields(view.id) if f.name == "r02_c02"]
    attempts = [(u.attempt, u.state) for u in found[0].units if u.channel == "561"]
    assert attempts == [(1, UnitState.SKIPPED), (2, UnitState.COMPLETE)]


def test_a_field_that_is_not_reached_is_kept_as_if_it_held_tissue(tmp_path):
    faults = Faults(stage_raises_at_move=2, stage_raises_times=3)
    microscope = FakeMicroscope(faults=faults)
    with rig(
        tmp_path, microscope=microscope, localizer=FakeLocalizer(nuclei=FULL)
    ) as engine:
        view = engine.take(asked(choose="all", rows=1, columns=3))
        look = engine.desk.choices.look(view.id)
        assert taken(engine, view.id) == set(NINE[:3])
    assert [tile.seen for tile in look.tiles] == [True, False, True]
    assert "was not reached" in look.tiles[1].why
