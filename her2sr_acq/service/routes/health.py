"""Whether this process lives, and whether a run could start now."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from starlette.responses import JSONResponse

from her2sr_acq.engine.views import Health
from her2sr_acq.errors import LatchedError
from her2sr_acq.service.access import ANYBODY
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES, answer
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["health"], responses=RESPONSES)


class Alive(Frozen):
    """The process answers; says nothing of the microscope."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", openapi_extra=ANYBODY)
def read_liveness() -> Alive:
    """Answer as long as the service runs, with or without a microscope."""
    return Alive()


@router.get("/readyz", response_model=Health)
def read_readiness(context: ContextDep) -> Health | JSONResponse:
    """Return the state of the hardware process; 503 when no run may start."""
    health = context.control.health()
    if health.latched:
        return answer(
            LatchedError.code,
            f"no run may start: {health.latched}",
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
    return health
