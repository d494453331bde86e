"""Tables in, tables out: filter, link, drift, resolution, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from short_files import short_files

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.tables import (
    form_of,
    read_table,
    write_parquet,
    write_table,
    write_thunderstorm,
)

FRAMES = 1000


def run(*arguments) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


@pytest.fixture
def locs(tmp_path):
    """Sixty sites that blink and drift by 200 nm along x."""
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 6000, (60, 2))
    frame, site = np.nonzero(rng.random((FRAMES, 60)) < 0.05)
    where = places[site] + rng.normal(0, 10, (frame.size, 2))
    where[:, 0] += 0.2 * frame
    values = {"frame": frame, "x_nm": where[:, 0], "y_nm": where[:, 1]}
    values |= {"photons": rng.uniform(100, 900, frame.size)}
    values |= {
        f"uncertainty{a}_nm": np.full(frame.size, 10.0) for a in ("", "_x", "_y")
    }
    zero = np.zeros(frame.size)
    table = Localizations(
        {c.name: values.get(c.name, zero).astype(c.dtype) for c in COLUMNS}
    )
    path = tmp_path / "locs.parquet"
    facts = MovieFacts(130.0, 50, 50, FRAMES)
    write_parquet(path, table, facts.to_metadata())
    return path


@pytest.mark.parametrize("formula", ["photons > 500", "intensity > 500 & sigma >= 0"])
def test_a_filter_keeps_the_rows_that_its_formula_asks_for(locs, tmp_path, formula):
    out = tmp_path / "kept.csv"
    assert run("filter", locs, formula, "--out", out) == 0
    before, (after, _) = read_table(locs)[0], read_table(out)
    assert len(after) == (before["photons"] > 500).sum()
    assert after["photons"].min() > 500


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("photon > 5", "'photon' is not known"),
        ("photons >", "ends too early"),
        ("photons + 1", "gives numbers, not yes or no"),
    ],
)
def test_a_formula_that_says_nothing_writes_nothing(
    locs, tmp_path, capsys, formula, sentence
):
    out = tmp_path / "kept.parquet"
    assert run("filter", locs, formula, "--out", out) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_a_filter_keeps_columns_of_words_but_does_not_reckon_with_them(
    locs, tmp_path, capsys
):
    source, out = tmp_path / "words.parquet", tmp_path / "kept.parquet"
    table, _ = read_table(locs)
    words = np.array(["561"] * len(table), object)
    write_parquet(source, Localizations({**table.columns, "channel": words}), {})
    assert run("filter", source, "photons > 500", "--out", out) == 0
    assert set(read_table(out)[0]["channel"]) == {"561"}
    assert run("filter", source, "channel > 560", "--out", out) == 2
    assert "compare them with == or != alone" in capsys.readouterr().err


def test_drift_is_taken_off_and_its_trace_written(locs, tmp_path, capsys):
    still, trace = tmp_path / "still.parquet", tmp_path / "drift.csv"
    assert run("drift", locs, "--out", still, "--trace", trace, "--json") == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert BANNER in err
    assert said["x_nm"] == pytest.approx(200, abs=4)
    assert said["y_nm"] < 4
    path = np.loadtxt(trace, delimiter=",", skiprows=1)
    assert path.shape == (FRAMES, 3)
    assert path[-1, 1] - path[0, 1] == pytest.approx(200, abs=4)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.hdf5", "t.tif", "t.png"])
def test_a_disk_without_room_costs_one_sentence_and_no_former_file(
    locs, tmp_path, capsys, name
):
    out, is_image = tmp_path / name, name in ("t.tif", "t.png")
    words = ("render", locs) if is_image else ("filter", locs, "photons > 0")
    assert run(*words, "--out", out) == 0
    former = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    with short_files(8192):
        assert run(*words, "--out", out) == 1
    errors = [e for e in capsys.readouterr().err.splitlines() if e != BANNER]
    sentence = f"error: {out} could not be written (File too large); make room there"
    assert len(errors) == 1
    assert errors[0].startswith(sentence)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == former


@pytest.mark.parametrize("trace", ["locs.parquet", "still.csv", "new/../still.csv"])
def test_a_trace_is_not_written_over_a_table(locs, tmp_path, capsys, trace):
    before, out = locs.read_bytes(), tmp_path / "still.csv"
    assert run("drift", locs, "--out", out, "--trace", tmp_path / trace) == 2
    assert "give it another name" in capsys.readouterr().err
    assert locs.read_bytes() == before
    assert not out.exists()


def test_too_few_frames_for_a_drift_are_a_wrong_request(locs, tmp_path, capsys):
    out = tmp_path / "still.parquet"
    assert run("drift", locs, "--out", out, "--segment", 900) == 2
    assert "two segments of 900 frames" in capsys.readouterr().err
    assert not out.exists()


def test_more_segments_than_rcc_can_compare_are_refused(locs, tmp_path, capsys):
    out = tmp_path / "still.parquet"
    few = ("--method", "rcc", "--segment", 4)
    assert run("drift", locs, "--out", out, *few) == 2
    assert "choose a --segment of 5 frames or more" in capsys.readouterr().err
    assert not out.exists()


def test_linked_rows_say_of_how_many_they_are(locs, tmp_path):
    out = tmp_path / "linked.parquet"
    assert run("link", locs, "--out", out, "--distance-nm", 60, "--gap", 0) == 0
    before, (after, _) = read_table(locs)[0], read_table(out)
    assert after["detections"].sum() == len(before)
    assert 0.9 * len(before) < len(after) < len(before)


def test_a_native_csv_filtered_in_place_keeps_its_columns(locs, tmp_path):
    source = tmp_path / "t.csv"
    table, facts = read_table(locs)
    status = Localizations({**table.columns, "status": np.full(len(table), 6)})
    write_table(source, status, facts, form="native")
    assert run("filter", source, "photons > 500", "--out", source) == 0
    after, _ = read_table(source)
    assert len(after) == (table["photons"] > 500).sum()
    assert set(after["status"]) == {6}


def test_a_linked_csv_is_known_as_linked(locs, tmp_path, capsys):
    linked, many = tmp_path / "linked.csv", tmp_path / "many.csv"
    assert run("link", locs, "--out", linked, "--distance-nm", 60) == 0
    assert run("filter", linked, "detections > 1", "--out", many) == 0
    assert read_table(many)[0]["detections"].min() == 2
    capsys.readouterr()
    assert run("resolution", linked) == 0
    assert "not linked" not in capsys.readouterr().out


def test_the_resolution_of_a_table_is_told(locs, capsys):
    assert run("resolution", locs, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["uncertainty_nm"] == 10.0
    assert said["linked"] is False
    assert said["localizations"] == len(read_table(locs)[0])


def test_an_empty_table_has_an_unknown_resolution(locs, tmp_path, capsys):
    out = tmp_path / "none.parquet"
    assert run("filter", locs, "photons < 0", "--out", out) == 0
    capsys.readouterr()
    assert run("resolution", out) == 0
    said = capsys.readouterr().out
    assert "0 localizations, unknown a um2; reported precision unknown" in said
    assert "nan" not in said


def test_a_table_of_thunderstorm_is_taken_as_well(locs, tmp_path):
    csv, out = tmp_path / "t.csv", tmp_path / "linked.csv"
    write_thunderstorm(csv, read_table(locs)[0], pixel_nm=130.0)
    assert run("link", csv, "--out", out) == 0
    assert len(read_table(out)[0]) > 0


@pytest.mark.parametrize(
    ("suffix", "value"),
    [("parquet", np.nan), ("csv", np.inf), ("hdf5", np.nan), ("parquet", 1e12)],
)
@pytest.mark.parametrize(
    "words",
    [
        ("link", "--out", "o.csv"),
        ("drift", "--out", "o.csv"),
        ("drift", "--out", "o.csv", "--method", "rcc"),
        ("resolution",),
        ("render", "--out", "o.tif", "--drift-corrected"),
    ],
)
def test_rows_without_a_place_are_told_and_can_be_filtered_out(
    locs, tmp_path, capsys, monkeypatch, words, value, suffix
):
    monkeypatch.chdir(tmp_path)
    table, facts = read_table(locs)
    x = np.where(np.isin(np.arange(len(table)), [4, 7]), value, table["x_nm"])
    table = Localizations({**table.columns, "x_nm": x})
    source, cured = Path(f"lost.{suffix}"), Path(f"cured.{suffix}")
    write_table(source, table, facts, form=form_of(source))
    assert run(words[0], source, *words[1:]) == 2
    said = capsys.readouterr().err
    assert f"2 of {len(table)} rows have no position" in said
    assert "the first is row 5" in said
    formula = said.split("'")[1]
    assert run("filter", source, formula, "--out", cured) == 0
    assert len(read_table(cured)[0]) == len(table) - 2
    assert run(words[0], cured, *words[1:]) == 0


@pytest.mark.parametrize(
    "how", [("--method", "ash"), ("--drift-corrected",), ("--sigma-nm", 15)]
)
def test_every_way_of_drawing_keeps_the_volume(locs, tmp_path, how):
    out = tmp_path / "sr.tif"
    assert run("render", locs, "--out", out, *how) == 0
    assert read_tiff(out).sum() == pytest.approx(len(read_table(locs)[0]), rel=0.02)


@pytest.mark.parametrize("size", ["1x9000", "9000x1"])
def test_a_line_of_pixels_has_a_preview(locs, tmp_path, size):
    csv, out = tmp_path / "t.csv", tmp_path / "line.png"
    write_thunderstorm(csv, read_table(locs)[0], pixel_nm=130.0)
    shape = ("--size", size, "--pixel-nm", 130)
    assert run("render", csv, "--out", out, *shape) == 0
    with Image.open(out) as picture:
        assert min(picture.size) == 1


def test_a_size_that_is_none_is_refused_also_where_it_is_not_needed(
    locs, tmp_path, capsys
):
    assert run("render", locs, "--out", tmp_path / "a.png", "--size", "abc") == 2
    assert "--size is HxW" in capsys.readouterr().err


def test_rows_outside_or_without_a_place_do_not_count_as_drawn(locs, tmp_path, capsys):
    source, out = tmp_path / "far.parquet", tmp_path / "sr.tif"
    table, facts = read_table(locs)
    x = table["x_nm"].copy()
    x[:4] = np.nan, 1e9, -500.0, np.inf
    far = Localizations({**table.columns, "x_nm": x})
    write_parquet(source, far, facts.to_metadata())
    assert run("render", source, "--out", out, "--method", "histogram") == 0
    assert f"{len(table) - 4} of {len(table)} local" in capsys.readouterr().out
    assert read_tiff(out).sum() == len(table) - 4


def test_the_drift_corrected_picture_is_sharper(locs, tmp_path):
    peaks = []
    for more in ((), ("--drift-corrected",)):
        run("render", locs, "--out", tmp_path / "sr.tif", *more)
        peaks.append(read_tiff(tmp_path / "sr.tif").max())
    assert peaks[1] > 2 * peaks[0]
