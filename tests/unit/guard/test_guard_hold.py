"""One guard a folder, and the acq that a dead guard left: found, word or no word."""

import errno
import os
import subprocess
import sys

import pytest

from her2sr_acq.errors import RunConflictError
from her2sr_acq.guard.hold import GUARDED, GuardHold, last_runtime, leftover
from her2sr_proc.store.layout import DataFolder


@pytest.fixture
def acq(tmp_path):
    """A process that looks like the acq of this folder."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()", GUARDED, str(tmp_path)],
        stdin=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def test_two_guards_cannot_hold_one_folder(tmp_path):
    again = GuardHold(tmp_path, tmp_path)
    with GuardHold(tmp_path, tmp_path), pytest.raises(RunConflictError):
        again.__enter__()


def test_the_word_of_a_dead_guard_leads_to_its_acq(tmp_path, acq):
    hold = GuardHold(tmp_path, tmp_path)
    hold.__enter__()
    hold.note_acq(acq.pid)
    os.close(hold._descriptor)  # as when the guard dies: nothing is tidied up
    assert leftover(tmp_path) == acq.pid


def test_a_word_that_a_full_disk_kept_back_is_not_needed(
    tmp_path, acq, monkeypatch, caplog
):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    with GuardHold(tmp_path, tmp_path) as hold:
        monkeypatch.setattr(os, "pwrite", full)
        hold.note_acq(acq.pid)
    assert "cannot be written down" in caplog.text
    assert leftover(tmp_path) == acq.pid


def test_a_guard_that_ended_in_order_leaves_nobody(tmp_path):
    with GuardHold(tmp_path, tmp_path) as hold:
        hold.note_acq(os.getpid())
    assert leftover(tmp_path) is None
    assert DataFolder(tmp_path).guard.read_text().strip() == str(tmp_path)


def test_a_guard_leaves_word_of_where_it_can_be_asked_or_its_successor(tmp_path):
    runtime = tmp_path / "rün"
    runtime.mkdir()
    assert last_runtime(tmp_path) is None
    with GuardHold(tmp_path, tmp_path):
        assert last_runtime(tmp_path) == tmp_path
    with GuardHold(tmp_path, runtime) as hold:
        hold.note_acq(os.getpid())
    assert last_runtime(tmp_path) == runtime
    runtime.rmdir()
    assert last_runtime(tmp_path) is None


def test_a_lock_of_an_earlier_program_names_acq_alone(tmp_path, acq):
    DataFolder(tmp_path).guard.write_text(str(acq.pid).ljust(16))
    assert leftover(tmp_path) == acq.pid
    assert last_runtime(tmp_path) is None
