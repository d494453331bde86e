"""The life of a run: every pair of state and event, and a way out of each."""

import itertools

import pytest

from her2sr_acq.engine.states import FINAL, RunEvent, RunState, advance
from her2sr_acq.errors import RunConflictError

PATHS = [
    pytest.param("prepare start finish", "completed", id="all is well"),
    pytest.param(
        "prepare start finish_with_faults", "completed_with_faults", id="some is not"
    ),
    pytest.param("prepare start stop abort", "aborted", id="stopped"),
    pytest.param("stop abort", "aborted", id="stopped while it waits"),
    pytest.param("prepare stop abort", "aborted", id="stopped while it prepares"),
    pytest.param("prepare start pause resume finish", "completed", id="paused"),
    pytest.param("prepare start pause stop abort", "aborted", id="stopped in pause"),
    pytest.param("prepare start stop fault", "faulted", id="fault while stopping"),
    pytest.param("prepare start interrupt", "interrupted", id="its process died"),
    pytest.param(
        "prepare start interrupt resume start finish", "completed", id="taken up again"
    ),
    pytest.param("interrupt abort", "aborted", id="given up after a crash"),
    pytest.param("abort", "aborted", id="taken out of the queue"),
    pytest.param("prepare pause resume finish", "completed", id="held at the start"),
    pytest.param(
        "prepare start finish_with_faults retake prepare", "preparing", id="again"
    ),
]


@pytest.mark.parametrize(("events", "end"), PATHS)
def test_path(events, end):
    state = RunState.QUEUED
    for word in events.split():
        state = advance(state, RunEvent[word.upper()])
    assert state == end


TAKEN_UP = {
    (RunState.INTERRUPTED, RunEvent.RESUME),
    (RunState.INTERRUPTED, RunEvent.ABORT),
    *((state, RunEvent.RETAKE) for state in FINAL),
}
REFUSED = sorted(set(itertools.product(FINAL, RunEvent)) - TAKEN_UP)


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_a_run_that_is_over_is_left_by_a_persons_act_alone(state, event):
    with pytest.raises(RunConflictError, match=f"cannot {event} a run that is {state}"):
        advance(state, event)


def reachable(state):
    for event in RunEvent:
        try:
            yield advance(state, event)
        except RunConflictError:
            continue


@pytest.mark.parametrize("state", sorted(set(RunState) - FINAL))
def test_every_other_state_can_fault_and_be_interrupted(state):
    assert {RunState.FAULTED, RunState.INTERRUPTED} <= set(reachable(state))


def test_every_state_is_reached_and_legal_moves_are_exactly_these():
    legal = {state: sorted(set(reachable(state))) for state in RunState}
    assert {k.value: [v.value for v in vs] for k, vs in legal.items() if vs} == {
        "queued": ["aborted", "faulted", "interrupted", "preparing", "stopping"],
        "preparing": ["faulted", "interrupted", "paused", "running", "stopping"],
        "running": [
            "completed",
            "completed_with_faults",
            "faulted",
            "interrupted",
            "paused",
            "stopping",
        ],
        "paused": ["faulted", "interrupted", "running", "stopping"],
        "stopping": ["aborted", "faulted", "interrupted"],
        "interrupted": ["aborted", "preparing", "queued"],
        "completed": ["queued"],
        "completed_with_faults": ["queued"],
        "aborted": ["queued"],
        "faulted": ["queued"],
    }
