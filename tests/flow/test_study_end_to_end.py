"""A tiny study as a person starts it: two sections, one daemon, one page; again."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import cluster

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
def test_every_sample_is_acquired_in_its_own_section_and_marked(done):
    out, ended = done
    assert json.loads(ended.stdout)["samples"] == told(out)["samples"]
    assert "125.0 times faster" in ended.stderr
    assert ended.stderr.count("starting the processes") == 1
    places = {s["name"]: (s["x_um"], s["y_um"]) for s in told(out)["plan"]["samples"]}
    for row in told(out)["samples"]:
        assert row["fault"] == ""
        run = out / "data" / "runs" / row["run"]
        manifest = json.loads((run / "manifest.json").read_text())
        (field,) = manifest["fields"]
        assert (field["x_um"], field["y_um"]) == places[row["sample"]]
        case = (run / "review" / "case.jsonl").read_text()
        assert '"by":"simulated-pathologist"' in case
        lines = (run / "results" / "counts.csv").read_text().splitlines()
        nuclei = list(csv.DictReader(lines))
        assert {n["region"] for n in nuclei} & {"invasive", "other"}
        scored = [
            n for n in nuclei if (n["region"], n["excluded"]) == ("invasive", "false")
        ]
        assert int(row["sr_nuclei"]) == len(scored)
    assert {row["kind"] for row in told(out)["samples"]} == {"normal", "clustered"}


@pytest.mark.slow
def test_going_on_acquires_nothing(done):
    out, _ = done
    before = told(out)
    runs = sorted((out / "data" / "runs").iterdir())
    again = study(out)
    assert "nothing is left to acquire" in again.stderr
    assert sorted((out / "data" / "runs").iterdir()) == runs
    assert told(out) == before
    page = (out / "study.html").read_text()
    assert "For research use only" in page
    assert (out / "statistics" / "table3.csv").exists()


@pytest.mark.slow
def test_a_cluster_counts_the_study_anew_and_finds_the_same(done, tmp_path):
    out, _ = done
    before = told(out)
    counts = {p: p.read_bytes() for p in out.rglob("counts.csv")}
    for path in (*counts, *out.rglob("results/fields/*.json")):
        path.unlink()
    with cluster(tmp_path, workers=1) as made:
        address = made.address.replace("tcp", "dask")
        again = study(out, "--recount", "--scheduler", address)
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stderr.count("counted anew") == len(before["samples"])
    assert {p: p.read_bytes() for p in out.rglob("counts.csv")} == counts
    assert told(out)["samples"] == before["samples"]
