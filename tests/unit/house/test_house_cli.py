"""The one command: quick to help, and every error one line with its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from her2sr_acq.cli import build, main
from her2sr_acq.config import resolve

README = (Path(__file__).parents[3] / "README.md").read_text()
VERBS = (
    *("demo", "serve", "run", "doctor", "recover", "estop", "rearm"),
    *("localize", "render", "process", "verify", "offload"),
    *("filter", "link", "drift", "resolution", "bench", "score", "statistics"),
    *("nuclei", "ensemble", "background", "frames", "threshold"),
    *("import", "compare", "denoise", "users", "dark", "backup", "restore", "plan"),
)
HEAVY = {"numpy", "zmq", "fastapi", "pydantic", "httpx", "numba", "scipy", "yaml"}
HEAVY |= {"matplotlib"}
PROBE = """
import json, os, sys
from her2sr_acq.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
times = os.times()
print(json.dumps({"modules": sorted(sys.modules), "cpu_s": times.user + times.system}))
"""


def told(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def refused(capsys, *arguments: str) -> str:
    """Return the one line of a refusal, after checking that it is one."""
    code, out, err = told(capsys, *arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", err), err
    return err


def probe() -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy_and_takes_under_half_a_second():
    best = min((probe() for _ in range(3)), key=lambda p: p["cpu_s"])
    assert HEAVY & set(best["modules"]) == set()
    assert best["cpu_s"] < 0.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(capsys, verb):
    code, out, _ = told(capsys, verb, "--help")
    assert code == 0
    assert f"her2sr {verb} " in out.split("Example", 1)[1]


def test_demo_and_study_say_the_same_of_what_both_ask():
    verbs = get_command(build()).commands
    demo, study = ({o.name: o for o in verbs[v].params} for v in ("demo", "study"))
    for name in ("size", "frames", "nuclei_frames"):
        one, other = demo[name], study[name]
        assert (one.opts, one.help) == (other.opts, other.help)
        assert (one.min, one.max) == (other.min, other.max)


def test_every_verb_of_the_readme_exists(capsys):
    _, out, _ = told(capsys, "--help")
    named = set(re.findall(r"^    her2sr ([a-z]+)", README, re.MULTILINE))
    listed = set(re.findall(r"^  ([a-z]+) ", out, re.MULTILINE))
    assert named
    assert named <= listed


def test_an_unknown_protocol_lists_the_known_ones(capsys, tmp_path):
    line = refused(
        capsys, "run", "nosuch", "--config", "simulated", "--data", str(tmp_path)
    )
    assert "her2_fish_peg2024" in line
    assert not any(tmp_path.iterdir())


def test_an_unknown_configuration_lists_the_known_ones(capsys, tmp_path):
    line = refused(capsys, "run", "demo", "--config", "no", "--data", str(tmp_path))
    assert "simulated" in line


def test_a_missing_key_of_the_configuration_is_named(capsys, tmp_path):
    config = yaml.safe_load(resolve("simulated").read_text())
    del config["camera"]["label"]
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(config))
    data = tmp_path / "data"
    for verb in (["serve"], ["run", "demo"]):
        line = refused(capsys, *verb, "--config", str(path), "--data", str(data))
        assert "'camera.label': Field required" in line
    assert not data.exists()


IMPOSSIBLE = [
    pytest.param("grid.rows=0", "grid.rows", id="no row"),
    pytest.param("grid.columns=1000", "grid.columns", id="too many columns"),
    pytest.param("grid.centre=[9e9, 0]", "fewer rows and columns", id="off the stage"),
    pytest.param("channels.561.power_percent=101", "power_percent", id="over 100 %"),
    pytest.param("channels.561.laser_nm=640", "640 nm", id="no such laser"),
    pytest.param("channels.561.frames=900000", "lower frames", id="an hour of light"),
    pytest.param("channels.700.frames=1", "no key", id="no such channel"),
    pytest.param("nonsense", "key=value", id="no override"),
]


@pytest.mark.parametrize(("override", "word"), IMPOSSIBLE)
def test_an_impossible_plan_is_refused_before_anything_starts(
    capsys, tmp_path, override, word
):
    where = ["--config", "simulated", "--data", str(tmp_path / "data")]
    assert word in refused(capsys, "run", "demo", *where, "--set", override)
    assert not (tmp_path / "data").exists()


def test_a_laser_over_its_limit_is_refused_with_the_limit(capsys, tmp_path):
    config = yaml.safe_load(resolve("simulated").read_text())
    for laser in config["lasers"]:
        laser["limit_mw"] = laser["rated_mw"] * 0.25
    path = tmp_path / "weak.yaml"
    path.write_text(yaml.safe_dump(config))
    where = ["--config", str(path), "--data", str(tmp_path / "data")]
    assert "whose limit is 25 %" in refused(capsys, "run", "demo", *where)


def test_a_sample_with_a_persons_name_is_refused(capsys, tmp_path):
    where = ["--config", "simulated", "--data", str(tmp_path)]
    assert "pseudonym" in refused(capsys, "run", "demo", *where, "--sample", "Jane Doe")


@pytest.mark.parametrize("verb", [["serve"], ["run", "demo"]])
def test_a_file_is_no_data_folder(capsys, tmp_path, verb):
    file = tmp_path / "file"
    file.touch()
    line = refused(capsys, *verb, "--config", "simulated", "--data", str(file / "d"))
    assert "choose another data folder" in line


def test_an_address_that_others_reach_is_refused(capsys, tmp_path):
    where = ["--config", "simulated", "--data", str(tmp_path / "data")]
    line = refused(capsys, "serve", *where, "--host", "0.0.0.0")
    assert "no authentication" in line
    assert not (tmp_path / "data").exists()


WRONG = [
    pytest.param(["demo", "--fields", "two"], "such as 2x2", id="no grid"),
    pytest.param(["demo", "--frames", "1"], "40", id="too few frames"),
    pytest.param(["demo", "--seed", "9" * 20], "--seed", id="too large a seed"),
    pytest.param(["demo", "--colour"], "--colour", id="unknown option"),
    pytest.param(["nosuch"], "nosuch", id="unknown verb"),
    pytest.param(["run", "demo"], "--config", id="missing option"),
    pytest.param(["verify", "nowhere"], "nowhere", id="no run folder"),
]


@pytest.mark.parametrize(("arguments", "word"), WRONG)
def test_a_wrong_command_line_is_one_sentence(
    capsys, tmp_path, monkeypatch, arguments, word
):
    monkeypatch.chdir(tmp_path)
    assert word in refused(capsys, *arguments)
    assert os.listdir() == []
