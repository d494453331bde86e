"""Whether this process lives, and whether a run could start now."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from her2sr_acq.engine.views import Health
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["health"], responses=RESPONSES)


class Alive(Frozen):
    """The process answers; says nothing of the microscope."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
def read_liveness() -> Alive:
    """Answer as long as the service runs, with or without a microscope."""
    return Alive()


@router.get("/readyz")
def read_readiness(context: ContextDep) -> Health:
    """Return the state of the hardware process; 503 when no run may start."""
    health = context.control.health()
    if health.latched:
        raise ServiceUnavailableError(f"no run may start: {health.latched}")
    return health
