"""Whatever becomes of acq, the light is off within a second, seen from its own side."""

import os
import random
import signal
import time

import pytest
from guards import guard_bench, until

OFF_S = 1.0


@pytest.fixture
def bench(tmp_path):
    with guard_bench(tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_acq_is_ended_or_stopped_from_outside_at_any_moment(bench, signum, seed):
    bench.start("work")
    pid = bench.acq_pid()
    time.sleep(random.Random(seed).uniform(0.0, 0.5))
    assert bench.lights.is_lit
    moment = time.monotonic()
    os.kill(pid, signum)
    assert bench.lights.seconds_lit_after(moment) < OFF_S
    until(lambda: bench.stands_after(1))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "kind", ["segfault", "wild pointer", "hang", "lock", "hang up", "exit"]
)
def test_acq_fails_by_itself_at_any_moment(bench, kind, seed):
    after_s = random.Random(seed).uniform(0.0, 0.5)
    bench.start(kind, FAKE_AFTER_S=f"{after_s:.3f}")
    moment = bench.fault_at()
    assert bench.lights.seconds_lit_after(moment) < OFF_S
    until(lambda: bench.stands_after(1) or kind == "exit")
