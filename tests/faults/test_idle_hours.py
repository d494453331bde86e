"""Finished runs are coded anew while nobody measures, and never at anybody's cost."""

import subprocess
import sys
import time

import numpy as np
import pytest
from fake_microscope import make_config
from run_folders import add_unit, make_run
from stations import request, rig

from her2sr_acq.config_storage import IdleConfig, StorageConfig
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.idle import Idle
from her2sr_proc.offline.idle import code_all
from her2sr_proc.offline.recompress import is_dense
from her2sr_proc.offline.verify import verify
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines

SIDE = 128
LONG = (sys.executable, "-c", "import time; time.sleep(60)")


def quiet(*_):
    pass


def movie(frames, seed=1):
    rng = np.random.default_rng(seed)
    return rng.poisson(300, (frames, SIDE, SIDE)).astype(np.uint16)


@pytest.fixture
def data(tmp_path):
    for name in ("r1", "r2"):
        run = make_run(tmp_path / "runs" / name, frames={"561": 200}, size=SIDE)
        add_unit(run, "561", movie(200))
    return DataFolder(tmp_path)


@pytest.fixture
def empty(tmp_path):
    return DataFolder(tmp_path)


class Hours:
    """A clock that is set by hand."""

    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


def idle(data, hours, *, config=None, percent=5.0, command=LONG):
    config = config or IdleConfig(after_min=10)
    return Idle(config, data, clock=hours, busy=lambda: percent, command=command)


def after(work, hours, minutes, *, is_free=True):
    """Look every half minute, and return whether the process runs then."""
    for _ in range(2 * minutes):
        hours.s += 30.0
        work.look(is_free=is_free)
    return work.pid is not None


def test_it_is_off_unless_the_configuration_says_so(empty):
    hours = Hours()
    assert StorageConfig().recompress_idle is None
    with Idle(None, empty, clock=hours, command=LONG) as work:
        assert not after(work, hours, 600)


@pytest.mark.parametrize(
    ("percent", "is_free", "begins"),
    [(5.0, True, True), (80.0, True, False), (5.0, False, False)],
    ids=["rests", "busy", "in a run"],
)
def test_it_begins_after_ten_minutes_of_rest_alone(empty, percent, is_free, begins):
    hours = Hours()
    with idle(empty, hours, percent=percent) as work:
        assert not after(work, hours, 9, is_free=is_free)
        assert after(work, hours, 2, is_free=is_free) is begins


def test_what_needs_the_machine_has_it_at_once(empty):
    hours = Hours()
    with idle(empty, hours) as work:
        assert after(work, hours, 11)
        pid, began = work.pid, time.monotonic()
        work.make_way()
        assert time.monotonic() - began < 1.0
        assert work.pid is None
        assert subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode
        assert not after(work, hours, 9)
        assert after(work, hours, 2)


def test_where_nothing_is_left_it_waits_for_the_next_run(empty):
    hours = Hours()
    with idle(empty, hours, command=(sys.executable, "-c", "pass")) as work:
        assert after(work, hours, 11)
        while work.pid is not None:
            work.look(is_free=True)
            time.sleep(0.01)
        assert not after(work, hours, 60)
        after(work, hours, 1, is_free=False)
        assert after(work, hours, 11)


def test_killed_by_somebody_it_goes_on_after_the_next_rest_three_times_at_most(empty):
    hours, starts = Hours(), 0
    killed = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    with idle(empty, hours, command=killed) as work:
        while after(work, hours, 11):
            starts += 1
            while work.pid is not None:
                work.look(is_free=True)
                time.sleep(0.01)
            assert not after(work, hours, 9)
        assert starts == 3
        after(work, hours, 1, is_free=False)  # a run comes, and goes
        assert after(work, hours, 11)


def coder(data):
    words = [sys.executable, "-m", "her2sr_proc.offline.idle", "--data", data.root]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def test_killed_in_the_middle_nothing_is_lost_and_it_goes_on(data):
    run = data.run("r1")
    with coder(data) as process:
        while not any('"replaces":"' in line for line in read_lines(run.ledger)):
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
    assert verify(run, quiet).damage == ()
    assert not is_dense(run)
    with coder(data) as process:
        told = process.communicate()[1]
    assert process.returncode == 0, told
    for name in ("r1", "r2"):
        assert is_dense(data.run(name))
        assert verify(data.run(name), quiet).damage == ()
    (history,) = read_ledger(run.ledger).values()
    found = [raw.read_block(run.raw(history.key), r) for r in history.records()]
    np.testing.assert_array_equal(np.concatenate(found), movie(200))


def test_a_damaged_run_is_passed_and_told(data, caplog):
    run = data.run("r1")
    (history,) = read_ledger(run.ledger).values()
    chunk = raw.chunk_path(run.raw(history.key), 3)
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    assert code_all(data) == 1
    assert is_dense(data.run("r2"))
    assert "r1 is left as it is: block 3 of r00_c00/561" in caplog.text


def test_a_service_codes_its_finished_run_when_it_has_rested(tmp_path):
    resting = StorageConfig(recompress_idle=IdleConfig(after_min=0, load_percent=100))
    config = make_config().model_copy(update={"storage": resting})
    hours = Hours()
    clock = Clock(monotonic=lambda: time.monotonic() + hours.s)
    with rig(tmp_path, config=config, clock=clock) as engine:
        folder = DataFolder(tmp_path).run(engine.take().id)
        hours.s = 60.0
        until = time.monotonic() + 30.0
        while not is_dense(folder):
            engine.desk.rest()
            assert time.monotonic() < until
            time.sleep(0.02)
        engine.desk.submit(request())  # kills what may still run, and is not hindered
        assert engine.finish().state == "completed"
        engine.desk.helm.close()
    assert verify(folder, quiet).damage == ()
