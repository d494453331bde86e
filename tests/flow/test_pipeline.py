"""What is missing or damaged in a run folder makes a flagged answer, never a crash."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import typer
from run_folders import add_unit, make_run
from typer.testing import CliRunner

from her2sr_proc import cli_process, cli_runs
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.phases import phase_of
from her2sr_proc.offline.pipeline import close_field, close_run, close_unit, process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.counts import Cluster, Isolated
from her2sr_proc.schema.table import Localizations
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import with_profile
from her2sr_proc.store.results import (
    count_columns,
    read_field,
    read_result,
    write_field,
)
from her2sr_proc.store.tables import read_parquet, write_parquet

SIDE = 96
FRAMES = {"561": 40, "488": 40, "405": 20}


def movie(channel, frames=40, seed=1):
    """One round nucleus in the middle; probes blink in it at a few places."""
    generator = np.random.default_rng([seed, int(channel)])
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = np.hypot(y - 48, x - 48) < 30
    light = np.full((frames, SIDE, SIDE), 20.0)
    if channel == "405":
        light[:, inside] += 60.0
    else:
        places = {"561": [(40, 40), (58, 50), (45, 62)], "488": [(50, 38)]}[channel]
        for py, px in places:
            spot = np.exp(-((y - py) ** 2 + (x - px) ** 2) / 2.0)
            light += generator.poisson(6, frames)[:, None, None] * 300.0 * spot
    counts = generator.poisson(light) / 0.46 + 100
    return counts.astype(np.uint16)


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("whole") / "r1", frames=FRAMES, size=SIDE)
    for channel, frames in FRAMES.items():
        add_unit(run, channel, movie(channel, frames))
    process_run(run, quiet)
    return run


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the frames and ledger, without anything computed."""
    copy = RunFolder(tmp_path / "r1")
    shutil.copytree(whole.root / "raw", copy.root / "raw")
    for name in ("manifest.json", "ledger.jsonl"):
        shutil.copy(whole.root / name, copy.root / name)
    return copy


def unit(channel, attempt=1):
    return UnitKey(run="r1", field="r00_c00", channel=channel, attempt=attempt)


def without_unit(run, channel):
    """Forget a unit, as if it had never been taken."""
    shutil.rmtree(run.raw(unit(channel)))
    lines = run.ledger.read_text().splitlines(keepends=True)
    kept = [line for line in lines if f'"channel":"{channel}"' not in line]
    run.ledger.write_text("".join(kept))


def test_a_whole_run_counts_what_is_there(whole):
    result = read_result(whole)
    assert result.arms["sr"].her2_signals == 3
    assert result.arms["sr"].cep17_signals == 1
    assert result.accounting.is_whole
    assert result.truth is None
    for channel in ("561", "488"):
        for kind in ("conventional", "superresolution"):
            assert whole.image("r00_c00", channel, kind).exists()
            assert whole.preview("r00_c00", channel, kind).exists()
    assert whole.labels("r00_c00").exists()
    assert whole.report.read_text().startswith("<!doctype html>")


def test_counts_have_the_columns_of_the_contract(whole):
    (row,) = csv.DictReader(whole.counts.read_text().splitlines())
    assert list(row) == count_columns()
    assert row["her2_sr"] == "3"
    assert row["cep17_sr_merged"] == "1"
    assert row["region"] == "unmarked"
    assert row["excluded"] == "false"
    for suffix in ("ambiguous", "estimated", "low", "high"):
        assert row[f"her2_conventional_{suffix}"] != ""


def blobs(frames):
    """Frames of ensemble light: twenty wide bright blobs, and nothing else."""
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.full((frames, SIDE, SIDE), 20.0)
    for row in range(12, SIDE, 20):
        for column in range(12, SIDE, 20):
            near = (y - row) ** 2 + (x - column) ** 2
            light += 600.0 * np.exp(-near / (2 * 1.8**2))
    counts = np.random.default_rng(3).poisson(light) / 0.46 + 100
    return counts.astype(np.uint16)


@pytest.mark.parametrize(("profile", "told"), [("recommended", 10), ("paper", None)])
def test_frames_of_ensemble_light_are_counted_where_a_profile_tells_them(
    tmp_path, profile, told
):
    run = make_run(tmp_path / "r1", frames={"561": 40}, size=SIDE)
    add_unit(run, "561", np.concatenate([blobs(10), movie("561", 30)]))
    result = process_run(with_profile(run, profile), quiet)
    (of_unit,) = result.accounting.units
    assert of_unit.ensemble_light_frames == told


def test_positions_of_nuclei_are_on_the_slide(whole):
    (nucleus,) = read_field(whole, "r00_c00").nuclei
    assert (nucleus.x_um, nucleus.y_um) == pytest.approx((0.0, 0.0), abs=0.2)


def test_flags_name_the_simulation_the_few_nuclei_and_the_unmarked_regions(whole):
    flags = " ".join(read_result(whole).flags)
    for words in ("simulated", "kinetics factor 12.5", "fewer than 20", "unmarked"):
        assert words in flags


def test_marks_of_a_named_person_decide_which_nuclei_are_scored(run):
    process_run(run, quiet)
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(
        RegionsMarked(marks={"r00_c00/1": "normal"}), by="observer-1"
    )
    result = close_run(run)
    assert result.arms["sr_merged"].nuclei == 0
    assert result.assessment.control.normal.nuclei == 1
    (row,) = csv.DictReader(run.counts.read_text().splitlines())
    assert row["region"] == "normal"
    assert "regions were marked by observer-1" in result.flags


def test_a_changed_line_of_the_case_is_damage(run):
    process_run(run, quiet)
    file = CaseFile(run.case, lambda: "2026-01-01T00:00:00Z")
    for region in ("normal", "invasive"):
        act = RegionsMarked(marks={"r00_c00/1": region})
        file.add(act, by="observer-1", reason="seen again")
    run.case.write_text(run.case.read_text().replace("normal", "other", 1))
    (fault,) = verify(run, quiet).damage
    assert fault.startswith("case.jsonl line 2")


def test_nothing_is_left_of_parts_and_temporary_files(whole):
    names = [path.name for path in whole.root.rglob("*")]
    assert not [name for name in names if name.startswith(".") or ".parts" in name]


def test_tables_of_the_live_localizer_are_taken_as_they_are(run):
    close_unit(run, unit("561"))
    table, _ = read_parquet(run.table(unit("561")))
    run.table(unit("561")).unlink()
    for block in range(4):
        frames = table["frame"] // 10 == block
        facts = {"source": "live" if block else "replayed"}
        path = run.table_part(unit("561"), block)
        write_parquet(path, table.take(np.flatnonzero(frames)[:1]), facts)
    close_unit(run, unit("561"))
    merged, facts = read_parquet(run.table(unit("561")))
    assert len(merged) == 4
    assert (facts["localized_frames"], facts["replayed_frames"]) == ("40", "10")
    assert not run.table_parts(unit("561")).exists()


def test_a_unit_says_where_its_ensemble_phase_ends_and_marks_its_rows(whole):
    table, facts = read_parquet(whole.table(unit("561")))
    phase = phase_of(facts)
    assert phase.frames == 40
    assert phase.end is None
    assert phase.reason
    assert (table["centroid"] == 1).all()
    assert (table["uncertainty_nm"] > 85).all()


def test_a_field_repeats_what_its_units_say_and_flags_what_cannot_be_told(whole):
    field = read_field(whole, "r00_c00")
    _, facts = read_parquet(whole.table(unit("561")))
    assert field.ensemble["561"] == phase_of(facts)
    (nucleus,) = field.nuclei
    assert set(nucleus.ensemble) == {"561", "488"}
    assert nucleus.ensemble["561"].reason
    assert any("561: no end of the ensemble phase" in flag for flag in field.flags)


def test_live_and_offline_say_the_same_of_the_ensemble_phase(run):
    close_unit(run, unit("561"))
    path = run.table(unit("561"))
    table, facts = read_parquet(path)
    path.unlink()
    close_unit(run, unit("561"))  # from disk once more
    again, said = read_parquet(path)
    assert phase_of(said) == phase_of(facts)
    for name, column in table.columns.items():
        np.testing.assert_array_equal(again[name], column)


def test_a_table_of_before_there_was_a_phase_is_counted_without_one(run):
    close_field(run, "r00_c00")
    for channel in ("561", "488"):
        path = run.table(unit(channel))
        table, facts = read_parquet(path)
        kept = {n: c for n, c in table.columns.items() if n != "centroid"}
        old = {n: v for n, v in facts.items() if n != "ensemble_phase"}
        write_parquet(path, Localizations(kept), old)
    close_field(run, "r00_c00")
    field = read_field(run, "r00_c00")
    assert field.ensemble == {}
    assert field.nuclei[0].counts["sr"]["HER2"].count == 3


def test_what_the_fields_measured_of_the_staining_reaches_the_criteria(whole):
    staining = read_field(whole, "r00_c00").staining
    assert staining.signals == {"HER2": 3, "CEP17": 1}
    assert staining.outside == {"HER2": 0, "CEP17": 0}
    found = {c.name: c for c in read_result(whole).assessment.criteria}
    for name in ("signals over cytoplasm", "autofluorescence", "crosstalk"):
        assert (found[name].verdict, found[name].value) == ("met", 0.0)


def test_a_field_that_stained_its_cytoplasm_makes_the_run_indeterminate(run):
    process_run(run, quiet)
    field = read_field(run, "r00_c00")
    stained = field.staining.model_copy(update={"outside": {"HER2": 2, "CEP17": 0}})
    write_field(run, field.model_copy(update={"staining": stained}))
    mark = RegionsMarked(marks={"r00_c00/1": "invasive"})
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(mark, by="observer-1")
    arm = close_run(run).arms["sr_merged"]
    assert arm.status == "indeterminate"
    assert any("signals over cytoplasm: 50 %" in reason for reason in arm.reasons)


def test_the_run_counts_clusters_by_the_signals_of_all_its_fields(run):
    process_run(run, quiet)
    field = read_field(run, "r00_c00")
    dense = Cluster(
        arm="sr_merged",
        probe="HER2",
        nucleus=1,
        x_px=48,
        y_px=48,
        resolved=3,
        light_e=9000.0,
    )
    alone = {"her2_sr_merged": Isolated(light_e=(1000.0,) * 30)}
    noted = {"clusters": (dense,), "isolated": field.isolated | alone}
    write_field(run, field.model_copy(update=noted))
    result = close_run(run)
    assert result.arms["sr_merged"].her2_signals == 9
    (row,) = csv.DictReader(run.counts.read_text().splitlines())
    assert (row["her2_sr_merged"], row["her2_sr_merged_estimated"]) == ("9", "true")
    assert int(row["her2_sr_merged_low"]) < 9 < int(row["her2_sr_merged_high"])
    assert any("estimated by light, by 30 isolated" in f for f in result.flags)
    assert read_field(run, "r00_c00").nuclei[0].counts["sr_merged"]["HER2"].count == 9
    assert close_run(run) == result


def test_missing_and_torn_parts_are_localized_from_disk(run):
    close_unit(run, unit("561"))
    table, _ = read_parquet(run.table(unit("561")))
    run.table(unit("561")).unlink()
    part = run.table_part(unit("561"), 2)
    part.parent.mkdir()
    part.write_bytes(b"PAR1 torn")
    close_unit(run, unit("561"))
    again, facts = read_parquet(run.table(unit("561")))
    assert facts["replayed_frames"] == "40"
    np.testing.assert_array_equal(again["x_nm"], table["x_nm"])


def test_a_torn_table_is_computed_anew(run):
    path = run.table(unit("561"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 torn")
    close_unit(run, unit("561"))
    assert read_parquet(path)[1]["localized_frames"] == "40"


def test_closing_again_writes_no_table_again(run):
    close_unit(run, unit("561"))
    before = run.table(unit("561")).stat().st_mtime_ns
    close_unit(run, unit("561"))
    assert run.table(unit("561")).stat().st_mtime_ns == before


def test_a_damaged_block_is_missing_at_the_last_tap_and_flagged(run):
    chunk = raw.chunk_path(run.raw(unit("561")), 1)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = process_run(run, quiet)
    taps = result.accounting
    assert (taps.localizable, taps.localized) == (80, 70)
    assert not taps.is_whole
    assert any("10 frames on disk could not be localized" in f for f in result.flags)


def test_a_unit_of_which_no_block_can_be_read_has_an_empty_table_and_a_flag(run):
    for block in range(4):
        raw.chunk_path(run.raw(unit("561")), block).unlink()
    result = process_run(run, quiet)
    assert (result.accounting.localizable, result.accounting.localized) == (80, 40)
    assert len(read_parquet(run.table(unit("561")))[0]) == 0
    assert any("40 frames on disk could not be localized" in f for f in result.flags)


def test_no_dapi_means_no_nuclei_and_no_group(run):
    without_unit(run, "405")
    result = process_run(run, quiet)
    assert result.arms["sr_merged"].status == "indeterminate"
    assert result.arms["sr_merged"].nuclei == 0
    assert any("405 (DAPI): 0 of 20 frames" in flag for flag in result.flags)
    assert run.report.exists()


def test_without_a_probe_its_nuclei_are_excluded_by_name(run):
    without_unit(run, "488")
    result = process_run(run, quiet)
    (nucleus,) = read_field(run, "r00_c00").nuclei
    assert nucleus.excluded
    assert nucleus.exclusion_reason == "488 incomplete: 0 of 40 frames"
    assert result.arms["sr_merged"].status == "indeterminate"
    assert any("1 of 3 units lack frames" in flag for flag in result.flags)


def test_half_a_burst_is_not_scored(tmp_path):
    run = make_run(tmp_path / "r1", frames=FRAMES, size=SIDE)
    add_unit(run, "561", movie("561", 20), requested=40)
    add_unit(run, "488", movie("488"))
    add_unit(run, "405", movie("405", 20))
    result = process_run(run, quiet)
    (nucleus,) = read_field(run, "r00_c00").nuclei
    assert nucleus.exclusion_reason == "561 incomplete: 20 of 40 frames"
    (partial,) = [u for u in result.accounting.units if u.channel == "561"]
    assert (partial.state, partial.reason) == ("partial", "stopped on request")


def test_an_empty_run_has_an_answer_too(tmp_path):
    run = make_run(tmp_path / "r1", frames=FRAMES, size=SIDE)
    result = process_run(run, quiet)
    assert result.arms["sr_merged"].group is None
    assert result.accounting.requested == 100
    assert result.accounting.written == 0


def test_a_run_closes_with_the_fields_that_are_there(run):
    close_field(run, "r00_c00")
    field = run.field_result("r00_c00")
    kept = field.read_text()
    field.unlink()
    assert any("1 fields have no result" in flag for flag in close_run(run).flags)
    field.write_text(kept)
    assert close_run(run).arms["sr"].her2_signals == 3


@pytest.fixture
def command():
    app = typer.Typer()
    cli_runs.register(app)
    cli_process.register(app)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_process_prints_the_answer_and_the_report(run, command):
    done = command("process", run.root)
    assert done.exit_code == 0
    assert "For research use only" in done.stdout
    assert "report: " in done.stdout


def test_process_speaks_json(run, command):
    done = command("process", run.root, "--json")
    assert json.loads(done.stdout)["run"] == "r1"


def test_verify_passes_a_whole_run_and_names_what_is_wrong(whole, run, command):
    assert command("verify", whole.root).exit_code == 0
    chunk = raw.chunk_path(run.raw(unit("561")), 0)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    done = command("verify", run.root)
    assert done.exit_code == 1
    assert "block 0 of r00_c00/561 does not match its checksum" in done.stdout


@pytest.mark.parametrize("verb", ["process", "verify"])
def test_what_is_no_run_folder_is_one_sentence(tmp_path, command, verb):
    done = command(verb, tmp_path)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert re.search("is no(t a)? run folder", done.stderr)
