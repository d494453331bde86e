"""The life of a run, as a table. Pure: no clock, no threads, no devices."""

from __future__ import annotations

from enum import StrEnum

from her2sr_acq.errors import RunConflictError


class RunState(StrEnum):
    """Where a run is. In the last five it is over: it does not hold the microscope."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    COMPLETED_WITH_FAULTS = "completed_with_faults"
    ABORTED = "aborted"
    FAULTED = "faulted"
    INTERRUPTED = "interrupted"


class RunEvent(StrEnum):
    """What can happen to a run."""

    PREPARE = "prepare"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    FINISH = "finish"
    FINISH_WITH_FAULTS = "finish with faults"
    ABORT = "abort"
    FAULT = "fault"
    INTERRUPT = "interrupt"
    RETAKE = "take again"


FINAL = frozenset(
    {
        RunState.COMPLETED,
        RunState.COMPLETED_WITH_FAULTS,
        RunState.ABORTED,
        RunState.FAULTED,
        RunState.INTERRUPTED,
    }
)

_LOST = {
    RunEvent.FAULT: RunState.FAULTED,
    RunEvent.INTERRUPT: RunState.INTERRUPTED,
}
"""What can happen to every run that is not over."""

_NEXT: dict[RunState, dict[RunEvent, RunState]] = {
    RunState.QUEUED: {
        RunEvent.PREPARE: RunState.PREPARING,
        RunEvent.STOP: RunState.STOPPING,
        RunEvent.ABORT: RunState.ABORTED,
        **_LOST,
    },
    RunState.PREPARING: {
        RunEvent.START: RunState.RUNNING,
        RunEvent.PAUSE: RunState.PAUSED,
        RunEvent.STOP: RunState.STOPPING,
        **_LOST,
    },
    RunState.RUNNING: {
        RunEvent.PAUSE: RunState.PAUSED,
        RunEvent.STOP: RunState.STOPPING,
        RunEvent.FINISH: RunState.COMPLETED,
        RunEvent.FINISH_WITH_FAULTS: RunState.COMPLETED_WITH_FAULTS,
        **_LOST,
    },
    RunState.PAUSED: {
        RunEvent.RESUME: RunState.RUNNING,
        RunEvent.STOP: RunState.STOPPING,
        **_LOST,
    },
    RunState.STOPPING: {RunEvent.ABORT: RunState.ABORTED, **_LOST},
    # Over, and yet a person may take it up again; nothing does so of itself but a
    # restart after a crash.
    RunState.INTERRUPTED: {
        RunEvent.RESUME: RunState.PREPARING,
        RunEvent.ABORT: RunState.ABORTED,
        RunEvent.RETAKE: RunState.QUEUED,
    },
    RunState.COMPLETED: {RunEvent.RETAKE: RunState.QUEUED},
    RunState.COMPLETED_WITH_FAULTS: {RunEvent.RETAKE: RunState.QUEUED},
    RunState.ABORTED: {RunEvent.RETAKE: RunState.QUEUED},
    RunState.FAULTED: {RunEvent.RETAKE: RunState.QUEUED},
}


def advance(state: RunState, event: RunEvent) -> RunState:
    """Return the state after ``event``, or raise `RunConflictError`."""
    try:
        return _NEXT[state][event]
    except KeyError:
        raise RunConflictError(
            f"cannot {event} a run that is {state}", state=state, event=event
        ) from None
