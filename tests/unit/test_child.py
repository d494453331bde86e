"""One process: started, found ready, stopped in steps, told of when it died."""

import os
import re
import shutil
import signal
import sys
import time
from dataclasses import replace

import pytest

from her2sr_acq import child as child_module
from her2sr_acq.child import STEADY_S, Child, ChildSpec
from her2sr_acq.errors import ConfigError, ServiceUnavailableError

QUICK = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
STUBBORN = ((signal.SIGTERM, 0.1), (signal.SIGKILL, 5.0))


def make(tmp_path, code: str, *, steps=QUICK, clock=time.monotonic) -> Child:
    spec = ChildSpec(
        name="api",
        command=(sys.executable, "-c", code),
        is_ready=lambda: (tmp_path / "ready").exists(),
        ready_within_s=5.0,
        restarts=0,
    )
    environment = {**os.environ, "READY": str(tmp_path / "ready")}
    logs = tmp_path / "logs"
    return Child(spec, environment=environment, logs=logs, steps=steps, clock=clock)


def until(is_so) -> None:
    deadline = time.monotonic() + 10.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


READY = "import os, pathlib, time; pathlib.Path(os.environ['READY']).touch();"


def test_a_former_one_of_its_kind_is_waited_for_but_not_for_ever(tmp_path):
    moments = iter([0.0, 0.0, 1.0, 1.0, 20.0])
    child = make(tmp_path, READY, clock=lambda: next(moments))
    child.await_former()  # nobody is there
    (tmp_path / "ready").touch()
    child.await_former()  # until the clock says that it has been long enough
    assert list(moments) == []


def test_a_process_is_ready_when_it_says_so_and_ends_when_asked(tmp_path):
    child = make(tmp_path, f"{READY} time.sleep(60)")
    child.start()
    until(child.is_ready)
    assert child.exit_code is None
    child.stop()
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_its_input_is_open_until_it_is_let_go(tmp_path):
    child = make(tmp_path, f"{READY} import sys; sys.stdin.read(); sys.exit(7)")
    child.start()
    until(child.is_ready)
    assert child.exit_code is None
    child.let_go()
    until(lambda: child.exit_code == 7)
    child.stop()


def test_one_that_does_not_listen_is_killed(tmp_path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    child = make(tmp_path, f"{deaf} {READY} time.sleep(60)", steps=STUBBORN)
    child.start()
    until(child.is_ready)
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_one_that_dies_at_the_start_is_told_by_its_last_words(tmp_path):
    words = "2026-11-23 22:18:59,123 ERROR her2sr_acq.daemon: no such laser"
    child = make(tmp_path, f"print('{words}'); raise SystemExit(1)")
    child.start()
    until(lambda: child.exit_code is not None)
    with pytest.raises(ServiceUnavailableError) as caught:
        child.is_ready()
    child.stop()
    assert "the api process ended with code 1: no such laser" in str(caught.value)
    assert str(tmp_path / "logs" / "api.log") in str(caught.value)


def test_one_that_was_killed_is_told_by_the_signal_and_not_by_its_last_words(tmp_path):
    child = make(tmp_path, f"print('a request', flush=True); {READY} time.sleep(60)")
    child.start()
    until(child.is_ready)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: child.exit_code is not None)
    assert child.obituary().startswith("the api process was killed by SIGKILL (its log")
    child.stop()


def test_one_that_says_nothing_is_not_told_by_the_words_of_one_before_it(tmp_path):
    child = make(tmp_path, "raise SystemExit(1)")
    (tmp_path / "logs").mkdir()
    child.log.write_text("ERROR of an hour ago\n")
    child.start()
    until(lambda: child.exit_code is not None)
    assert child.last_words() == ""
    assert child.obituary().startswith("the api process ended with code 1 (its log")
    child.stop()


def test_the_words_after_a_log_was_emptied_are_its_own(tmp_path):
    child = make(tmp_path, f"{READY} time.sleep(60)")
    (tmp_path / "logs").mkdir()
    child.log.write_text("a long line of somebody else\n")
    child.start()
    child.log.write_text("own words\n")  # as logrotate's copytruncate leaves it
    assert child.last_words() == "own words"
    child.stop()


def test_one_that_was_asked_for_the_impossible_says_so(tmp_path):
    child = make(tmp_path, "print('no such laser'); raise SystemExit(2)")
    child.start()
    until(lambda: child.exit_code is not None)
    with pytest.raises(ConfigError, match="code 2: no such laser"):
        child.is_ready()
    child.stop()


@pytest.mark.parametrize(
    "harm",
    [
        lambda logs: (logs / "api.log").unlink(),
        lambda logs: shutil.rmtree(logs),
        lambda logs: ((logs / "api.log").unlink(), (logs / "api.log").mkdir()),
    ],
    ids=["removed", "folder removed", "a folder in its place"],
)
def test_one_whose_log_is_gone_is_told_of_without_its_words(tmp_path, harm):
    child = make(tmp_path, "raise SystemExit(1)")
    child.start()
    until(lambda: child.exit_code is not None)
    harm(tmp_path / "logs")
    assert child.last_words() == ""
    assert child.obituary().startswith("the api process ended with code 1 (")
    child.start()
    child.stop()


@pytest.mark.parametrize("name", ["logs", "logs/api.log"])
def test_a_log_that_cannot_be_opened_keeps_no_process_from_starting(
    tmp_path, name, caplog
):
    place = tmp_path / name
    place.mkdir(parents=True) if name != "logs" else place.write_text("a file")
    child = make(tmp_path, f"{READY} print('heard by nobody'); time.sleep(60)")
    child.start()
    until(child.is_ready)
    child.stop()
    assert "api has no log now" in caplog.text


def test_stopping_what_never_started_is_nothing(tmp_path):
    child = make(tmp_path, "")
    child.stop()
    assert (child.pid, child.exit_code) == (None, None)
    assert not (tmp_path / "logs").exists()


def test_one_that_yields_runs_at_the_niceness_it_was_given(tmp_path):
    child = make(tmp_path, f"{READY} time.sleep(60)")
    child.spec = replace(child.spec, niceness=5)
    child.start()
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(os.nice(0) + 5, 19)
    child.stop()


def test_who_waits_for_one_hears_what_it_said_last(tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "TELL_S", 0.05)
    slow = "import os, pathlib, time; print('half way', flush=True); time.sleep(0.5);"
    child = make(tmp_path, f"{slow} {READY} time.sleep(60)")
    heard = []
    child.start()
    try:
        child.await_ready(heard.append)
    finally:
        child.stop()
    assert re.fullmatch(r"waiting for the api process, \d s: half way", heard[-1])


@pytest.mark.parametrize(("lived_s", "left"), [(STEADY_S - 1.0, 4), (STEADY_S, 0)])
def test_a_long_life_makes_up_for_the_deaths_before_it(tmp_path, lived_s, left):
    now = [100.0]
    child = make(tmp_path, "", clock=lambda: now[0])
    child.restarts = 4
    child.start()
    now[0] += lived_s
    child.forgive()
    child.stop()
    assert child.restarts == left
