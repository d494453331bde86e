"""A run moves to a share: verified there first, resumable, and never half believed."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile
from run_folders import add_unit, make_run
from typer.testing import CliRunner

from her2sr_acq.cli import build
from her2sr_proc.errors import IntegrityError, RequestError, StateError
from her2sr_proc.offline import copying
from her2sr_proc.offline.offload import offload, read_list
from her2sr_proc.offline.release import release_old, release_raw
from her2sr_proc.offline.verify import verify
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter

UTC_TEXT = "2026-01-05T00:00:00Z"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
SIDE = 32


def quiet(*_):
    pass


def movie(frames, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(90, 400, (frames, SIDE, SIDE)).astype(np.uint16)


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "runs" / "r1", frames={"561": 40, "405": 20}, size=32)
    add_unit(folder, "561", movie(40))
    add_unit(folder, "405", movie(20, 2))
    return folder


@pytest.fixture
def share(tmp_path):
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


def copy(run, share, *, with_tiffs=False):
    return offload(run, share, quiet, utc=UTC_TEXT, with_tiffs=with_tiffs)


def names(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def key_of(run, channel):
    return next(key for key in read_ledger(run.ledger) if key.channel == channel)


def test_the_copy_is_the_run_and_a_list_of_its_digests(run, share):
    done = copy(run, share)
    there = names(share / "r1")
    listed = json.loads(there.pop("offload.json"))
    assert there == names(run.root)
    assert set(listed["files"]) == set(there)
    assert (done.copied, done.verified) == (len(there), 0)
    assert verify(RunFolder(share / "r1"), quiet).damage == ()


def test_doing_it_again_copies_only_what_is_missing_or_differs(run, share):
    copy(run, share)
    there = RunFolder(share / "r1")
    raw.chunk_path(there.raw(key_of(run, "561")), 1).write_bytes(b"rot")
    there.manifest.unlink()
    done = copy(run, share)
    assert done.copied == 2
    assert names(run.root).items() <= names(there.root).items()


def test_a_copy_that_does_not_read_back_is_no_copy(run, share, monkeypatch):
    monkeypatch.setattr(copying, "sha256_from_disk", lambda _: "0" * 64)
    with pytest.raises(IntegrityError, match="does not read back as it was copied"):
        copy(run, share)
    assert names(share / "r1") == {}


def test_a_killed_offload_is_finished_by_the_next(run, share):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from her2sr_proc.offline import copying, offload\n"
        "from her2sr_proc.store.layout import RunFolder\n"
        "real = copying.write_all\n"
        "def slowly(descriptor, data):\n"
        "    real(descriptor, data[:10])\n"
        "    time.sleep(0.3)\n"
        "    real(descriptor, data[10:])\n"
        "copying.write_all = slowly\n"
        "offload.offload(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]),\n"
        "    lambda *_: None, utc='2026-01-05T00:00:00Z', with_tiffs=False)\n"
    )
    argv = [sys.executable, "-c", code, str(run.root), str(share)]
    process = subprocess.Popen(argv)
    deadline = time.monotonic() + 30.0
    while len(names(share)) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10.0)
    assert read_list(share / "r1") is None
    with pytest.raises(StateError, match="no finished copy"):
        release_raw(run, share, quiet, utc=UTC_TEXT, reason="x")
    done = copy(run, share)
    assert done.verified >= 1
    there = names(share / "r1")
    assert not [name for name in there if "partial" in name]
    there.pop("offload.json")
    assert there == names(run.root)


def test_a_run_that_is_still_acquired_is_refused(run, share):
    with LineWriter(run.events) as events:
        state = {"kind": "state", "data": {"state": "running"}}
        events.append(json.dumps(state))
        events.append(json.dumps({"kind": "light", "data": {}}))
    with pytest.raises(StateError, match="r1 is running"):
        copy(run, share)
    lines = run.ledger.read_text().splitlines(keepends=True)
    run.ledger.write_text("".join(lines[:-1]))
    with pytest.raises(StateError, match="405 of r1 is still being acquired"):
        copy(run, share)
    assert list(share.iterdir()) == []


def test_an_unusable_share_is_one_sentence(run, share):
    with pytest.raises(RequestError, match="no folder; mount the share"):
        copy(run, share / "absent")
    with pytest.raises(RequestError, match="holds the run itself"):
        copy(run, run.root.parent)
    if os.geteuid() != 0:
        share.chmod(0o500)
        with pytest.raises(RequestError, match="takes no files"):
            copy(run, share)


class Full:
    """Takes so many bytes, then has no space."""

    def __init__(self, room):
        self.left = room

    def __call__(self, descriptor, data):
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.write(descriptor, data)


def test_a_share_that_fills_up_leaves_whole_files_alone(run, share, monkeypatch):
    monkeypatch.setattr(copying, "write_all", Full(room=30_000))
    with pytest.raises(RequestError, match=r"does not fit on the share \(No space"):
        copy(run, share)
    monkeypatch.undo()
    there = names(share / "r1")
    assert there
    assert there.items() <= names(run.root).items()
    assert copy(run, share).verified == len(there)


@pytest.fixture
def small_share(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_share_that_is_too_small_is_refused_before_anything_is_written(
    run, small_share
):
    with pytest.raises(RequestError, match="make room, or name another share"):
        copy(run, small_share)
    assert names(small_share) == {}


# --- TIFFs


def test_tiffs_have_the_papers_names_and_exactly_the_frames(run, share):
    done = copy(run, share, with_tiffs=True)
    assert done.tiffs == (
        "tiff/260101000000_s1_SR_561_s1-001.tif",
        "tiff/260101000000_s1_SR_405_s1-001.tif",
    )
    np.testing.assert_array_equal(
        tifffile.imread(share / "r1" / done.tiffs[0]), movie(40)
    )
    before = (share / "r1" / done.tiffs[0]).stat().st_ino
    copy(run, share, with_tiffs=True)
    assert (share / "r1" / done.tiffs[0]).stat().st_ino == before


def test_a_damaged_tiff_is_written_again(run, share):
    done = copy(run, share, with_tiffs=True)
    path = share / "r1" / done.tiffs[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="missing or not as it was copied"):
        copy(run, share)
    copy(run, share, with_tiffs=True)
    np.testing.assert_array_equal(tifffile.imread(path), movie(40))


# --- what has rotted here takes the place of nothing there


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def chunk(run, channel="561", block=0):
    return raw.chunk_path(run.raw(key_of(run, channel)), block)


def test_a_block_that_rotted_here_takes_the_place_of_no_good_copy(run, share):
    copy(run, share)
    (run.root / "note.txt").write_text("seen")
    flip(chunk(run))
    there = chunk(RunFolder(share / "r1"))
    with pytest.raises(IntegrityError) as refusal:
        copy(run, share)
    said = str(refusal.value)
    assert "block 0 of r00_c00/561 does not match its checksum in" in said
    assert f"the copy {there} is sound: bring it back to {chunk(run)}" in said
    assert verify(RunFolder(share / "r1"), quiet).damage == ()
    assert (share / "r1" / "note.txt").read_text() == "seen"
    shutil.copyfile(there, chunk(run))
    assert copy(run, share).copied == 0


def test_a_block_that_rotted_before_the_first_copy_is_left_out(run, share):
    flip(chunk(run))
    flip(chunk(run, block=1))
    with pytest.raises(IntegrityError, match=r"\(and 1 more like it\).*no sound copy"):
        copy(run, share)
    there = RunFolder(share / "r1")
    assert not chunk(there).exists()
    assert verify(there, quiet).damage == tuple(
        f"block {block} of r00_c00/561 is missing" for block in (0, 1)
    )
    with pytest.raises(IntegrityError, match=r"561.* is not in its copy"):
        release(run, share)
    assert len(list(run.units())) == 2


@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_raw_frames_stay_here_while_a_block_is_damaged_or_gone(
    tmp_path, share, form, is_gone
):
    run = make_run(tmp_path / "runs" / "r1", frames={"561": 40}, size=SIDE)
    add_unit(run, "561", movie(40), form=form)
    copy(run, share)
    path = chunk(run, block=2) if form == "ome-zarr" else run.raw(key_of(run, "561"))
    if not is_gone:
        flip(path, -100)
    elif form == "ome-zarr":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    said = call(run.root, share, "--remove-raw")
    assert said.exit_code == 1
    assert "block " in said.stderr
    assert "no raw frame is removed" in said.stderr
    assert len(list(run.units())) == 1
    assert verify(RunFolder(share / "r1"), quiet).damage == ()


def test_a_copy_of_rot_is_no_reason_to_remove_frames(run, share):
    good = chunk(run).read_bytes()
    copy(run, share)
    there = share / "r1"
    flip(chunk(RunFolder(there)))
    listed = json.loads((there / "offload.json").read_text())
    rotted = chunk(RunFolder(there))
    entry = listed["files"][rotted.relative_to(there).as_posix()]
    entry["sha256"] = copying.sha256(rotted)
    (there / "offload.json").write_text(json.dumps(listed))
    with pytest.raises(IntegrityError, match="block 0 of r00_c00/561 is damaged in"):
        release(run, share)
    assert chunk(run).read_bytes() == good


def test_a_block_missing_here_keeps_the_others(run, share):
    copy(run, share)
    chunk(run, block=3).unlink()
    with pytest.raises(IntegrityError, match=r"block 3 of .* is missing here"):
        release(run, share)
    assert len(list(run.units())) == 2


def test_what_rots_while_it_is_copied_is_not_copied(run, share, monkeypatch):
    real = copying.pieces
    reads = []

    def rotting(source):
        reads.append(source)
        is_second = reads.count(chunk(run)) == 2
        for piece in real(source):
            yield b"rot" if source == chunk(run) and is_second else piece

    monkeypatch.setattr(copying, "pieces", rotting)
    with pytest.raises(IntegrityError, match="reads otherwise than a moment ago"):
        copy(run, share)
    assert not chunk(RunFolder(share / "r1")).exists()


@pytest.mark.parametrize("bad", [b"", b'{"headline": '])
def test_an_emptied_result_takes_the_place_of_no_good_one(run, share, bad):
    run.result.parent.mkdir()
    run.result.write_text('{"headline": "sr"}')
    copy(run, share)
    run.result.write_bytes(bad)
    there = RunFolder(share / "r1").result
    with pytest.raises(IntegrityError, match=r"results/result.json is .*is sound"):
        copy(run, share)
    assert json.loads(there.read_text()) == {"headline": "sr"}
    assert "results/result.json" in read_list(share / "r1").files
    run.result.write_text('{"headline": "conventional"}')  # processed anew
    assert copy(run, share).copied == 1
    assert json.loads(there.read_text()) == {"headline": "conventional"}


def test_an_emptied_table_takes_the_place_of_no_full_one(run, share):
    run.counts.parent.mkdir()
    run.counts.write_text("run,field\n")
    copy(run, share)
    run.counts.write_text("")
    with pytest.raises(IntegrityError, match=r"results/counts.csv is empty"):
        copy(run, share)
    assert RunFolder(share / "r1").counts.read_text() == "run,field\n"


# --- raw frames leave this machine


def release(run, share):
    return release_raw(run, share, quiet, utc=UTC_TEXT, reason="asked for")


def test_raw_frames_are_removed_once_the_copy_is_read_again(run, share):
    copy(run, share)
    assert release(run, share) == 2
    assert list(run.units()) == []
    verdict = verify(run, quiet)
    assert verdict.damage == ()
    assert "by offload (asked for)" in verdict.discarded[0]
    assert verify(RunFolder(share / "r1"), quiet).blocks == 6
    assert release(run, share) == 0


def test_a_later_offload_keeps_the_frames_that_only_the_share_has(run, share):
    copy(run, share)
    release(run, share)
    (run.root / "note.txt").write_text("seen")
    assert copy(run, share).copied == 1
    there = RunFolder(share / "r1")
    assert verify(there, quiet).blocks == 6
    assert any(name.startswith("raw/") for name in read_list(there.root).files)


def test_a_corrupted_copy_keeps_the_frames_here(run, share):
    copy(run, share)
    chunk = raw.chunk_path(RunFolder(share / "r1").raw(key_of(run, "561")), 0)
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(IntegrityError, match="no raw frame was removed here"):
        release(run, share)
    assert len(list(run.units())) == 2


def test_frames_that_the_copy_lacks_keep_them_all_here(run, share):
    copy(run, share)
    listed = json.loads((share / "r1" / "offload.json").read_text())
    name = next(name for name in listed["files"] if name.startswith("raw/"))
    del listed["files"][name]
    (share / "r1" / "offload.json").write_text(json.dumps(listed))
    with pytest.raises(IntegrityError, match="is not in its copy"):
        release(run, share)
    assert len(list(run.units())) == 2


def test_the_rule_touches_only_old_runs_with_a_verified_copy(run, share, tmp_path):
    other = make_run(tmp_path / "runs" / "r2", frames={"561": 20}, size=SIDE)
    add_unit(other, "561", movie(20))
    copy(run, share)
    young = release_old([run, other], share, quiet, now=NOW, days=4)
    assert [(told.units, told.kept_because) for told in young] == [
        (0, "it ended less than 4 days ago")
    ] * 2
    old = release_old([run, other], share, quiet, now=NOW, days=3)
    assert [told.units for told in old] == [2, 0]
    assert "no finished copy of r2" in old[1].kept_because
    assert "older than 3 days" in verify(run, quiet).discarded[0]


def own_place_by_a_link(run, share):
    (share / "r1").symlink_to(run.root)


def own_frames_by_a_link(run, share):
    raw_there = share / "r1" / "raw"
    shutil.rmtree(raw_there)
    raw_there.symlink_to(run.root / "raw")


def own_frames_by_second_names(run, share):
    for path in (run.root / "raw").rglob("*"):
        if path.is_file():
            there = share / "r1" / path.relative_to(run.root)
            there.unlink()
            there.hardlink_to(path)


@pytest.mark.parametrize("trick", [own_frames_by_a_link, own_frames_by_second_names])
def test_frames_that_are_their_own_copy_are_not_removed(run, share, trick):
    copy(run, share)
    trick(run, share)
    with pytest.raises(IntegrityError, match="is no second copy"):
        release(run, share)
    assert len(list(run.units())) == 2
    assert verify(run, quiet).damage == ()
    assert not list(run.root.glob(".apart*"))


def test_a_share_that_leads_back_to_the_run_is_refused(run, share):
    own_place_by_a_link(run, share)
    before = names(run.root)
    with pytest.raises(RequestError, match="holds the run itself"):
        copy(run, share)
    assert names(run.root) == before


def test_a_second_mount_of_the_runs_is_no_share(run, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    mount = ["mount", "--bind", str(run.root.parent), str(again)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount here")
    try:
        with pytest.raises(RequestError, match="holds the run itself"):
            copy(run, again)
    finally:
        subprocess.run(["umount", str(again)], check=True)
    assert len(list(run.units())) == 2


def test_frames_on_another_disk_behind_a_link_are_not_left_out(run, share, tmp_path):
    (run.root / "raw").rename(tmp_path / "big")
    (run.root / "raw").symlink_to(tmp_path / "big")
    with pytest.raises(RequestError, match="raw of r1 is a symbolic link"):
        copy(run, share)
    assert list(share.iterdir()) == []


def test_a_file_in_the_place_of_the_copy_is_told(run, share):
    (share / "r1").write_text("mine")
    with pytest.raises(RequestError, match="is no folder; rename it"):
        copy(run, share)
    assert (share / "r1").read_text() == "mine"
    (kept,) = release_old([run], share, quiet, now=NOW, days=0)
    assert "Not a directory" in kept.kept_because


# --- the verb


def call(*arguments):
    return CliRunner().invoke(build(), ["offload", *map(str, arguments)])


def test_the_verb_copies_removes_and_says_what_it_did(run, share):
    said = call(run.root, share, "--tiff", "--remove-raw", "--json")
    assert said.exit_code == 0
    told = json.loads(said.stdout)
    assert told["units_removed_here"] == 2
    assert len(told["tiffs"]) == 2
    assert list(run.units()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["share"], 0),
        (["absent"], 2),
        (["share", "--retain-days", "1", "--tiff"], 2),
        (["share", "--retain-days", "1"], 0),
    ],
)
def test_exit_codes(run, tmp_path, share, arguments, code):
    where, *options = arguments
    said = call(run.root, tmp_path / where, *options)
    assert said.exit_code == code
    if code:
        assert said.stderr.splitlines()[-1].startswith("error: ")


def test_a_copy_that_was_changed_is_a_fault(run, share):
    call(run.root, share, "--tiff")
    tiff = next((share / "r1" / "tiff").iterdir())
    tiff.write_bytes(b"rot")
    assert call(run.root, share).exit_code == 1


def test_a_folder_of_runs_takes_the_rule(run, share):
    call(run.root, share)
    said = call(run.root.parent, share, "--retain-days", "0")
    assert said.exit_code == 0
    assert "r1: raw frames of 2 units removed" in said.stdout


def test_one_damaged_run_keeps_no_other_from_being_coded_anew(run):
    bad = run.root.parent / "a_bad"
    bad.mkdir()
    (bad / "manifest.json").write_text("{")
    said = CliRunner().invoke(build(), ["recompress", str(run.root.parent)])
    assert said.exit_code == 1
    assert "r1: 6 blocks coded anew" in said.stdout
    assert "manifest.json of a_bad is damaged" in said.stderr
    assert "restore it from a copy" in said.stderr
