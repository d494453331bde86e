"""Only fields of one moment, one hold and undimmed dyes enter the ratio."""

import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.offline.entering import apart_reasons
from her2sr_proc.schema.ledger import FocusRecord, UnitState
from her2sr_proc.schema.manifest import ImportedMovie
from her2sr_proc.store.ledger import counted_attempts, read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest, write_manifest

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
