"""A data folder on a share without a lock service: refused where two could take it.

What only reads, and what works on one run, goes on without a lock.
"""

import errno
import fcntl
import os
import subprocess
import sys

import numpy as np
import pytest
from microscopes import write_config
from run_folders import add_unit, make_run
from short import short_folder
from struck_libc import LOCKLESS, compiled

from her2sr_acq.errors import ConfigError
from her2sr_acq.guard.hold import GuardHold
from her2sr_acq.ownership import Hold, Holder, holder, require_locks
from her2sr_acq.verbs import recover
from her2sr_proc.offline.casefile import alone
from her2sr_proc.offline.recompress import recompress
from her2sr_proc.offline.verify import verify
from her2sr_proc.store.raw_hold import RawHold

NO_LOCKS = "file system that knows no locks .*choose a folder on a disk of this"
ME = Holder(pid=1, started_utc="", configuration="fake", runtime="/run/x")
COMMAND = "from her2sr_acq.cli import main; main()"


def quiet(*_):
    pass


@pytest.fixture
def lockless(monkeypatch):
    def refuse(_descriptor, _kind):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "runs" / "r1", frames={"561": 20}, size=32)
    rng = np.random.default_rng(1)
    add_unit(folder, "561", rng.poisson(300, (20, 32, 32)).astype(np.uint16))
    return folder


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(require_locks, id="a launcher"),
        pytest.param(lambda data: Hold(data, ME).__enter__(), id="a hardware process"),
        pytest.param(lambda data: GuardHold(data, data).__enter__(), id="a guard"),
        pytest.param(lambda data: list(recover.apply(data)), id="recover --apply"),
    ],
)
def test_who_must_be_alone_is_refused_in_one_sentence(lockless, run, tmp_path, take):
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ConfigError, match=NO_LOCKS):
        take(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_nobody_is_named_by_a_text_that_no_lock_stands_behind(lockless, tmp_path):
    (tmp_path / "daemon.json").write_text(ME.model_dump_json())
    assert holder(tmp_path) is None


def test_one_run_is_read_verified_and_coded_anew_without_a_lock(lockless, run):
    assert recompress(run, quiet).blocks > 0
    with RawHold(run, alone=True) as hold:
        hold.stand_aside()
    with alone(run.case, within_s=0.1):
        pass
    assert verify(run, quiet).damage == ()


@pytest.mark.timeout(60)
def test_the_command_ends_with_2_and_leaves_nothing_behind(tmp_path):
    library = compiled(tmp_path, "lockless", LOCKLESS)
    if library is None:
        pytest.skip("no compiler makes the library that lets flock fail")
    with short_folder() as folder:
        config, data = write_config("simulated", folder), folder / "data"
        words = ["serve", "--config", str(config), "--data", str(data)]
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *words],
            env=os.environ | {"LD_PRELOAD": str(library), "LOCKLESS_FOLDER": str(data)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        left = [p.name for p in data.rglob("*") if p.is_file() and p.stat().st_size]
    assert done.returncode == 2, done.stderr
    assert "No locks available" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert left == []
