"""A whole run on a fake microscope: what is lit, written, told and asked for."""

import json
from dataclasses import replace

import numpy as np
import pytest
import stations
from fake_microscope import BLACK_ADU
from stations import protocol, request, rig

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.truth import truth_source
from her2sr_proc.offline.verify import broken_links
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store import raw
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines
from her2sr_proc.store.manifest import read_manifest


def test_a_run_keeps_every_frame_and_says_so(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take()
        assert view.state is RunState.COMPLETED, view.reason
        assert (view.frames_done, view.frames_requested) == (160, 160)
        assert (view.units_done, view.units_total, view.current) == (4, 4, "")
        for unit in bench.units(view.id).values():
            assert unit.state is UnitState.COMPLETE
            assert unit.requested == unit.delivered == unit.written == 40


def test_the_frames_on_disk_are_those_of_the_camera(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take()
        folder = bench.station.data.run(view.id)
    key = UnitKey(run=view.id, field="r00_c01", channel="561")
    history = read_ledger(folder.ledger)[key]
    frames = np.concatenate(
        [raw.read_block(folder.raw(key), block) for block in history.blocks.values()]
    )
    np.testing.assert_array_equal(frames[:, 3, 5], BLACK_ADU + np.arange(40))
    assert history.blocks[1].t_s == pytest.approx(0.09 * np.arange(10, 20))


def test_light_is_on_for_every_frame_and_at_no_other_time(tmp_path):
    with rig(tmp_path) as bench:
        bench.take()
        log = bench.microscope.log
        assert all(bench.microscope.lit_at_frame)
    lit = False
    for call in log:
        if call.startswith(("move", "power", "arm", "disarm")):
            assert not lit, f"'{call}' while light is on"
        lit = call.startswith("on ") or (lit and not call.startswith("off "))
    assert not lit


def test_each_burst_is_set_read_back_lit_and_ended_in_order(tmp_path):
    with rig(tmp_path) as bench:
        bench.take(request(plan=protocol(columns=1)))
        log = bench.microscope.log
    first = log.index("power 561 40")
    assert log[first : first + 6] == [
        "power 561 40", "arm 40", "on 561", "start", "off 561", "disarm"
    ]  # fmt: skip


def test_fields_are_taken_in_snake_order_and_channels_in_the_protocols(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take(request(plan=protocol(rows=2, columns=2, frames=10)))
        names = list(bench.units(view.id))
        moves = [call for call in bench.microscope.log if call.startswith("move")]
    assert names == [
        f"{tile}/{channel}"
        for tile in ("r00_c00", "r00_c01", "r01_c01", "r01_c00")
        for channel in ("561", "405")
    ]
    assert moves == [
        "move 8.96 18.96", "move 11.04 18.96", "move 11.04 21.04", "move 8.96 21.04"
    ]  # fmt: skip


def test_only_signal_channels_go_on_the_bus(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take(request(plan=protocol(columns=1)))
        units = bench.units(view.id)
        assert {header.key.channel for header in bench.published} == {"561"}
    assert units["r00_c00/561"].published == 40
    assert units["r00_c00/405"].published == 0


def test_a_bus_that_takes_nothing_costs_nothing_but_its_count(tmp_path):
    with rig(tmp_path, takes_blocks=False) as bench:
        view = bench.take(request(plan=protocol(columns=1)))
        unit = bench.units(view.id)["r00_c00/561"]
    assert view.state is RunState.COMPLETED
    assert (unit.written, unit.published) == (40, 0)


def test_the_localizer_is_asked_for_units_fields_and_the_run_in_order(tmp_path):
    with rig(tmp_path) as bench:
        bench.take(request(plan=protocol(columns=2)))
        assert bench.localizer.verbs == [
            "close_unit", "close_unit", "close_field",
            "close_unit", "close_unit", "close_field", "close_run",
        ]  # fmt: skip


def test_the_manifest_tells_what_was_asked_and_where(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take()
        manifest = read_manifest(bench.station.data.run(view.id))
    assert manifest.plan == protocol().model_dump(mode="json")
    assert [channel.probe for channel in manifest.channels] == ["HER2", "DAPI"]
    assert [(f.name, f.column, f.y_um) for f in manifest.fields] == [
        ("r00_c00", 0, 20.0), ("r00_c01", 1, 20.0)
    ]  # fmt: skip
    assert manifest.simulation is None
    assert manifest.versions["her2sr"]


def test_events_are_chained_and_tell_the_states_and_the_light(tmp_path):
    with rig(tmp_path) as bench:
        view = bench.take(request(plan=protocol(columns=1)))
        lines = read_lines(bench.station.data.run(view.id).events)
    events = [json.loads(line) for line in lines]
    states = [e["data"]["state"] for e in events if e["kind"] == "state"]
    light = [e["data"] for e in events if e["kind"] == "light"]
    assert broken_links(lines) == []
    assert states == ["preparing", "running", "completed"]
    assert [(e["nm"], e["frames"]) for e in light] == [(561, 40), (405, 40)]
    lines[2] = lines[2].replace("preparing", "prepared!")
    assert len(broken_links(lines)) == 1


def test_a_current_centre_is_where_the_stage_stands(tmp_path):
    plan = protocol(columns=1, frames=10)
    with rig(tmp_path) as bench:
        bench.microscope.stage.at = (33.0, -44.0)
        view = bench.take(request(plan=plan, overrides={"grid.centre": "current"}))
        (field,) = bench.desk.fields(view.id)
    assert (field.x_um, field.y_um) == (33.0, -44.0)


def test_a_second_run_takes_the_microscope_after_the_first(tmp_path):
    tokens = iter(["0001", "0002"])
    with rig(tmp_path, token=lambda n: next(tokens)) as bench:
        first = bench.take(request(plan=protocol(columns=1, frames=10)))
        second = bench.take(request(plan=protocol(columns=1, frames=10)))
        assert [view.id for view in bench.desk.runs()] == [second.id, first.id]
    assert second.state is RunState.COMPLETED


def test_the_truth_of_a_simulated_slide_is_carried_along_before_the_answer(tmp_path):
    config = stations.make_config()
    simulator = {"module": "x", "options": {"truth_folder": "truth", "seed": 5}}
    config = type(config).model_validate(config.model_dump() | {"simulator": simulator})
    source = replace(truth_source(config, tmp_path), deadline_s=0.05)
    source.folder.mkdir()
    (source.folder / "nuclei.parquet").write_bytes(b"facts")
    with rig(tmp_path / "data", config=config, truth=source) as bench:
        view = bench.take()
        folder = bench.station.data.run(view.id)
    assert read_manifest(folder).simulation["seed"] == 5
    assert (folder.simulated_truth / "nuclei.parquet").read_bytes() == b"facts"
