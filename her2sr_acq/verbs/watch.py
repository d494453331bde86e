"""Follow a run to its end; Ctrl-C asks it to stop, a second one leaves it alone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import RunConflictError, ServiceUnavailableError
from her2sr_acq.verbs.progress import Show

POLL_S = 0.25
SILENT_S = 60.0
"""The web service may be restarted while a run goes on."""
RESTART_S = 5.0
"""An interrupted run is taken up sooner than this, or not by itself."""


class Runs(Protocol):
    """What following needs of the service."""

    def run(self, run_id: str) -> RunView:
        """Return a run as it stands."""
        ...

    def stop(self, run_id: str) -> RunView:
        """Ask it to end early."""
        ...

    def page(self, run_id: str) -> str:
        """Return the address of its page."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock and the pause of whoever follows."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def follow(
    runs: Runs,
    run_id: str,
    show: Show,
    *,
    check: Callable[[], None] = lambda: None,
    is_alone: bool = False,
    timing: Timing | None = None,
) -> RunView:
    """Return the run once it is over.

    ``check`` may raise when the processes behind the service have failed. A run that
    is paused, or wants its fields chosen, waits for a person; with ``is_alone`` nobody
    will come, and it is stopped.
    One that was interrupted may go on by itself within `RESTART_S`. Raises
    `ServiceUnavailableError` after `SILENT_S` without an answer.
    """
    timing = timing or Timing()
    heard = asked = timing.monotonic()
    is_stop_asked = is_choice_told = False
    while True:
        try:
            check()
            view = _look(runs, run_id, heard, timing.monotonic)
            if view is not None:
                heard = timing.monotonic()
                show.update(view)
                if view.state is not RunState.INTERRUPTED:
                    asked = heard
                if view.state in FINAL and heard - asked >= _patience_s(view):
                    return view
                if view.awaits and not is_choice_told:
                    is_choice_told = True
                    show.say(_invitation(view, runs.page(run_id)))
                if _waits(view) and is_alone and not is_stop_asked:
                    is_stop_asked = True
                    why = view.reason or view.phase
                    show.say(f"paused, and nobody is here: {why}")
                    runs.stop(run_id)
            timing.sleep(POLL_S)
        except KeyboardInterrupt:
            if is_stop_asked:
                raise
            is_stop_asked = True
            _ask_to_stop(runs, run_id, show)


def _waits(view: RunView) -> bool:
    return view.state is RunState.PAUSED or bool(view.awaits)


def _invitation(view: RunView, page: str) -> str:
    return (
        f"choose the fields until {view.awaits_until_utc}: on {page}, or "
        f"by POST /api/v1/runs/{view.id}/selection; without a choice the run ends"
    )


def _patience_s(view: RunView) -> float:
    return RESTART_S if view.state is RunState.INTERRUPTED else 0.0


def _look(
    runs: Runs, run_id: str, heard: float, monotonic: Callable[[], float]
) -> RunView | None:
    """Return the run, or None while the service is silent for a tolerable time."""
    try:
        return runs.run(run_id)
    except ServiceUnavailableError:
        if monotonic() - heard > SILENT_S:
            raise
        return None


def _ask_to_stop(runs: Runs, run_id: str, show: Show) -> None:
    show.say(
        "stopping: the block in progress is finished, the light goes out, what there "
        "is stays; Ctrl-C again to stop watching"
    )
    try:
        runs.stop(run_id)
    except RunConflictError as exc:
        show.say(str(exc))


@contextmanager
def termination_as_interrupt(*, also_hangup: bool = False) -> Iterator[None]:
    """Let SIGTERM act as Ctrl-C, so that what was started is also stopped.

    With ``also_hangup`` a closed terminal does as well, for verbs that have something
    to clear up. Without, the verb alone ends by it: a run that another service holds
    goes on, and a service of the verb's own ends by its lifeline, its run interrupted
    as after a crash, which may be resumed. Who called by ``nohup`` is not bothered.
    """

    def interrupt(kind: int, _: FrameType | None) -> None:
        if kind == signal.SIGHUP:  # shell and system may both tell of it
            signal.signal(kind, signal.SIG_IGN)
        raise KeyboardInterrupt

    kinds = [signal.SIGTERM]
    if also_hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        kinds.append(signal.SIGHUP)
    former = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in former.items():
            signal.signal(kind, handler)
