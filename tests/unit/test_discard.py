"""Raw frames go only when a protocol asks and their results are proven."""

import shutil

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_acq.plan.models import EveryNth
from her2sr_acq.storage import discard_raw
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.store import raw
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter

SIDE = 48


def quiet(*_):
    pass


def movie(frames, seed):
    rng = np.random.default_rng(seed)
    adu = rng.poisson(140, (frames, SIDE, SIDE)).astype(np.uint16)
    adu[:, 20:23, 20:23] += 300
    return adu


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "r1", frames={"561": 40, "405": 20}, size=SIDE)
    add_unit(folder, "561", movie(40, 1))
    add_unit(folder, "405", movie(20, 2))
    process_run(folder, quiet)
    return folder


def test_frames_that_stand_as_tiff_go_the_same_way(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 40}, size=SIDE)
    key = add_unit(run, "561", movie(40, 1), form="ome-tiff")
    process_run(run, quiet)
    assert verify(run, quiet).is_sound
    told = discard(run, EveryNth(every_nth=7))
    assert told == ["r00_c00/561: 40 raw frames discarded, 6 kept"]
    assert not run.raw(key, "ome-tiff").exists()
    kept = raw.open_array(run.raw_kept(key, 7))
    np.testing.assert_array_equal(kept[:], movie(40, 1)[::7])
    assert verify(run, quiet).is_sound


def discard(run, policy):
    with LineWriter(run.ledger) as ledger:
        return discard_raw(
            run,
            policy,
            lambda line: ledger.append(line.model_dump_json()),
            lambda: "2026-01-02T00:00:00Z",
        )


def keys(run):
    return {key.channel: key for key in read_ledger(run.ledger)}


def test_a_protocol_that_keeps_all_removes_nothing(run):
    assert discard(run, "all") == []
    assert verify(run, quiet).blocks == 6


def test_proven_results_let_the_frames_go_and_the_ledger_says_so(run):
    told = discard(run, "localizations")
    assert told == [
        "r00_c00/561: 40 raw frames discarded, 0 kept",
        "r00_c00/405: 20 raw frames discarded, 0 kept",
    ]
    assert list(run.units()) == []
    verdict = verify(run, quiet)
    assert verdict.is_sound
    assert verdict.accounting.written == 60
    assert "40 raw frames discarded" in verdict.discarded[0]


def test_processing_again_leaves_the_tables_and_images_that_are_there(run):
    discard(run, "localizations")
    files = [
        path
        for folder in ("localizations", "images")
        for path in (run.root / folder).rglob("*.*")
    ]
    before = {path: path.read_bytes() for path in files}
    process_run(run, quiet)
    assert {path: path.read_bytes() for path in files} == before


def test_every_nth_frame_stays_and_is_checked(run):
    told = discard(run, EveryNth(every_nth=10))
    assert told[0] == "r00_c00/561: 40 raw frames discarded, 4 kept"
    path = run.raw_kept(keys(run)["561"], 10)
    np.testing.assert_array_equal(raw.open_array(path)[:], movie(40, 1)[::10])
    assert verify(run, quiet).is_sound
    raw.chunk_path(path, 0).write_bytes(b"rot")
    assert "kept frames: block 0" in verify(run, quiet).damage[0]


@pytest.mark.parametrize(
    ("lose", "why"),
    [
        (lambda run, key: run.table(key).unlink(), "cannot be read as Parquet"),
        (
            lambda run, key: run.image("r00_c00", "561", "fluctuation_fine").unlink(),
            "cannot be read as TIFF",
        ),
        (lambda run, key: run.field_result("r00_c00").unlink(), "no result yet"),
    ],
)
def test_frames_stay_while_a_result_that_needs_them_is_not_proven(run, lose, why):
    lose(run, keys(run)["561"])
    told = discard(run, "localizations")
    assert "r00_c00/561: raw frames are kept, since" in told[0]
    assert why in told[0]
    assert "561" in {key.channel for key in run.units()}


def test_a_partial_unit_keeps_its_frames(tmp_path):
    run = make_run(tmp_path / "r1", frames={"561": 40}, size=SIDE)
    add_unit(run, "561", movie(30, 1), requested=40)
    process_run(run, quiet)
    assert discard(run, "localizations") == [
        "r00_c00/561: raw frames are kept, since it is not complete"
    ]


def test_a_kept_frame_that_cannot_be_read_keeps_them_all(run):
    raw.chunk_path(run.raw(keys(run)["561"]), 2).write_bytes(b"rot")
    told = discard(run, EveryNth(every_nth=10))
    assert "561: raw frames are kept, since block 2" in told[0]
    assert read_ledger(run.ledger)[keys(run)["561"]].discarded is None


def test_a_crash_after_the_ledgers_line_is_made_good_the_next_time(run):
    key = keys(run)["561"]
    aside = run.root / "aside"
    shutil.copytree(run.raw(key), aside)
    discard(run, "localizations")
    shutil.move(aside, run.raw(key))  # as if the removal had not come to pass
    lines = run.ledger.read_text()
    discard(run, "localizations")
    assert not run.raw(key).exists()
    assert run.ledger.read_text() == lines
