"""Only fields of one moment, one hold and undimmed dyes enter the ratio."""

import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.live.facts import Facts
from her2sr_proc.offline.axial import drifts_um
from her2sr_proc.offline.entering import apart_reasons
from her2sr_proc.offline.runs import close_run, with_review
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.counts import FieldResult, NucleusCounts, ProbeCount
from her2sr_proc.schema.ledger import FocusRecord, StackRecord, UnitRecord, UnitState
from her2sr_proc.schema.manifest import ImportedMovie
from her2sr_proc.schema.results import ARMS, EarlyStop
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.edits import Edits
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.ledger import UnitHistory, counted_attempts, read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest, write_manifest
from her2sr_proc.store.results import write_field

FRAMES = {"561": 20, "488": 20}
LATE = "2026-01-01T00:01:10Z"
MOVIE = np.zeros((20, 16, 16), np.uint16)
HELD = FocusRecord(method="image", held_since_utc="t1", z_um=1.0, z_end_um=1.0)


def run_folder(root: Path, *, focus=None):
    run = make_run(root / "r1", frames=FRAMES, size=16)
    plan = {"focus": {"method": "image"}}
    write_manifest(run, read_manifest(run).model_copy(update={"plan": plan}))
    for channel in FRAMES:
        add_unit(run, channel, MOVIE)
        say(run, channel, focus=focus or HELD)
    return run


def say(run, channel, **changes):
    """Overrule what the ledger says of a unit."""
    (history,) = (
        h
        for key, h in read_ledger(run.ledger).items()
        if (key.channel, key.attempt) == (channel, 1)
    )
    with LineWriter(run.ledger) as ledger:
        ledger.append(history.verdict.model_copy(update=changes).model_dump_json())


def reasons(run):
    manifest, histories = read_manifest(run), read_ledger(run.ledger)
    chosen = counted_attempts(manifest, histories, "r00_c00")
    return apart_reasons(manifest, {name: histories[k] for name, k in chosen.items()})


def test_two_whole_bursts_of_one_hold_within_a_minute_enter(tmp_path):
    assert reasons(run_folder(tmp_path)) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {
                "started_utc": "2026-01-01T00:01:10Z",
                "ended_utc": "2026-01-01T00:01:20Z",
            },
            "561 and 488 lie 60 s apart, at most 60 s may",
            id="a minute apart",
        ),
        pytest.param(
            {"focus": HELD.model_copy(update={"held_since_utc": "t2"})},
            "561 and 488 were not taken in one hold of the focus",
            id="another hold",
        ),
        pytest.param(
            {"focus": None}, "the focus of 561 and 488 was not recorded", id="no focus"
        ),
        pytest.param(
            {"state": UnitState.PARTIAL, "reason": "1 frame was lost"},
            "488 incomplete: 1 frame was lost",
            id="a gap",
        ),
        pytest.param(
            {"not_scorable": "488: as dark"},
            "not scorable: 488: as dark",
            id="no light",
        ),
    ],
)
def test_a_field_stands_apart_with_its_reason(tmp_path, changes, said):
    run = run_folder(tmp_path)
    say(run, "488", **changes)
    assert reasons(run) == (said,)


def test_just_under_a_minute_enters(tmp_path):
    run = run_folder(tmp_path)
    say(run, "488", started_utc="2026-01-01T00:01:09.9Z")
    assert reasons(run) == ()


def second_attempt(run, channel):
    """Let the frames of a unit stand as those of a second attempt."""
    lines = run.ledger.read_text().splitlines()
    with LineWriter(run.ledger) as ledger:
        for line in map(json.loads, lines):
            if line["key"]["channel"] == channel:
                line["key"]["attempt"] = 2
                ledger.append(json.dumps(line))


def test_a_whole_first_attempt_answers_for_a_field_that_was_taken_again(tmp_path):
    run = run_folder(tmp_path)
    second_attempt(run, "488")
    assert reasons(run) == ()


def test_a_second_attempt_answers_for_a_bad_first_one_and_stands_apart(tmp_path):
    run = run_folder(tmp_path)
    second_attempt(run, "488")
    say(run, "488", not_scorable="the focus was lost by frame 3")
    assert reasons(run) == ("488 is attempt 2: not its first light",)


def test_imported_movies_are_judged_by_their_frames_alone(tmp_path):
    run = run_folder(tmp_path)
    movies = (ImportedMovie(channel="561", frames=20, pixels_sha256="0" * 64),)
    manifest = read_manifest(run).model_copy(update={"imported": movies})
    write_manifest(run, manifest)
    say(run, "488", focus=None, started_utc="2026-01-01T09:00:00Z")
    assert reasons(run) == ()


def test_a_unit_of_an_earlier_program_has_no_focus_and_enters(tmp_path):
    run = run_folder(tmp_path)
    write_manifest(run, read_manifest(run).model_copy(update={"plan": {}}))
    say(run, "488", focus=None)
    assert reasons(run) == ()


def field_result(name, *, nuclei=3, apart=()):
    """A field of nuclei with six HER2 and two CEP17 signals each."""
    counts = {
        arm: {
            probe: ProbeCount(count=n, low=n, high=n)
            for probe, n in (("HER2", 6), ("CEP17", 2))
        }
        for arm in ARMS
    }
    return FieldResult(
        run="r1",
        field=name,
        profile="recommended",
        profile_digest="0",
        apart=apart,
        nuclei=tuple(
            NucleusCounts(
                nucleus=n,
                x_um=0.0,
                y_um=0.0,
                area_um2=50.0,
                quality=1.0,
                excluded=bool(apart),
                exclusion_reason=apart[0] if apart else "",
                counts=counts,
            )
            for n in range(1, nuclei + 1)
        ),
    )


NAMES = ("r00_c00", "r00_c01", "r00_c02")


def counted_run(root):
    run = make_run(root / "runs" / "r1", frames=FRAMES, size=16, fields=NAMES)
    write_field(run, field_result("r00_c00"))
    write_field(run, field_result("r00_c01", apart=("too late", "not its first")))
    return run


def test_what_stands_apart_is_listed_with_its_own_figures_and_counts_nowhere(tmp_path):
    result = close_run(counted_run(tmp_path))
    assert result.arms["sr_merged"].nuclei == 3
    late, never = result.apart
    assert (late.field, late.reasons) == ("r00_c01", ("too late", "not its first"))
    assert (late.nuclei, late.her2_signals, late.cep17_signals) == (3, 18, 6)
    assert late.ratio == pytest.approx(3.0)
    assert (never.field, never.nuclei) == ("r00_c02", 0)
    assert never.reasons == ("planned: never begun",)
    report = counted_run(tmp_path / "again")
    close_run(report)
    assert "2 of 3 fields do not enter the ratio" in report.report.read_text()


def test_a_run_that_stopped_early_says_so_in_result_and_report(tmp_path):
    run = counted_run(tmp_path)
    stop = EarlyStop(
        reason="stopped early by the protocol's rule: 40 scorable nuclei",
        look=40,
        nuclei=40,
        areas=2,
        fields_taken=2,
        fields_left=1,
    )
    said = read_manifest(run).model_copy(update={"stopped_early": stop})
    write_manifest(run, said)
    result = close_run(run)
    assert result.stopped_early == stop
    assert f"{stop.reason}; 1 fields were not taken" in result.flags
    assert not any("have no result" in flag for flag in result.flags)
    assert "Stopped before the last field" in run.report.read_text()


def test_the_localizer_tells_how_many_nuclei_may_be_scored_and_no_ratio(tmp_path):
    counted_run(tmp_path)
    said = Facts(DataFolder(tmp_path)).scorable("r1")
    assert said["fields"] == {"r00_c00": 3, "r00_c01": 0}
    assert said["nuclei"] == 3
    assert set(said) == {"fields", "nuclei", "width"}


def test_a_person_does_not_bring_a_nucleus_of_such_a_field_in():
    case = Case(edits={"r00_c01/1": Edits(is_excluded=False, by="op", reason="mine")})
    seen = with_review(field_result("r00_c01", apart=("too late",)), case)
    assert all(nucleus.excluded for nucleus in seen.nuclei)
    seen = with_review(field_result("r00_c01"), case)
    assert not seen.nuclei[0].excluded


def unit_with_stack(channel, began, best_um):
    stack = StackRecord(
        z_um=(0.0,), frames=3, bytes=1, sha256="0" * 64, best_um=best_um
    )
    key = UnitKey(run="r1", field="r00_c00", channel=channel)
    verdict = UnitRecord(
        key=key, state=UnitState.COMPLETE, requested=1, delivered=1, written=1,
        published=0, started_utc=began, ended_utc=began, stack=stack,
    )  # fmt: skip
    return UnitHistory(key, verdict=verdict)


def test_the_drift_of_a_burst_is_from_its_stack_to_the_next(tmp_path):
    manifest = read_manifest(run_folder(tmp_path))
    first, second = "2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z"
    answering = {
        "488": unit_with_stack("488", second, 0.15),
        "561": unit_with_stack("561", first, -0.05),
    }
    assert drifts_um(manifest, answering) == {"561": pytest.approx(0.2)}
    answering["488"] = unit_with_stack("488", second, None)
    assert drifts_um(manifest, answering) == {}
