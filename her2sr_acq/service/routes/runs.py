"""Runs over HTTP: parse, hand to the hardware process, show what it says."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response, status

from her2sr_acq.engine.views import (
    FieldView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.service import pseudonym
from her2sr_acq.service.access import ORDER, ActorDep, OrderDep, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.block import NAME

router = APIRouter(prefix="/runs", tags=["runs"], responses=RESPONSES)

RunId = Annotated[str, Path(max_length=64)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key and body again return the same run, not a second",
    ),
]


@router.post("", status_code=status.HTTP_202_ACCEPTED, openapi_extra=ORDER)
def submit_run(
    request: RunRequest,
    response: Response,
    control: OrderDep,
    actor: ActorDep,
    idempotency_key: IdempotencyKey = None,
) -> RunView:
    """Ask for a run. Refused before anything moves if it breaks a limit.

    Answers 409 while another run holds the microscope. Whoever is logged in is the
    operator.
    """
    if (own := name_of(actor, request.operator)) != request.operator:
        raise PlanRejectedError(
            f"the operator of your run is you: give '{own}', not '{request.operator}'"
        )
    pseudonym.require(request.sample)
    view = control.submit(request, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/v1/runs/{view.id}"
    return view


@router.get("")
def list_runs(
    response: Response,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[
        str | None, Query(pattern=NAME, description="a run's id: those older than it")
    ] = None,
) -> list[RunView]:
    """Return runs, newest first; the header `Link` leads to the next page."""
    views = context.control.runs(limit=limit, before=before or "")
    if len(views) == limit:
        further = f"/api/v1/runs?limit={limit}&before={views[-1].id}"
        response.headers["Link"] = f'<{further}>; rel="next"'
    return views


@router.get("/{run_id}")
def read_run(run_id: RunId, context: ContextDep) -> RunView:
    """Return one run as it stands."""
    return context.control.run(run_id)


@router.get("/{run_id}/fields")
def read_fields(run_id: RunId, context: ContextDep) -> list[FieldView]:
    """Return the fields of a run with their units, in order of acquisition."""
    return context.control.fields(run_id)


@router.post("/{run_id}/pause", openapi_extra=ORDER)
def pause_run(run_id: RunId, control: OrderDep) -> RunView:
    """Hold the run before its next burst. Pausing it twice changes nothing."""
    return control.pause(run_id)


@router.post("/{run_id}/resume", openapi_extra=ORDER)
def resume_run(run_id: RunId, control: OrderDep) -> RunView:
    """Let a paused or interrupted run go on; 409 until somebody has rearmed."""
    return control.resume(run_id)


@router.post("/{run_id}/stop", openapi_extra=ORDER)
def stop_run(
    run_id: RunId, control: OrderDep, stop: StopRequest | None = None
) -> RunView:
    """End the run: drop or finish the burst in progress, keep what there is."""
    return control.stop(run_id, stop or StopRequest())


@router.post(
    "/{run_id}/fields/{field}/attempts",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=ORDER,
)
def retake_field(
    run_id: RunId,
    field: Annotated[str, Path(max_length=64)],
    control: OrderDep,
    retake: RetakeRequest | None = None,
) -> RunView:
    """Take a field of a run that is over again, deliberately, as a further attempt."""
    return control.retake(run_id, field, retake or RetakeRequest())
