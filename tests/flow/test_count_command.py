"""`her2sr count`: signals in nuclei that somebody else drew, of runs and of tables."""

import csv
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from run_folders import add_unit, make_run
from typer.testing import CliRunner

from her2sr_proc import cli_count
from her2sr_proc.density import count_table
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.recount import with_others
from her2sr_proc.offline.settling import run_scales
from her2sr_proc.schema.params import CountParams
from her2sr_proc.schema.table import Localizations, empty
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.images import read_tiff, write_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import count_columns, read_field, write_field
from her2sr_proc.store.tables import write_table

SIDE = 96
PLACES = {"561": [(40, 40), (58, 50), (45, 62)], "488": [(50, 38)]}
FRAMES = {"561": 40, "488": 40, "405": 20}
FACTS = MovieFacts(pixel_nm=130.0, height_px=80, width_px=80, frames=400)


def command(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    cli_count.register(app)
    return CliRunner().invoke(app, ["count", *map(str, arguments)])


def said(*arguments):
    result = command(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments):
    result = command(*arguments)
    assert result.exit_code != 0
    return str(result.exception)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def movie(channel):
    """One round nucleus in the middle; probes blink in it at a few places."""
    generator = np.random.default_rng([1, int(channel)])
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.full((FRAMES[channel], SIDE, SIDE), 20.0)
    if channel == "405":
        light[:, np.hypot(y - 48, x - 48) < 30] += 60.0
    for py, px in PLACES.get(channel, []):
        spot = np.exp(-((y - py) ** 2 + (x - px) ** 2) / 2.0)
        light += generator.poisson(6, len(light))[:, None, None] * 300.0 * spot
    return (generator.poisson(light) / 0.46 + 100).astype(np.uint16)


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("run") / "r1", frames=FRAMES, size=SIDE)
    for channel in FRAMES:
        add_unit(run, channel, movie(channel))
    process_run(run, lambda *_: None)
    return run


def left_half(run, path):
    """Labels of the nucleus without its right part: one HER2 signal lies there."""
    labels = np.asarray(read_tiff(run.labels("r00_c00")), np.int32)
    labels[:, 56:] = 0
    write_tiff(path, labels, pixel_nm=130.0)
    return path


def test_a_run_in_its_own_nuclei_counts_as_its_answer(computed, tmp_path):
    said(computed.root, "--out", tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == computed.counts.read_text()


def test_a_run_in_drawn_nuclei_counts_what_lies_in_them(computed, tmp_path):
    before = {p: p.read_bytes() for p in computed.root.rglob("*.json*")}
    drawn = left_half(computed, tmp_path / "drawn.tif")
    found = said(computed.root, "--nuclei", drawn, "--out", tmp_path / "c.csv")
    whole, half = rows_of(computed.counts)[0], rows_of(tmp_path / "c.csv")[0]
    assert (whole["her2_sr"], half["her2_sr"]) == ("3", "2")
    assert half["cep17_sr"] == whole["cep17_sr"] == "1"
    assert float(half["area_um2"]) < float(whole["area_um2"])
    assert found["nuclei"] == 1
    assert {p: p.read_bytes() for p in computed.root.rglob("*.json*")} == before


def test_a_folder_names_the_nuclei_of_every_field(computed, tmp_path):
    left_half(computed, tmp_path / "r00_c00.tif")
    said(computed.root, "--nuclei", tmp_path, "--out", tmp_path / "c.parquet")
    table = pq.read_table(tmp_path / "c.parquet")
    assert table.column_names == count_columns()
    assert table["her2_sr"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--probe", "HER2"], "--probe says nothing of a run"),
        (["--field", "r09_c09"], "no field r09_c09; it has r00_c00"),
        (["--nuclei", "EMPTY"], "no file of nuclei of field r00_c00"),
        (["--nuclei", "SMALL"], "96"),
    ],
)
def test_nuclei_that_are_not_of_the_run_are_refused(
    computed, tmp_path, options, sentence
):
    (tmp_path / "EMPTY").mkdir()
    write_tiff(tmp_path / "SMALL.tif", np.ones((9, 9), np.int32), pixel_nm=130.0)
    places = {"EMPTY": tmp_path / "EMPTY", "SMALL": tmp_path / "SMALL.tif"}
    options = [places.get(one, one) for one in options]
    assert sentence in refused(computed.root, *options, "--out", tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_a_run_that_was_not_computed_is_told_so(computed, tmp_path):
    bare = tmp_path / "r1"
    shutil.copytree(computed.root / "raw", bare / "raw")
    for name in ("manifest.json", "ledger.jsonl"):
        shutil.copy(computed.root / name, bare / name)
    drawn = left_half(computed, tmp_path / "drawn.tif")
    sentence = refused(bare, "--nuclei", drawn, "--out", tmp_path / "c.csv")
    assert "not computed yet; `her2sr process` it" in sentence


def rows_at(loci_nm, generator, each=60):
    """Localizations about loci: blobs of 80 nm, a few dyes each, and stray ones."""
    parts = [generator.uniform(0, 80 * 130.0, (160, 2))]
    for locus in loci_nm:
        dyes = locus + generator.normal(0, 80, (8, 2))
        lit = dyes[generator.integers(0, 8, generator.poisson(each))]
        parts.append(lit + generator.normal(0, 20, lit.shape))
    places = np.concatenate(parts).astype(np.float32)
    columns = {n: np.zeros(len(places), a.dtype) for n, a in empty().columns.items()}
    columns["y_nm"], columns["x_nm"] = places.T
    return Localizations(columns)


def disc(radius_px=28):
    y, x = np.mgrid[:80, :80]
    return (np.hypot(y - 40, x - 40) < radius_px).astype(np.int32)


RING = 5200 + 2000 * np.array([[1, 0], [0.2, 1], [-1, 0.3], [0, -1]])


@pytest.mark.parametrize("seed", range(5))
def test_loci_apart_are_counted_where_the_table_is_dense(seed):
    table = rows_at(RING, np.random.default_rng(seed))
    found = count_table(table, disc(), pixel_nm=130.0, params=CountParams())
    assert (found[1]["sr"].count, found[1]["sr_merged"].count) == (4, 4)


def test_sisters_are_two_resolved_and_one_merged():
    sisters = [*RING, RING[0] + (0, 500)]
    table = rows_at(sisters, np.random.default_rng(3))
    found = count_table(table, disc(), pixel_nm=130.0, params=CountParams())
    assert (found[1]["sr"].count, found[1]["sr_merged"].count) == (5, 4)


def test_stray_dyes_and_loci_outside_are_no_signals():
    outside = [(600.0, 600.0), (9000.0, 9000.0)]
    table = rows_at(outside, np.random.default_rng(4))
    found = count_table(table, disc(), pixel_nm=130.0, params=CountParams())
    assert found[1]["sr"].count == 0
    nothing = count_table(empty(), disc(), pixel_nm=130.0, params=CountParams())
    assert nothing[1]["sr_merged"].high == 0


@pytest.mark.parametrize("suffix", ["parquet", "csv", "hdf5"])
def test_two_tables_and_labels_make_a_table_that_can_be_scored(tmp_path, suffix):
    her2, cep17 = (tmp_path / f"{name}.{suffix}" for name in ("her2", "cep17"))
    generator = np.random.default_rng(6)
    for path, loci in ((her2, RING), (cep17, RING[:2])):
        form = {"parquet": "native", "csv": "thunderstorm", "hdf5": "picasso"}[suffix]
        write_table(path, rows_at(loci, generator), FACTS, form=form)
    write_tiff(tmp_path / "labels.tif", disc(), pixel_nm=130.0)
    given = ["--nuclei", tmp_path / "labels.tif", "--out", tmp_path / "c.csv"]
    found = said(her2, "--probe", "HER2", "--beside", cep17, *given)
    row = rows_of(tmp_path / "c.csv")[0]
    assert (row["her2_sr_merged"], row["cep17_sr_merged"]) == ("4", "2")
    assert row["her2_conventional"] == ""
    assert (row["x_um"], row["y_um"]) == ("5.200", "5.200")
    assert any("not linked" in flag for flag in found["flags"])


def test_a_table_needs_its_probe_and_its_nuclei(tmp_path):
    locs, out = tmp_path / "t.parquet", tmp_path / "c.csv"
    write_table(locs, rows_at(RING, np.random.default_rng(7)), FACTS, form="native")
    write_tiff(tmp_path / "l.tif", disc(), pixel_nm=130.0)
    assert "--probe HER2" in refused(locs, "--nuclei", tmp_path / "l.tif", "--out", out)
    assert "--nuclei" in refused(locs, "--probe", "HER2", "--out", out)
    assert "end it in .csv" in refused(locs, "--out", tmp_path / "c.txt")
    assert not out.exists()


def test_nuclei_keep_the_numbers_of_their_file(computed, tmp_path):
    locs, drawn = tmp_path / "t.parquet", tmp_path / "drawn.tif"
    facts = MovieFacts(pixel_nm=130.0, height_px=SIDE, width_px=SIDE, frames=400)
    write_table(locs, rows_at(RING, np.random.default_rng(8)), facts, form="native")
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[30:70, 30:48], labels[30:70, 52:70] = 5, 9
    write_tiff(drawn, labels, pixel_nm=130.0)
    given = ["--nuclei", drawn, "--out", tmp_path / "c.csv"]
    said(locs, "--probe", "HER2", *given)
    assert [row["nucleus"] for row in rows_of(tmp_path / "c.csv")] == ["5", "9"]
    said(computed.root, *given)
    rows = rows_of(tmp_path / "c.csv")
    assert [row["nucleus"] for row in rows] == ["5", "9"]
    assert [row["cep17_sr"] for row in rows] == ["1", "0"]


def test_labels_of_another_frame_are_no_nuclei_of_a_table(tmp_path):
    locs, out = tmp_path / "t.csv", tmp_path / "c.csv"
    table = rows_at(RING, np.random.default_rng(7))
    write_table(locs, table, FACTS, form="thunderstorm")  # which says no size
    write_tiff(tmp_path / "l.tif", disc()[:40], pixel_nm=130.0)
    given = ["--probe", "HER2", "--nuclei", tmp_path / "l.tif", "--out", out]
    assert "in y, and l.tif has 40; give the labels of this" in refused(locs, *given)
    absent = [*given[:3], tmp_path / "absent.tif", *given[4:]]
    assert "absent.tif; check the path" in refused(locs, *absent)
    assert not out.exists()


def test_a_table_of_several_fields_is_not_counted_as_one(tmp_path):
    locs, out = tmp_path / "t.parquet", tmp_path / "c.csv"
    table = rows_at(RING, np.random.default_rng(7))
    fields = np.where(np.arange(len(table)) % 2, "r00_c00", "r00_c01").astype(object)
    joined = Localizations({**table.columns, "field": fields})
    write_table(locs, joined, FACTS, form="native")
    write_tiff(tmp_path / "l.tif", disc(), pixel_nm=130.0)
    given = ["--probe", "HER2", "--nuclei", tmp_path / "l.tif", "--out", out]
    assert "several fields (r00_c00, r00_c01)" in refused(locs, *given)
    assert not out.exists()


def test_counts_are_not_written_over_what_they_are_counted_from(computed, tmp_path):
    locs, labels = tmp_path / "t.parquet", left_half(computed, tmp_path / "l.csv")
    write_table(locs, rows_at(RING, np.random.default_rng(7)), FACTS, form="native")
    before = computed.counts.read_bytes(), locs.read_bytes(), labels.read_bytes()
    assert "is a file of the run" in refused(computed.root, "--out", computed.counts)
    given = [locs, "--probe", "HER2", "--nuclei", labels]
    for out in (locs, labels):
        assert "another name" in refused(*given, "--out", out)
    after = computed.counts.read_bytes(), locs.read_bytes(), labels.read_bytes()
    assert after == before


def test_one_field_is_settled_by_what_all_fields_say(computed, tmp_path):
    run = RunFolder(tmp_path / "r1")
    stored = read_field(computed, "r00_c00")
    for name in ("r00_c00", "r00_c01"):
        write_field(run, stored.model_copy(update={"field": name}))
    counted = stored.model_copy(update={"flags": ("counted now",)})
    told = with_others(run, ["r00_c00", "r00_c01", "r00_c02"], [counted])
    assert [one.field for one in told] == ["r00_c00", "r00_c01"]
    assert told[0].flags == ("counted now",)
    twice, once = (run_scales(some, CountParams()) for some in (told, told[:1]))
    isolated = "her2_sr_merged"
    assert twice[isolated].isolated == 2 * once[isolated].isolated > 0


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (("561", "r00_c00"), ("488", "r00_c01"), "of the fields r00_c00 and r00_c01"),
        (("561", "r00_c00"), ("561", "r00_c00"), "both tables are of channel 561"),
        (("", ""), None, "one table is given for both probes"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(
    tmp_path, first, second, sentence
):
    paths = []
    for name, origin in (("a", first), ("b", second)):
        paths.append(tmp_path / f"{name}.parquet" if origin else paths[0])
        table = rows_at(RING, np.random.default_rng(7))
        words = dict(zip(("channel", "field"), origin or first, strict=True))
        said = {n: np.full(len(table), w, object) for n, w in words.items()}
        joined = Localizations({**table.columns, **said})
        write_table(paths[-1], joined, FACTS, form="native")
    write_tiff(tmp_path / "l.tif", disc(), pixel_nm=130.0)
    out = tmp_path / "c.csv"
    given = ["--probe", "HER2", "--nuclei", tmp_path / "l.tif", "--out", out]
    assert sentence in refused(paths[0], "--beside", paths[1], *given)
    assert not out.exists()


def test_a_run_without_nuclei_of_its_own_is_told_to_be_computed(tmp_path):
    bare = make_run(tmp_path / "r1", frames=FRAMES, size=SIDE)
    sentence = refused(bare.root, "--out", tmp_path / "c.csv")
    assert "no nuclei of field r00_c00: it is not computed yet" in sentence
