"""Runs over HTTP: parse, hand to the hardware process, show what it says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response, status

from her2sr_acq.engine.views import (
    FieldView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES

router = APIRouter(prefix="/runs", tags=["runs"], responses=RESPONSES)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key and body again return the same run, not a second",
    ),
]


@router.post("", status_code=status.HTTP_202_ACCEPTED)
def submit_run(
    request: RunRequest,
    response: Response,
    context: ContextDep,
    idempotency_key: IdempotencyKey = None,
) -> RunView:
    """Ask for a run. Refused before anything moves if it breaks a limit.

    Answers 409 while another run holds the microscope.
    """
    view = context.control.submit(request, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/v1/runs/{view.id}"
    return view


@router.get("")
def list_runs(
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=500, description="newest first")] = 100,
) -> list[RunView]:
    """Return the runs."""
    return context.control.runs()[:limit]


@router.get("/{run_id}")
def read_run(run_id: str, context: ContextDep) -> RunView:
    """Return one run as it stands."""
    return context.control.run(run_id)


@router.get("/{run_id}/fields")
def read_fields(run_id: str, context: ContextDep) -> list[FieldView]:
    """Return the fields of a run with their units, in order of acquisition."""
    return context.control.fields(run_id)


@router.post("/{run_id}/pause")
def pause_run(run_id: str, context: ContextDep) -> RunView:
    """Hold the run before its next burst. Pausing it twice changes nothing."""
    return context.control.pause(run_id)


@router.post("/{run_id}/resume")
def resume_run(run_id: str, context: ContextDep) -> RunView:
    """Let a paused or interrupted run go on; 409 until somebody has rearmed."""
    return context.control.resume(run_id)


@router.post("/{run_id}/stop")
def stop_run(
    run_id: str, context: ContextDep, stop: StopRequest | None = None
) -> RunView:
    """End the run: drop or finish the burst in progress, keep what there is."""
    return context.control.stop(run_id, stop or StopRequest())


@router.post("/{run_id}/fields/{field}/attempts", status_code=status.HTTP_202_ACCEPTED)
def retake_field(
    run_id: str, field: str, context: ContextDep, retake: RetakeRequest | None = None
) -> RunView:
    """Take a field of a run that is over again, deliberately, as a further attempt."""
    return context.control.retake(run_id, field, retake or RetakeRequest())
