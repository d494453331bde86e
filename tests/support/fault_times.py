"""How soon a whole service answers a fault: what tests and `bench_faults` both time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from light_times import seconds_lit_after, state_at
from nights import EXPOSURE_MS, Night, night_request, until
from small_disks import fill

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import GuardError, LatchedError, RunConflictError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.chain import read_events
from her2sr_proc.store.layout import RunFolder
from simulators.faults.options import FaultOptions

INTERLOCK_S = 0.1
LATE_S = 1.0
"""By so much more may a test be late where other work holds the processors; the times
themselves are measured by `bench_faults.py`."""
FULL_S = 1.0
OVERHEAD_S = 3.0
"""Of a field beyond its exposure, with moves of half a second."""
FRAMES = 220
"""Of a burst: eleven blocks of twenty."""
REAL_TIME_FRAMES = 100
"""Of a burst at real time: four blocks of three quarters of a second."""
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What became of a burst in which something happened."""

    at_s: float
    """Just before it happened, on CLOCK_MONOTONIC."""
    dark_s: float
    """From then to darkness, by the onlooker; 0: it was dark."""


def order(*, columns: int, frames: int = FRAMES) -> RunRequest:
    """Return a run of two channels and some fields."""
    return night_request(rows=1, columns=columns, frames=frames)


def disturbed(
    service: Night, run_id: str, fault: dict[str, object], *, after_frames: int
) -> Answer:
    """Let something happen in the burst that comes; return once the run is paused."""
    act = FaultOptions.model_validate(fault)
    return happens(
        service, run_id, lambda: service.microscope.inject(act), after=after_frames
    )


def happens(
    service: Night, run_id: str, act: Callable[[], object], *, after: int
) -> Answer:
    """Act in a burst after so many frames; return once the run is paused."""
    began = time.monotonic()
    until(lambda: _has_exposed(service, after), within_s=PATIENCE_S, every_s=0.002)
    at_s = time.monotonic()
    act()
    until(lambda: service.control.run(run_id).state == "paused", within_s=PATIENCE_S)
    history = service.microscope.light_history(began)
    assert state_at(history, at_s, "light"), "it happened in the dark; nothing is timed"
    return Answer(at_s, seconds_lit_after(history, at_s))


def filled(service: Night, run_id: str, ballast: Path, *, after_frames: int) -> Answer:
    """Fill the disk in the burst that comes; let the run go on when it is paused.

    Time counts from before the filling, which itself takes a moment.
    """
    found = happens(service, run_id, lambda: fill(ballast), after=after_frames)
    ballast.unlink()
    go_on(service, run_id)
    return found


def field_overheads_s(folder: RunFolder, *, frames: int) -> list[float]:
    """Return what every field but the last took beyond its exposure, at real time.

    From the first word on a field to the first word on the next.
    """
    begun: dict[str, float] = {}
    units = 0
    for event in read_events(folder):
        if event.kind == "unit started":
            key = UnitKey.model_validate(event.data["unit"])
            begun.setdefault(key.field, event.monotonic_s)
            units += 1
    exposed_s = units / len(begun) * frames * EXPOSURE_MS / 1000.0
    return [later - former - exposed_s for former, later in pairwise(begun.values())]


def mend(service: Night, run_id: str) -> None:
    """Heal the microscope, rearm the light and let the run go on."""
    service.microscope.heal()
    until(
        lambda: _is_taken(lambda: service.guard.rearm(by="op", reason="mended")),
        within_s=PATIENCE_S,
    )
    go_on(service, run_id)


def go_on(service: Night, run_id: str) -> None:
    """Resume a run as soon as that is permitted; return once it has left its pause."""
    until(
        lambda: _is_taken(lambda: service.control.resume(run_id)), within_s=PATIENCE_S
    )
    until(
        lambda: service.control.run(run_id).state is not RunState.PAUSED,
        within_s=PATIENCE_S,
    )


def _has_exposed(service: Night, frames: int) -> bool:
    state = service.microscope.state()
    return state.is_exposing and state.frames >= frames


def _is_taken(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (GuardError, LatchedError, RunConflictError):
        return False
    return True
