"""E-stop, latch, rearm, restart: what the guard does, by a real guard process."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from guards import guard_bench, until
from short import short_folder

from her2sr_acq.errors import (
    GuardError,
    LatchedError,
    PlanRejectedError,
    RunConflictError,
)
from her2sr_acq.ownership import holder
from her2sr_acq.verbs.safety import dark, estop, rearm
from her2sr_proc.lifeline import VARIABLE as LIFELINE


@pytest.fixture
def bench(tmp_path, monkeypatch):
    with guard_bench(tmp_path) as bench:
        monkeypatch.setenv("HER2SR_RUNTIME", str(bench.runtime))
        yield bench


def log(bench) -> str:
    return (bench.runtime / "guard.log").read_text()


def account(bench) -> list[dict[str, object]]:
    path = bench.data / "safety.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def is_connected(bench) -> bool:
    try:
        return bench.client.status().is_connected
    except GuardError:
        return False


def test_light_left_on_by_somebody_is_put_out_before_acq_starts(bench):
    bench.lights.set_power(405, 10.0)
    bench.lights.switch(405, on=True)
    bench.start("work")
    bench.acq_pid()
    assert [on for _, on in bench.lights.changes[:3]] == [True, False, True]


def test_light_that_cannot_be_put_out_at_the_start_ends_with_3_and_no_acq(bench):
    bench.lights.switch(405, on=True)
    bench.lights.is_stuck = True
    bench.start("work")
    assert bench.wait() == 3
    assert "switch it off by hand" in log(bench).splitlines()[-1]
    assert not (bench.data / "logs" / "acq.log").exists()


def test_asked_to_end_it_ends_acq_in_order_and_proves_the_dark(bench):
    bench.start("work")
    pid = bench.acq_pid()
    assert bench.end() == 0
    assert not bench.lights.is_lit
    assert holder(bench.data) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_light_that_stays_on_is_tried_on_latched_and_ends_with_3(bench):
    bench.start("hang", FAKE_AFTER_S="0")
    bench.fault_at()
    bench.lights.is_stuck = True
    until(lambda: "light:" in bench.client.status().latched)
    assert "561:ON" in bench.client.status().light_in_doubt
    with pytest.raises(LatchedError, match="not proven off"):
        bench.client.rearm(by="maria", reason="looked at it")
    assert bench.end() == 3


def test_light_that_goes_out_late_is_seen_and_the_latch_stays(bench):
    bench.start("hang", FAKE_AFTER_S="0")
    bench.fault_at()
    bench.lights.is_stuck = True
    until(lambda: "light:" in bench.client.status().latched)
    bench.lights.is_stuck = False
    until(lambda: bench.stands_after(1))
    assert bench.client.status().light_in_doubt == ""
    assert "light:" in bench.client.status().latched


def test_a_refused_configuration_is_passed_on_with_its_sentence(bench):
    bench.start("refuse")
    assert bench.wait() == 2
    assert "the cure is in this sentence" in log(bench).splitlines()[-1]


def test_an_acq_that_dies_again_and_again_is_not_started_for_ever(bench):
    bench.start("exit", FAKE_AFTER_S="0")
    assert bench.wait() == 1
    assert (
        "ended 5 times and stays ended; at last, the acq process ended with code 1"
        in log(bench).splitlines()[-1]
    )
    assert not bench.lights.is_lit


def test_pressing_again_and_again_does_not_end_the_service(bench):
    bench.start("work")
    bench.acq_pid()
    for _ in range(5):
        os.kill(bench.client.status().acq_pid, signal.SIGSTOP)  # it cannot obey
        estop(bench.data, by="maria", reason="smoke")
        assert not bench.lights.is_lit
        until(lambda: bench.client.status().acq_pid is not None, within_s=10.0)
    assert bench.client.status().deaths == 5
    until(lambda: is_connected(bench))


def test_estop_is_obeyed_by_a_living_acq_which_lives_on(bench):
    bench.start("work")
    pid = bench.acq_pid()
    moment = time.monotonic()
    outcome = estop(bench.data, by="maria", reason="smoke")
    assert outcome.is_dark
    assert bench.lights.seconds_lit_after(moment) < 0.5
    status = bench.client.status()
    assert status.acq_pid == pid
    assert "smoke" in status.latched
    estops = [line for line in account(bench) if line["kind"] == "estop"]
    assert (estops[0]["by"], estops[0]["reason"]) == ("maria", "smoke")


@pytest.mark.parametrize(
    ("by", "recorded"), [("", "nobody"), (" \t", "nobody"), ("\udcff", "\\udcff")]
)
@pytest.mark.parametrize("is_guarded", [True, False])
def test_no_name_and_no_reason_keeps_an_estop_from_its_work(
    bench, by, recorded, is_guarded
):
    bench.start("work")
    bench.acq_pid()
    if not is_guarded:
        bench.process.kill()
        bench.process.wait(5.0)
    assert estop(bench.data, by=by, reason="caf\udce9").is_dark
    assert not bench.lights.is_lit
    path = bench.data / "safety.jsonl"  # the guard answers before it writes
    until(lambda: path.exists() and '"estop"' in path.read_text())
    (line,) = [line for line in account(bench) if line["kind"] == "estop"]
    assert (line["by"], line["reason"]) == (recorded, "caf\\udce9")


@pytest.mark.parametrize(
    ("by", "reason", "says"),
    [
        ("", "door closed", "no pseudonym"),
        ("Jane Doe", "door closed", "no pseudonym"),
        ("\udcff", "door closed", "no pseudonym"),
        ("op-2", "", "the reason is empty"),
        ("op-2", " \n", "the reason is empty"),
    ],
)
def test_nobody_rearms_without_a_name_and_a_reason(tmp_path, by, reason, says):
    with pytest.raises(PlanRejectedError, match=says):
        rearm(tmp_path, by=by, reason=reason)


@pytest.mark.parametrize("kind", ["deaf", "lock"])
def test_estop_ends_an_acq_that_does_not_obey(bench, kind):
    bench.start(kind, FAKE_AFTER_S="0")
    bench.acq_pid()
    moment = time.monotonic()
    assert estop(bench.data, by="maria", reason="smoke").is_dark
    assert bench.lights.seconds_lit_after(moment) < 1.0
    until(lambda: is_connected(bench))
    assert "smoke" in bench.client.status().latched


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_estop_works_with_the_guard_dead_or_stopped_and_acq_hung(bench, signum):
    bench.start("lock", FAKE_AFTER_S="0")
    bench.fault_at()
    bench.process.send_signal(signum)
    assert estop(bench.data, by="maria", reason="smoke").is_dark
    assert not bench.lights.is_lit
    if signum == signal.SIGKILL:
        bench.process.wait(5.0)
    else:
        bench.process.send_signal(signal.SIGCONT)
        until(lambda: is_connected(bench))
        assert "smoke" in bench.client.status().latched


@pytest.mark.parametrize("lives", [True, False])
def test_a_shell_that_knows_no_runtime_folder_finds_the_guard_of_a_service_manager(
    bench, monkeypatch, lives
):
    bench.start("work")
    bench.acq_pid()
    monkeypatch.delenv("HER2SR_RUNTIME")
    if not lives:
        bench.process.kill()
    outcome = estop(bench.data, by="maria", reason="smoke")
    assert outcome.is_dark
    assert ("(by the guard)" in outcome.sentence) == lives
    assert not bench.lights.is_lit


@pytest.mark.parametrize("is_there", [True, False])
def test_estop_without_any_service_says_what_is_not_known(
    tmp_path, monkeypatch, is_there
):
    data = tmp_path / "data"
    if is_there:
        data.mkdir()
    with short_folder() as folder:
        monkeypatch.setenv("HER2SR_RUNTIME", str(folder / "nobody"))
        outcome = estop(data, by="maria", reason="smoke")
    assert not outcome.is_dark
    assert "switch the light off by hand" in outcome.sentence
    # a mistyped folder is told, and not made
    assert ("there is no folder" in outcome.sentence) == (not is_there)
    assert data.exists() == is_there


def test_estop_that_cannot_put_the_light_out_says_so(bench):
    bench.start("work")
    bench.acq_pid()
    bench.lights.is_stuck = True
    os.kill(bench.client.status().acq_pid, signal.SIGKILL)
    outcome = estop(bench.data, by="maria", reason="smoke")
    assert not outcome.is_dark
    assert "561:ON" in outcome.sentence


def test_a_latch_outlives_the_service_and_ends_with_a_persons_word(bench):
    bench.start("work")
    bench.acq_pid()
    estop(bench.data, by="maria", reason="smoke")
    bench.end()
    bench.close()
    bench.forget()
    bench.start("work")
    until(lambda: bench.stands_after(0), within_s=40.0)  # the former is given 3 s
    assert "smoke" in bench.client.status().latched
    rearm(bench.data, by="maria", reason="it was dust")
    assert bench.client.status().latched == ""
    bench.end()
    assert account(bench)[-1]["kind"] == "rearm"
    assert not (bench.data / "latch.json").exists()


def test_rearm_is_refused_while_acq_reports_an_open_interlock(bench):
    bench.start("work", FAKE_TROUBLE="the interlock of the 561 nm laser is open")
    bench.acq_pid()
    estop(bench.data, by="maria", reason="smoke")
    with pytest.raises(LatchedError, match="561 nm laser is open; put that right"):
        rearm(bench.data, by="maria", reason="looked at it")
    assert "smoke" in bench.client.status().latched


def test_a_permit_that_runs_out_with_the_light_on_is_tripped(bench):
    bench.start("overstay", FAKE_AFTER_S="0")
    moment = bench.fault_at()
    assert bench.lights.seconds_lit_after(moment) < 1.0
    until(lambda: bench.stands_after(1))
    assert "561 nm is on for longer than it was permitted" in log(bench)


def test_after_light_that_was_given_back_a_death_counts_as_the_first(bench):
    bench.start("bursts", FAKE_AFTER_S="0")
    for _ in range(2):
        until(lambda: is_connected(bench) and (bench.runtime / "idle").exists())
        bench.forget()
        os.kill(bench.client.status().acq_pid, signal.SIGKILL)
        until((bench.runtime / "idle").exists)
    assert bench.stands_after(2)
    assert bench.client.status().deaths == 2


def test_a_killed_guard_takes_its_acq_and_the_light_with_it(bench):
    bench.start("work")
    bench.acq_pid()
    moment = time.monotonic()
    bench.process.kill()
    bench.process.wait()
    bench.process.stdin.close()
    assert bench.lights.seconds_lit_after(moment) < 1.0
    until(lambda: holder(bench.data) is None)


def test_the_next_guard_ends_what_a_dead_one_left_hung_and_lit(bench):
    bench.start("lock", FAKE_AFTER_S="0")
    bench.fault_at()
    left = bench.acq_pid()
    bench.process.kill()
    bench.process.wait()
    bench.process.stdin.close()
    bench.forget()
    bench.start("bursts")
    until(lambda: bench.stands_after(0), within_s=40.0)  # the former is given 3 s
    assert not bench.lights.is_lit
    assert bench.client.status().acq_pid != left


def test_a_second_guard_of_the_same_data_is_refused_and_leaves_the_first_alone(bench):
    bench.start("work")
    pid = bench.acq_pid()
    first, bench.process = bench.process, None
    bench.start("work")
    assert bench.wait() == 2
    bench.close()
    bench.process = first
    assert "held by another guard" in log(bench)
    assert bench.client.status().acq_pid == pid
    assert bench.lights.is_lit


BUSY = "while True: sum(range(10000))"


def test_an_acq_on_a_crowded_machine_is_not_tripped(bench):
    crowd = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(6)]
    try:
        bench.start("work")
        pid = bench.acq_pid()
        time.sleep(3.0)
        assert bench.lights.is_lit
        assert bench.client.status().acq_pid == pid
    finally:
        for process in crowd:
            process.kill()
            process.wait()


def test_after_a_stop_the_dark_is_proven_again_without_a_latch(bench):
    bench.start("work")
    bench.acq_pid()
    with pytest.raises(RunConflictError, match="runs; stop it"):
        dark(bench.data)
    assert bench.end() == 0
    bench.lights.switch(488, on=True)  # somebody else, or a controller gone wrong
    assert dark(bench.data) == ""
    assert not bench.lights.is_lit
    assert not (bench.data / "latch.json").exists()
    bench.lights.switch(488, on=True)
    bench.lights.is_stuck = True
    assert "488" in dark(bench.data)


@pytest.mark.parametrize("is_asked", [True, False])
def test_acq_learns_whether_somebody_asked_for_the_end_or_the_starter_is_gone(
    bench, is_asked
):
    """A run is given up where it was asked for, and else left to the next service."""
    bench.start("work", **{LIFELINE: "1"})
    bench.acq_pid()
    assert (bench.end() if is_asked else bench.leave()) == 0
    assert not bench.lights.is_lit
    assert (bench.runtime / "orphaned").exists() == (not is_asked)
