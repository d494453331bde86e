"""Following a run: to its end, through silence, and what Ctrl-C does."""

import io
import os
import signal

import pytest

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.verbs.progress import Lines
from her2sr_acq.verbs.watch import (
    SILENT_S,
    Timing,
    follow,
    termination_as_interrupt,
)


def view(state=RunState.RUNNING, done=0, phase="acquiring") -> RunView:
    return RunView(
        id="r1",
        state=state,
        phase=phase,
        protocol="demo",
        sample="s",
        operator="o",
        created_utc="2026-01-01T00:00:00+00:00",
        frames_done=done,
        frames_requested=100,
        units_total=1,
        folder="r1",
    )


class Script:
    """Plays a list of answers: a view, or an exception to raise."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.stops = 0
        self.now = 0.0

    def run(self, _):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stop(self, _):
        self.stops += 1
        return view(RunState.STOPPING)

    def page(self, run_id):
        return f"http://here/runs/{run_id}"

    def sleep(self, seconds):
        self.now += seconds

    def follow(self, show=None, **options):
        show = show or Lines(io.StringIO())
        timing = Timing(self.sleep, lambda: self.now)
        return follow(self, "r1", show, timing=timing, **options)


DONE = view(RunState.COMPLETED, 100)


def test_a_run_is_followed_to_its_end():
    assert Script(view(), view(done=50), DONE).follow() == DONE


def test_a_short_silence_of_the_service_is_waited_out():
    silence = ServiceUnavailableError("restarting")
    assert Script(view(), silence, silence, DONE).follow() == DONE


def test_a_long_silence_is_an_error():
    script = Script(ServiceUnavailableError("gone"))
    with pytest.raises(ServiceUnavailableError, match="gone"):
        script.follow()
    assert script.now > SILENT_S


def test_interrupting_once_asks_the_run_to_stop():
    aborted = view(RunState.ABORTED)
    script = Script(view(), KeyboardInterrupt(), view(RunState.STOPPING), aborted)
    assert script.follow() == aborted
    assert script.stops == 1


def test_interrupting_twice_leaves_the_run_alone():
    script = Script(KeyboardInterrupt(), KeyboardInterrupt(), view())
    with pytest.raises(KeyboardInterrupt):
        script.follow()
    assert script.stops == 1


def test_plain_lines_come_with_every_tenth_and_every_phase():
    stream = io.StringIO()
    lines = Lines(stream)
    for done in range(0, 101, 5):
        lines.update(view(done=done))
    lines.update(view(done=100, phase="processing, 3 of 4 steps left"))
    lines.update(view(done=100, phase="processing, 2 of 4 steps left"))
    told = stream.getvalue().splitlines()
    assert len(told) == 12
    assert told[0] == "running: acquiring, 0 of 100 frames (0 %)"


def test_an_interrupted_run_is_given_time_to_go_on():
    assert (
        Script(view(), view(RunState.INTERRUPTED), view(done=50), DONE).follow() == DONE
    )


def test_an_interrupted_run_that_stays_so_is_over():
    left = view(RunState.INTERRUPTED)
    assert Script(view(), left).follow() == left


def test_a_paused_run_is_waited_for():
    script = Script(view(), view(RunState.PAUSED), view(), DONE)
    assert script.follow() == DONE
    assert script.stops == 0


def test_a_paused_run_is_stopped_where_nobody_is():
    ended = view(RunState.ABORTED)
    script = Script(view(), view(RunState.PAUSED), view(RunState.STOPPING), ended)
    assert script.follow(is_alone=True) == ended
    assert script.stops == 1


def choosing() -> RunView:
    until = "2026-01-01T01:00:00Z"
    return view().model_copy(update={"awaits": "selection", "awaits_until_utc": until})


def test_where_the_fields_are_chosen_is_told_once():
    stream = io.StringIO()
    Script(choosing(), choosing(), view(), DONE).follow(Lines(stream))
    assert stream.getvalue().count("http://here/runs/r1, or by POST") == 1
    assert "until 2026-01-01T01:00:00Z" in stream.getvalue()


def test_a_run_that_wants_its_fields_chosen_is_stopped_where_nobody_is():
    script = Script(choosing(), view(RunState.ABORTED))
    script.follow(is_alone=True)
    assert script.stops == 1


@pytest.fixture
def hangups():
    """How often a closed terminal was left to whoever cared before."""
    told = []
    former = signal.signal(signal.SIGHUP, lambda *_: told.append("left"))
    yield told
    signal.signal(signal.SIGHUP, former)


def hang_up():
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_closed_terminal_stops_no_run_that_a_service_holds(hangups):
    with termination_as_interrupt():
        hang_up()
    assert hangups == ["left"]


def test_a_closed_terminal_interrupts_once_what_clears_up(hangups):
    with termination_as_interrupt(also_hangup=True):
        with pytest.raises(KeyboardInterrupt):
            hang_up()
        hang_up()  # while it clears up
    hang_up()
    assert hangups == ["left"]


def test_what_was_called_by_nohup_goes_on(hangups):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with termination_as_interrupt(also_hangup=True):
        hang_up()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert hangups == []
