"""Tile plans go to useq and come back; what a protocol cannot say is refused."""

import json

import pytest
import yaml
from useq import MDASequence

from her2sr_acq.cli import main
from her2sr_acq.plan import load
from her2sr_acq.plan.models import Protocol


def told(capsys, *arguments) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out + err


@pytest.fixture
def protocol(tmp_path):
    """A protocol of two rows about a place, with an offset of one colour."""
    data = load.packaged("demo").model_dump(mode="json")
    data["grid"] = {"rows": 2, "columns": 3, "overlap_percent": 10, "centre": [50, 20]}
    data["channels"][1]["z_offset_um"] = 0.3
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_plan_that_went_out_and_came_back_is_the_same(
    capsys, tmp_path, protocol, suffix
):
    there, back = tmp_path / f"there.{suffix}", tmp_path / "back.yaml"
    where = ("--config", "simulated")
    assert told(capsys, "plan", "export", protocol, "--out", there, *where)[0] == 0
    assert told(capsys, "plan", "import", there, "--out", back)[0] == 0
    assert load.find(str(back)) == load.find(str(protocol))


def test_useq_itself_goes_where_our_stage_goes(capsys, tmp_path, protocol):
    out = tmp_path / "there.yaml"
    told(capsys, "plan", "export", protocol, "--out", out, "--config", "simulated")
    events = list(MDASequence.from_file(out))
    plan = load.find(str(protocol))
    assert len(events) == 6 * len(plan.channels)
    names = [event.pos_name for event in events[:: len(plan.channels)]]
    assert names[2:4] == ["r00_c02", "r01_c02"]
    xs = [event.x_pos for event in events]
    assert (min(xs) + max(xs)) / 2 == pytest.approx(50.0)
    assert [e.channel.config for e in events[:3]] == [c.name for c in plan.channels]
    assert events[1].exposure == plan.channels[1].exposure_ms


def test_places_that_were_moved_on_the_way_are_the_fields(capsys, tmp_path, protocol):
    there, back = tmp_path / "there.json", tmp_path / "back.yaml"
    told(capsys, "plan", "export", protocol, "--out", there, "--config", "simulated")
    data = json.loads(there.read_text())
    data["stage_positions"] = [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]
    data["channels"].reverse()
    there.write_text(json.dumps(data))
    assert told(capsys, "plan", "import", there, "--out", back)[0] == 0
    found = load.find(str(back))
    assert found.grid.positions == ((1.0, 2.0), (3.0, 4.0))
    before = load.find(str(protocol))
    assert found.channels == tuple(reversed(before.channels))


def test_a_grid_of_another_program_is_laid_out(capsys, tmp_path):
    source, back = tmp_path / "grid.yaml", tmp_path / "back.yaml"
    grid = {"rows": 2, "columns": 2, "fov_width": 10, "fov_height": 10}
    sequence = MDASequence.model_validate(
        {"stage_positions": [{"x": 100, "y": 0}], "grid_plan": grid}
    )
    source.write_text(sequence.yaml())
    code, said = told(capsys, "plan", "import", source, "--onto", "demo", "--out", back)
    assert (code, "4 fields" in said) == (0, True)
    expected = {(95.0, 5.0), (105.0, 5.0), (95.0, -5.0), (105.0, -5.0)}
    assert set(load.find(str(back)).grid.positions) == expected


BAD = [
    pytest.param({"z_plan": {"range": 2, "step": 1}}, "z_plan", id="stack"),
    pytest.param({"time_plan": {"interval": 1, "loops": 3}}, "time_plan", id="loops"),
    pytest.param({"channels": ["Cy5"]}, "name them alike", id="unknown colour"),
    pytest.param({"stage_positions": []}, "stage position", id="no place"),
    pytest.param({"stage_positions": [{"z": 1}]}, "no place of its own", id="z alone"),
    pytest.param({"stage_positions": 7}, "no useq sequence", id="no list"),
    pytest.param({"channels": [{"config": "561", "exposure": 1e9}]}, "561", id="long"),
]


@pytest.mark.parametrize(("change", "word"), BAD)
def test_what_no_protocol_can_say_is_refused_in_one_sentence(
    capsys, tmp_path, change, word
):
    source, out = tmp_path / "s.json", tmp_path / "out.yaml"
    source.write_text(json.dumps({"stage_positions": [{"x": 0, "y": 0}]} | change))
    code, said = told(capsys, "plan", "import", source, "--onto", "demo", "--out", out)
    assert (code, said.count("\n")) == (2, 1), said
    assert word in said or "exposure" in said
    assert not out.exists()


def test_a_sequence_without_a_protocol_asks_for_one(capsys, tmp_path):
    source = tmp_path / "s.yaml"
    source.write_text("stage_positions: [{x: 0, y: 0}]\n")
    code, said = told(capsys, "plan", "import", source, "--out", tmp_path / "o.yaml")
    assert (code, "--onto" in said) == (2, True)


@pytest.mark.parametrize("text", ["", "[1]", "{", "a: !!python/object:os.x {}"])
def test_what_is_no_sequence_is_refused(capsys, tmp_path, text):
    source = tmp_path / "s.yaml"
    source.write_text(text)
    code, said = told(capsys, "plan", "import", source, "--out", tmp_path / "o.yaml")
    assert (code, said.startswith("error: ")) == (2, True)
    assert not (tmp_path / "o.yaml").exists()


MISSING = [
    pytest.param([], "--centre", id="where"),
    pytest.param(["--centre", "1,2"], "--config", id="how large"),
    pytest.param(["--centre", "one"], "X,Y", id="no numbers"),
    pytest.param(["--centre", "nan,1"], "no place", id="nowhere"),
    pytest.param(["--centre", "1,2", "--config", "no"], "simulated", id="no scope"),
]


@pytest.mark.parametrize(("more", "word"), MISSING)
def test_what_an_export_needs_is_asked_for(capsys, tmp_path, more, word):
    out = tmp_path / "o.yaml"
    code, said = told(capsys, "plan", "export", "demo", "--out", out, *more)
    assert (code, word in said, out.exists()) == (2, True, False), said


def test_a_plan_of_places_needs_no_microscope(capsys, tmp_path):
    data = load.packaged("demo").model_dump(mode="json")
    data["grid"] = {"positions": [[1, 2], [3, 4]]}
    path, out = tmp_path / "p.yaml", tmp_path / "o.json"
    path.write_text(yaml.safe_dump(data))
    assert told(capsys, "plan", "export", path, "--out", out)[0] == 0
    held = json.loads(out.read_text())["metadata"]["her2sr"]
    assert Protocol.model_validate(held["protocol"]) == load.find(str(path))
    assert "research use only" in held["banner"]
