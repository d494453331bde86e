"""Raw frames are rewritten or removed by one call alone, and read by none meanwhile."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from run_folders import add_unit, make_run
from stations import protocol, request, rig

from her2sr_acq.errors import RunConflictError
from her2sr_acq.verbs import recover
from her2sr_proc.errors import StateError
from her2sr_proc.offline.offload import offload
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.recompress import is_dense, recompress
from her2sr_proc.offline.release import release_raw
from her2sr_proc.offline.verify import verify
from her2sr_proc.store import raw, raw_hold
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines
from her2sr_proc.store.raw_hold import RawHold

SIDE = 64
UTC = "2026-01-05T00:00:00Z"
HOLDER = """
import sys
from pathlib import Path
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.raw_hold import RawHold
with RawHold(RunFolder(Path(sys.argv[1])), alone=sys.argv[2] == "alone"):
    print("held", flush=True)
    sys.stdin.read()
"""


def quiet(*_):
    pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_hold, "PATIENCE_S", 0.1)
    folder = make_run(tmp_path / "runs" / "r1", frames={"561": 40}, size=SIDE)
    rng = np.random.default_rng(1)
    add_unit(folder, "561", rng.poisson(300, (40, SIDE, SIDE)).astype(np.uint16))
    return folder


@pytest.fixture
def share(tmp_path):
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@contextmanager
def another(run, how):
    """Yield a process that has the frames of a run, as one of many or alone."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.root), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def calls(run, share):
    return {
        "recompress": lambda: recompress(run, quiet),
        "release": lambda: release_raw(run, share, quiet, utc=UTC, reason="test"),
        "offload": lambda: offload(run, share, quiet, utc=UTC, with_tiffs=False),
        "process": lambda: process_run(run, quiet),
    }


@pytest.mark.parametrize("verb", ["recompress", "release", "offload", "process"])
def test_nobody_touches_frames_that_another_process_rewrites(run, share, verb):
    with another(run, "alone") as holder:
        said = rf"raw frames of r1 \(process {holder.pid}\); wait for its end"
        with pytest.raises(StateError, match=said):
            calls(run, share)[verb]()
    assert list(share.iterdir()) == []
    assert verify(run, quiet).damage == ()


@pytest.mark.parametrize("verb", ["recompress", "release"])
def test_nobody_rewrites_frames_that_another_process_reads(run, share, verb):
    with another(run, "as one of many"), pytest.raises(StateError, match="at work on"):
        calls(run, share)[verb]()


def test_many_may_read_at_once(run, share):
    with another(run, "as one of many"), another(run, "as one of many"):
        calls(run, share)["offload"]()
    assert [copy.name for copy in share.iterdir()] == [run.name]


def test_a_killed_holder_has_let_go(run):
    with another(run, "alone") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert recompress(run, quiet).blocks == 4


def test_the_command_says_so_in_one_sentence_and_ends_with_2(run):
    command = "from her2sr_acq.cli import main; main()"
    with another(run, "alone"):
        words = [sys.executable, "-c", command, "recompress", str(run.root)]
        done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: another call is at work on the raw frames of r1")


def test_two_copies_to_one_place_do_not_meet(run, share):
    met = []

    def second(what, *_):
        if what.startswith("copying") and not met:
            with pytest.raises(StateError, match="another call is at work on") as told:
                offload(run, share, quiet, utc=UTC, with_tiffs=False)
            met.append(told)

    done = offload(run, share, second, utc=UTC, with_tiffs=False)
    assert met
    assert verify(RunFolder(done.folder), quiet).damage == ()


def test_frames_are_not_rewritten_while_they_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_hold, "PATIENCE_S", 0.0)
    said = []

    def write(path, *words):
        folder = path.parents[2]
        try:
            with RawHold(RunFolder(folder), alone=True):
                said.append("taken away")
        except StateError:
            said.append("refused")
        return raw.write_block(path, *words)

    with rig(tmp_path, write_block=write) as engine:
        view = engine.take()
    assert view.state == "completed"
    assert set(said) == {"refused"}


@pytest.mark.parametrize("is_read", [True, False])
def test_frames_that_may_go_stay_while_somebody_reads_them(tmp_path, is_read):
    plan = protocol().model_copy(update={"keep_raw": "localizations"})
    with ExitStack() as readers:

        def write(path, *words):
            if is_read:
                readers.enter_context(RawHold(RunFolder(path.parents[2])))
            return raw.write_block(path, *words)

        with rig(tmp_path, write_block=write) as engine:
            view = engine.take(request(plan=plan))
    folder = DataFolder(tmp_path).run(view.id)
    all_kept = any("all are kept" in line for line in read_lines(folder.events))
    assert all_kept is is_read


def test_a_field_is_not_taken_again_while_its_run_is_rewritten(tmp_path):
    with rig(tmp_path) as engine:
        view = engine.take()
        folder = DataFolder(tmp_path).run(view.id)
        with (
            another(folder, "alone"),
            pytest.raises(RunConflictError, match="another call is at work"),
        ):
            engine.desk.helm.retake(view.id, "r00_c00", None)
        assert engine.desk.run(view.id).state == "completed"
        engine.desk.helm.retake(view.id, "r00_c00", None)
        engine.desk.start_due()
        assert engine.finish().state == "completed"


def test_frames_coded_in_idle_hours_are_had_at_once_by_others(run, monkeypatch):
    monkeypatch.setattr(raw_hold, "PATIENCE_S", 3.0)
    add_unit(run, "561", np.zeros((400, SIDE, SIDE), np.uint16), field="r00_c01")

    def between(hold):
        time.sleep(0.1)
        hold.stand_aside()

    with pytest.raises(StateError, match="at work"), another_thread(run):
        recompress(run, quiet, between=between)
    assert not is_dense(run)
    assert verify(run, quiet).damage == ()


@contextmanager
def another_thread(run):
    """Have a thread wait for the frames of a run, and keep them until the end."""
    had, enough = threading.Event(), threading.Event()

    def wait():
        time.sleep(0.2)
        with RawHold(run):
            had.set()
            enough.wait(10.0)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
        assert had.is_set()


def test_recover_leaves_alone_what_another_call_is_writing(run, tmp_path):
    (key,) = read_ledger(run.ledger)
    beside = raw.chunk_path(run.raw(key), 1).with_name(".0.partial-1")
    beside.write_bytes(b"half a block")
    with another(run, "alone"):
        (left,) = [f for f in recover.apply(tmp_path) if f.found == "half-written"]
        assert left.act.startswith("left alone: another call is at work")
    assert beside.exists()
    assert [f.act for f in recover.apply(tmp_path)] == ["removed"]
    assert not beside.exists()


def test_a_check_calls_frames_that_go_meanwhile_no_damage(run, share):
    offload(run, share, quiet, utc=UTC, with_tiffs=False)
    gone = []

    def meanwhile(*_):
        if not gone:
            gone.append(release_raw(run, share, quiet, utc=UTC, reason="test"))

    assert verify(run, meanwhile).damage == ()
    assert gone == [1]
