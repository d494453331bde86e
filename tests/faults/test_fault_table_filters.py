"""Row 7 of the fault table, its filter wheel: no frame under a wrong filter's name.

Light is timed by an onlooker in the microscope's own process, which also knows which
filter truly stands before the camera.
"""

from __future__ import annotations

import time

import pytest
from microscopes import opened, simulated_here
from onlookers import laboratory, plan
from short import short_folder
from stations import rig

from her2sr_acq.config import load
from her2sr_acq.service import phrases
from her2sr_proc.schema.ledger import UnitRecord
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest
from simulators.faults.options import FaultOptions

FRAMES = 60
"""Three blocks of twenty."""
FILTERS = {"561": "600/52", "488": "525/50"}
ABSENT = "the filter of 561 "
FAILS = [
    pytest.param({"kind": "raises"}, "failed at 'set state'", id="raises"),
    pytest.param({"kind": "stuck"}, "still turning after 0.3 s", id="times out"),
    pytest.param({"kind": "lost"}, "and reads 'open'", id="does not turn"),
    pytest.param(
        {"kind": "lies", "operation": "state", "value": 2.0},
        "and reads '525/50'",
        id="lies",
    ),
    pytest.param(
        {"kind": "lies", "operation": "state", "value": -1.0},
        "stands between two positions",
        id="between two positions",
    ),
]


@pytest.fixture(scope="module")
def lab():
    with short_folder() as folder, laboratory(folder, time_scale=20.0) as lab:
        yield lab


@pytest.fixture(autouse=True)
def _opened_wheel(lab):
    """Let no filter be right by chance."""
    lab.hardware.wheel.turn_to("open")


def records(engine, run: str) -> dict[str, UnitRecord]:
    histories = read_ledger(engine.station.data.run(run).ledger).values()
    return {h.key.channel: h.verdict for h in histories}


@pytest.mark.parametrize(("fault", "cause"), FAILS)
def test_row_07_a_wheel_that_fails_holds_the_run_before_anything_is_lit(
    lab, tmp_path, fault, cause
):
    with lab.engine(tmp_path) as engine:
        lab.inject("wheel", **fault)
        engine.desk.submit(plan(frames=FRAMES))
        view = engine.until("paused")
        first, second = engine.units(view.id).values()
        assert (lab.bursts(), lab.was_lit()) == (0, False)
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert view.reason.startswith(ABSENT)
    assert "; nothing was lit: " in view.reason
    assert ("timeout_s" in view.reason) == (fault["kind"] == "stuck")
    assert cause in view.reason
    assert "フィルター" in phrases.say("ja", view.reason)
    assert (first.state, first.delivered, first.emission_filter) == ("failed", 0, "")
    assert first.reason.startswith(view.reason)
    in_japanese = phrases.say("ja", f"r00_c00/561: {first.reason}")
    assert in_japanese.endswith(f"{FRAMES} 枚中 0 枚を保存")
    assert "resume" not in in_japanese
    assert second.state == "planned"


def test_row_07_a_mended_wheel_goes_on_with_the_next_burst_and_its_own_filter(
    lab, tmp_path
):
    with lab.engine(tmp_path) as engine:
        lab.inject("wheel", "stuck")
        engine.desk.submit(plan(frames=FRAMES))
        run = engine.until("paused").id
        lab.bench.client.heal()
        engine.desk.helm.resume(run)
        view = engine.until("completed_with_faults")
        found = records(engine, run)
        assert lab.bursts() == 1
    assert found["488"].state == "complete"
    assert found["488"].emission_filter == FILTERS["488"]
    assert "1 of 2 units are not complete" in view.reason


def test_row_07_a_wheel_that_fails_once_is_asked_once_more(lab, tmp_path):
    with lab.engine(tmp_path) as engine:
        lab.inject("wheel", "raises", count=1)
        view = engine.take(plan(frames=FRAMES))
        found = records(engine, view.id)
        manifest = read_manifest(engine.station.data.run(view.id))
    assert view.state == "completed"
    assert {name: r.emission_filter for name, r in found.items()} == FILTERS
    assert {c.name: c.emission_filter for c in manifest.channels} == FILTERS


TOUCHED = [
    pytest.param(2.0, "reads '525/50' after it", id="another filter"),
    pytest.param(2.5, "stands between two positions after it", id="between two"),
]


@pytest.mark.parametrize(("place", "told"), TOUCHED)
def test_row_07_a_wheel_that_moves_in_a_burst_leaves_it_whole_and_unscored(
    lab, tmp_path, place, told
):
    def touch() -> None:
        while lab.camera.handed < FRAMES // 2:
            time.sleep(0.001)
        lab.bench.client.turn_wheel(place)

    with lab.engine(tmp_path) as engine:
        engine.desk.submit(plan(frames=FRAMES, lines=1))
        touch()
        view = engine.until("paused")
        found = records(engine, view.id)["561"]
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert told in view.reason
    assert (found.written, found.emission_filter) == (FRAMES, FILTERS["561"])
    assert found.not_scorable == view.reason
    assert "フィルター" in phrases.say("ja", found.not_scorable)


def test_row_07_a_wheel_that_lies_as_it_is_asked_to_shows_in_dark_pictures(tmp_path):
    with (
        short_folder() as folder,
        simulated_here(folder, noise="fast", time_scale=20.0) as bench,
        opened(bench.config, folder) as hardware,
    ):
        hardware.wheel.turn_to("447/60")
        for fault in (
            {"kind": "lost"},
            {"kind": "lies", "operation": "state", "value": 3.0},
        ):
            bench.client.inject(FaultOptions(device="wheel", **fault))
        with rig(tmp_path, microscope=hardware, config=load(bench.config)) as engine:
            view = engine.take(plan(frames=20, lines=1))
            found = records(engine, view.id)["561"]
        assert bench.client.state().wheel == 1
    assert found.emission_filter == FILTERS["561"]  # as it was read
    assert "check laser, gate and filters" in found.not_scorable
