"""The light over HTTP: out at once, and armed again. Asks the guard, not acq."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from pydantic import Field

from her2sr_acq.accounts.roles import Role
from her2sr_acq.engine.views import Preflight, RunRequest
from her2sr_acq.guard.messages import Stopped
from her2sr_acq.service import phrases, pseudonym
from her2sr_acq.service.access import ACT, URGENT, ActorDep, Need, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.lane import urgently
from her2sr_acq.service.language import SpokenDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["safety"], responses=RESPONSES)


class Act(Frozen):
    """Who does it, and why; both stand in the audit."""

    by: str = Field(default="unnamed", pattern=NAME, description="a pseudonym")
    reason: str = Field(default="", max_length=500)


class Armed(Frozen):
    """The latch is gone."""

    armed: bool = True


@router.post("/estop", openapi_extra=URGENT)
async def estop(
    context: ContextDep, actor: ActorDep, act: Act | None = None
) -> Stopped:
    """Put every light out and latch. Any role, no lease, as often as wanted."""
    act = act or Act()
    by, reason = name_of(actor, act.by), act.reason or "e-stop"
    return await urgently(partial(context.guard.estop, by=by, reason=reason))


@router.post("/rearm", openapi_extra=ACT)
def rearm(act: Act, context: ContextDep, actor: ActorDep) -> Armed:
    """Take the latch back; refused while its cause is still there.

    Without the lease: it is for whoever looked at the microscope.
    """
    context.guard.rearm(by=name_of(actor, act.by), reason=act.reason)
    return Armed()


@router.post("/preflight", openapi_extra=Need(Role.OPERATOR).extra)
def preflight(request: RunRequest, context: ContextDep, spoken: SpokenDep) -> Preflight:
    """Return what would keep a run from starting now, its cost and its end."""
    pseudonym.require(request.sample)
    found = context.control.preflight(request)
    return found.model_copy(update={"checks": phrases.lines(spoken, found.checks)})
