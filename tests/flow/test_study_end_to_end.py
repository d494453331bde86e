"""A tiny study as a person starts it: two sections, one daemon, one page; then again."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

HER2SR = Path(sys.executable).with_name("her2sr")
TINY = ["--samples", "2", "--seed", "31", "--fields", "1x1", "--size", "128"]
SHORT = ["--frames", "40", "--nuclei-frames", "20"]


def study(out, *more):
    return subprocess.run(
        [HER2SR, "study", "--out", out, *TINY, *SHORT, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    ended = study(out, "--json")
    assert ended.returncode == 0, ended.stderr[-3000:]
    return out, ended


def told(out):
    return json.loads((out / "study.json").read_text())


@pytest.mark.slow
def test_every_sample_is_acquired_marked_and_held_against_its_own_truth(done):
    out, ended = done
    assert json.loads(ended.stdout)["samples"] == told(out)["samples"]
    assert "125.0 times faster" in ended.stderr
    assert "starting the processes" in ended.stderr
    assert ended.stderr.count("starting the processes") == 1
    for row in told(out)["samples"]:
        assert row["fault"] == ""
        run = out / "data" / "runs" / row["run"]
        case = (run / "review" / "case.jsonl").read_text()
        assert '"by":"simulated-pathologist"' in case
        nuclei = list(csv.DictReader((run / "results" / "counts.csv").open()))
        kept = [n for n in nuclei if n["excluded"] == "false"]
        tumour = [n for n in kept if n["region"] == "invasive"]
        assert row["copies_nuclei"] == row["sr_nuclei"] == len(tumour)
    kinds = {row["kind"] for row in told(out)["samples"]}
    assert kinds == {"normal", "clustered"}


@pytest.mark.slow
def test_amplification_shows_in_its_own_section_alone(done):
    rows = {row["kind"]: row for row in told(done[0])["samples"]}
    clustered, normal = (
        float(rows[kind]["copies_her2_per_nucleus"]) for kind in ("clustered", "normal")
    )
    assert normal <= 2.0 < clustered


@pytest.mark.slow
def test_going_on_acquires_nothing_and_counting_anew_gives_the_same(done):
    out, _ = done
    before = told(out)
    runs = sorted((out / "data" / "runs").iterdir())
    again = study(out, "--recount")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("counted anew") == 2
    assert told(out) == before
    again = study(out)
    assert "every sample was acquired before" in again.stderr
    assert sorted((out / "data" / "runs").iterdir()) == runs
    page = (out / "study.html").read_text()
    assert "For research use only" in page
    assert "statistics/statistics.html" in page
    assert (out / "statistics" / "table3.csv").exists()
