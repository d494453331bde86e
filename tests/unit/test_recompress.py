"""Raw frames are coded anew without a bit lost, whenever it is interrupted."""

import numpy as np
import pytest
import zarr
from run_folders import add_unit, make_run

from her2sr_acq.plan.models import RawPlan
from her2sr_proc.errors import IntegrityError, StateError, WriteError
from her2sr_proc.offline import recompress as recompressing
from her2sr_proc.offline.recompress import recompress
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw, raw_zarr
from her2sr_proc.store.ledger import read_ledger

SIDE = 64
MOVIE = np.random.default_rng(1).poisson(300, (40, SIDE, SIDE)).astype(np.uint16)


def quiet(*_):
    pass


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "r1", frames={"561": 40}, size=SIDE)
    add_unit(folder, "561", MOVIE)
    return folder


def array(run):
    return run.raw(next(run.units()))


def frames(run):
    (history,) = read_ledger(run.ledger).values()
    return np.concatenate([raw.read_block(array(run), r) for r in history.records()])


def chunks(run):
    return [raw.chunk_path(array(run), block).read_bytes() for block in range(4)]


def test_every_bit_stays_and_the_files_are_smaller(run):
    before = sum(map(len, chunks(run)))
    done = recompress(run, quiet)
    assert (done.blocks, done.bytes_before) == (4, before)
    assert done.bytes_after == sum(map(len, chunks(run))) < 0.95 * before
    np.testing.assert_array_equal(frames(run), MOVIE)
    assert verify(run, quiet).damage == ()
    assert verify(run, quiet).blocks == 4


def test_other_programs_read_what_was_coded_anew(run):
    recompress(run, quiet)
    array_ = zarr.open_array(store=str(array(run) / "0"), mode="r")
    np.testing.assert_array_equal(array_[:], MOVIE)
    assert raw_zarr.coding_of(array(run)) == "dense"


def test_doing_it_again_changes_nothing(run):
    recompress(run, quiet)
    ledger, held = run.ledger.read_bytes(), chunks(run)
    again = recompress(run, quiet)
    assert (again.blocks, again.already) == (0, 4)
    assert (run.ledger.read_bytes(), chunks(run)) == (ledger, held)


class Killed(BaseException):
    """The end of the process, at a chosen moment."""


@pytest.mark.parametrize("at", ["write_new", "require_same", "sync_folder"])
@pytest.mark.parametrize("block", [0, 2])
def test_a_kill_at_any_moment_leaves_a_sound_run_that_can_go_on(
    run, monkeypatch, at, block
):
    true, calls = getattr(recompressing, at), []

    def dying(*words):
        calls.append(words)
        if len(calls) > block:
            raise Killed
        return true(*words)

    monkeypatch.setattr(recompressing, at, dying)
    with pytest.raises(Killed):
        recompress(run, quiet)
    monkeypatch.undo()
    assert verify(run, quiet).damage == ()
    np.testing.assert_array_equal(frames(run), MOVIE)
    recompress(run, quiet)
    assert raw_zarr.coding_of(array(run)) == "dense"
    np.testing.assert_array_equal(frames(run), MOVIE)
    assert verify(run, quiet).damage == ()


def test_a_kill_between_the_ledger_and_the_chunk_is_sound_too(run, monkeypatch):
    held = chunks(run)[0]
    recompress(run, quiet)
    raw.chunk_path(array(run), 0).write_bytes(held)  # as if it were not renamed
    assert verify(run, quiet).damage == ()
    assert recompress(run, quiet).blocks == 1
    assert chunks(run)[0] != held
    assert verify(run, quiet).damage == ()


def test_a_damaged_block_is_named_and_left_alone(run):
    path = raw.chunk_path(array(run), 1)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    damaged = path.read_bytes()
    with pytest.raises(IntegrityError, match=r"block 1 of r00_c00/561"):
        recompress(run, quiet)
    assert path.read_bytes() == damaged


def test_a_run_that_still_goes_on_is_refused(run):
    lines = run.ledger.read_text().splitlines(keepends=True)
    run.ledger.write_text("".join(lines[:-1]))
    with pytest.raises(StateError, match="still being acquired"):
        recompress(run, quiet)


def test_a_burst_can_be_coded_densely_at_once(tmp_path):
    path = tmp_path / "561.ome.zarr"
    shape = raw.RawShape(40, SIDE, SIDE, 10)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x", coding="dense")
    for block in range(4):
        raw.write_block(path, block, MOVIE[block * 10 :][:10])
    np.testing.assert_array_equal(raw.open_array(path)[:], MOVIE)
    dense = sum(raw.chunk_path(path, n).stat().st_size for n in range(4))
    fast = sum(len(raw_zarr.prepare(MOVIE[n * 10 :][:10]).data) for n in range(4))
    assert dense < 0.95 * fast


def test_a_tiff_cannot_be_coded_densely():
    with pytest.raises(ValueError, match="an ome-tiff is not coded"):
        RawPlan(format="ome-tiff", coding="dense")


def test_a_unit_key_without_frames_is_passed_over(tmp_path):
    run = make_run(tmp_path / "r2", frames={"561": 40}, size=SIDE)
    add_unit(run, "561", MOVIE, form="ome-tiff")
    assert recompress(run, quiet).blocks == 0
    assert isinstance(next(run.units()), UnitKey)


def test_what_a_kill_left_beside_a_chunk_is_swept_away(run):
    chunk = raw.chunk_path(array(run), 1)
    left = chunk.with_name(".0.partial-1")
    left.write_bytes(b"half a block")
    recompress(run, quiet)
    assert not left.exists()


def test_two_calls_at_once_do_not_meet(run):
    def second(_, done, __):
        if done == 1:  # the second waits a while before it gives up
            with pytest.raises(StateError, match="another call is at work"):
                recompress(run, quiet)

    assert recompress(run, second).blocks == 4
    assert verify(run, quiet).damage == ()


def test_a_check_at_the_same_time_finds_no_damage(run):
    begun = []

    def meanwhile(*_):
        if not begun:
            begun.append(True)
            recompress(run, quiet)

    assert verify(run, meanwhile).damage == ()
    assert begun


def test_a_full_disk_is_told_in_a_sentence_and_changes_nothing(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    held = chunks(run), run.ledger.read_bytes()
    monkeypatch.setattr(recompressing, "write_new", full)
    with pytest.raises(WriteError, match="make room"):
        recompress(run, quiet)
    assert (chunks(run), run.ledger.read_bytes()) == held
    assert verify(run, quiet).damage == ()
