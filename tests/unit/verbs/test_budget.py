"""What a burst cost, and what gives out first."""

import os
import socket
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.verbs import rate
from her2sr_acq.verbs.budget import budget_of
from her2sr_acq.verbs.rate import Burst, Look, poll
from her2sr_acq.verbs.stages import Bounds
from her2sr_acq.verbs.usage import ENDED, Usage, usage_of
from her2sr_proc.threads import name_here

AMPLE = Bounds(cores=2, memory_gb_per_s=20.0, copy_gb_per_s=10.0, disk_gb_per_s=1.0)
ENGINE, FRAMES = ("acq", "engine"), ("localizer", "frames")


def burst(*, localized_per_s=33.0, engine=0.2, frames=0.5, others=0.0):
    """Ten seconds of a burst of 2048 x 2048, a look a second."""
    looks = []
    for second in range(11):
        cpu = {ENGINE: engine * second, FRAMES: frames * second}
        used = Usage(cpu, {"acq": 900.0}, (engine + frames + others) * second)
        done = int(localized_per_s * second)
        looks.append(Look(100.0 + second, 33 * second, done, used))
    return Burst(330, 2048, looks)


def test_only_the_steady_state_counts():
    found = budget_of(burst(), AMPLE, ratio=2.0)
    assert found.seconds == 6.0
    assert found.written_per_s == pytest.approx(33.0)
    assert found.cores[ENGINE] == pytest.approx(0.2)
    assert found.per_gb(ENGINE) == pytest.approx(0.2 / (33 * 2 * 2048**2 / 1e9))


def test_threads_that_end_with_the_last_frame_are_counted_until_then():
    seen = burst()
    last = seen.looks[-1]
    left = {FRAMES: last.usage.cpu_s[FRAMES]}
    seen.looks[-1] = replace(last, usage=replace(last.usage, cpu_s=left))
    assert budget_of(seen, AMPLE, ratio=2.0).cores[ENGINE] == pytest.approx(0.2)


def test_a_localizer_that_does_half_would_need_twice():
    whole = budget_of(burst(), AMPLE, ratio=2.0)
    half = budget_of(burst(localized_per_s=16.5), AMPLE, ratio=2.0)
    assert half.per_gb(FRAMES) == pytest.approx(2.0 * whole.per_gb(FRAMES), rel=0.02)
    assert half.lag_s[1] > half.lag_s[0]


@pytest.mark.parametrize(
    ("seen", "bounds", "name"),
    [
        ({"engine": 0.9}, AMPLE, "acq, engine"),
        ({"frames": 1.7}, AMPLE, "all processors"),
        ({}, Bounds(2, 2.0, 10.0, 1.0), "memory"),
        ({}, Bounds(2, 20.0, 10.0, 0.1), "disk"),
        ({}, Bounds(2, 20.0, 0.4, 1.0), "the two copies of MMCore"),
    ],
)
def test_the_bottleneck_is_what_is_asked_most_of(seen, bounds, name):
    assert budget_of(burst(**seen), bounds, ratio=2.0).bottleneck.name == name


def test_a_busy_machine_is_told_from_a_slow_program():
    starved = burst(localized_per_s=10.0, frames=0.1, others=1.5)
    found = budget_of(starved, AMPLE, ratio=2.0)
    assert found.is_behind
    assert found.others == pytest.approx(1.5)
    assert not budget_of(burst(), AMPLE, ratio=2.0).is_behind


def test_a_burst_that_is_over_at_once_has_no_steady_state():
    short = Burst(330, 2048, burst().looks[:2])
    with pytest.raises(ServiceUnavailableError, match="ask for more with --frames"):
        budget_of(short, AMPLE, ratio=2.0)


class Service:
    """A service with one run, as it is seen look by look."""

    url, runtime, pids = "http://here", None, {}

    def __init__(self, *views):
        self._views = list(views)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def check(self):
        pass

    def submit(self, _):
        return self._views[0]

    def run(self, _):
        return self._views.pop(0)


def run_view(state, done, reason=""):
    return RunView(
        id="r1",
        state=state,
        phase="",
        protocol="full_rate",
        sample="s",
        operator="o",
        created_utc="2026-01-01T00:00:00Z",
        frames_done=done,
        frames_requested=200,
        units_total=1,
        reason=reason,
        folder="r1",
    )


@pytest.mark.parametrize("done", [66, 200])
@pytest.mark.parametrize(
    "state",
    [RunState.PAUSED, RunState.INTERRUPTED, RunState.FAULTED, RunState.ABORTED],
)
def test_a_run_that_comes_to_no_end_ends_the_bench_with_the_reason(
    tmp_path, monkeypatch, state, done
):
    service = Service(
        run_view(RunState.RUNNING, 33), run_view(state, done, "the disk is full")
    )
    answer = SimpleNamespace(body={"localized_frames": 0})
    monkeypatch.setattr(rate, "Launcher", lambda *_, **__: service)
    monkeypatch.setattr(rate, "ControlClient", lambda _: service)
    monkeypatch.setattr(rate, "address", lambda *_: "")
    monkeypatch.setattr(rate, "ask", lambda *_, **__: answer)
    monkeypatch.setattr(rate, "poll", lambda *_: None)
    with pytest.raises(ServiceUnavailableError) as told:
        rate.measure(
            tmp_path, frames=200, size=64, lit_before_s=0.0, tell=lambda *_: None
        )
    assert f"the run of the burst is {state} after {done} of 200" in str(told.value)
    assert str(told.value).endswith("the disk is full")


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux")
def test_the_time_of_a_thread_that_has_ended_is_not_lost():
    def spin():
        while time.thread_time() < 0.5:
            pass

    def used():
        return usage_of({"me": os.getpid()}).cpu_s

    before = used()
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()
    # Python is done with a thread a moment before the system is
    deadline = time.monotonic() + 10.0
    while used()["me", ENDED] - before["me", ENDED] < 0.4:
        assert time.monotonic() < deadline


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux")
def test_a_thread_is_found_by_its_name():
    spun, end = threading.Event(), threading.Event()

    def spin():
        name_here("a (thread) name")
        for _ in range(3_000_000):
            pass
        spun.set()
        end.wait(10.0)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert spun.wait(30.0)
        used = usage_of({"me": os.getpid(), "gone": 2**22 + 1})
    finally:
        end.set()
        thread.join()
    assert used.cpu_s["me", "a (thread) name"] > 0.0
    assert used.peak_mb["me"] > 1.0
    assert "gone" not in used.peak_mb
    assert used.machine_s > 0.0


def test_a_page_that_stops_answering_is_counted_and_asked_again():
    ended, seen = threading.Event(), Burst(330, 2048)
    with socket.socket() as silent:  # bound, and nobody listens
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        onlooker = threading.Thread(target=poll, args=(url, "r1", ended, seen))
        onlooker.start()
        deadline = time.monotonic() + 10.0
        while seen.unanswered <= 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        ended.set()
        onlooker.join()
    assert seen.unanswered > 3
    assert seen.answers_s == []
