"""`her2sr ensemble`: one sentence about a burst, and a table that says it of rows."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.tables import read_parquet, write_parquet

HER2SR = Path(sys.executable).with_name("her2sr")
FRAMES, END, DYE = 1000, 500, 350.0


@pytest.fixture(scope="module")
def fading(tmp_path_factory):
    """Thirty loci; one lit dye becomes the rule half way through the burst."""
    rng = np.random.default_rng(4)
    mean = 1.2564 * np.exp((END - np.arange(FRAMES)) / 200.0)
    starts = rng.poisson(mean / 3, (30, FRAMES))
    lit = sum(np.pad(starts, ((0, 0), (n, 0)))[:, :FRAMES] for n in range(3))
    locus, frame = np.nonzero(lit)
    order = np.argsort(frame, kind="stable")
    locus, frame = locus[order], frame[order]
    places = rng.uniform(3000, 30_000, (2, 30))
    values = {
        "frame": frame,
        "x_nm": places[0, locus] + rng.normal(0, 60, locus.size),
        "y_nm": places[1, locus] + rng.normal(0, 60, locus.size),
        "sigma_nm": np.full(locus.size, 90.0),
        "photons": DYE * lit[locus, frame],
        **{f"uncertainty{axis}_nm": np.full(locus.size, 12.0) for axis in ("", "_x")},
        "uncertainty_y_nm": np.full(locus.size, 12.0),
    }
    blank = np.zeros(locus.size)
    columns = {c.name: values.get(c.name, blank).astype(c.dtype) for c in COLUMNS}
    path = tmp_path_factory.mktemp("ensemble") / "locs.parquet"
    write_parquet(path, Localizations(columns), {})
    return path


def run(*words):
    return subprocess.run(
        [HER2SR, "ensemble", *map(str, words)],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def test_the_end_is_told_with_its_interval_and_rows_are_marked(fading):
    out = fading.with_name("marked.parquet")
    ended = run(fading, "--out", out, "--frames", FRAMES, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["end"] == pytest.approx(END, abs=80)
    assert told["low"] < told["end"]
    table, _ = read_parquet(out)
    early, late = table["frame"] < told["low"], table["frame"] > (told["high"] or 1e9)
    assert (table["centroid"][early] == 1).all()
    assert (table["centroid"][late] == 0).all()
    assert table["uncertainty_nm"][early] == pytest.approx(np.hypot(12, 85), rel=1e-4)
    assert table["uncertainty_nm"][late] == pytest.approx(12)


def test_one_sentence_for_people(fading):
    ended = run(fading)
    assert "the ensemble phase ends at frame" in ended.stdout
    assert "research use" in ended.stderr


def test_a_burst_without_an_end_says_so(fading, tmp_path):
    table, _ = read_parquet(fading)
    crowded = tmp_path / "crowded.parquet"
    write_parquet(crowded, table.take(table["frame"] < 150), {})
    ended = run(crowded)
    assert ended.returncode == 0
    assert "no end of the ensemble phase in 150 frames" in ended.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "m.csv"), "name it so"),
        (("--frames", "10"), "give the frames of the whole burst"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(fading, words, said):
    ended = run(fading, *words)
    assert ended.returncode == 2
    (line,) = (n for n in ended.stderr.splitlines() if n.startswith("error"))
    assert said in line


def test_a_linked_table_is_refused(fading, tmp_path):
    linked = tmp_path / "linked.parquet"
    subprocess.run(
        [HER2SR, "link", fading, "--out", linked], check=True, timeout=100,
        capture_output=True,
    )  # fmt: skip
    ended = run(linked)
    assert ended.returncode == 2
    assert "is linked" in ended.stderr


def test_a_table_that_is_marked_is_not_marked_again(fading, tmp_path):
    table, _ = read_parquet(fading)
    marked = dict(table.columns, centroid=np.zeros(len(table), np.int8))
    path = tmp_path / "marked.parquet"
    write_parquet(path, Localizations(marked), {})
    ended = run(path, "--out", tmp_path / "again.parquet")
    assert ended.returncode == 2
    assert "marked already" in ended.stderr
    assert not (tmp_path / "again.parquet").exists()
