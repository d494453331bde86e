"""The light over HTTP: out at once, and armed again. Asks the guard, not acq."""

from __future__ import annotations

import json
import re
from functools import partial

from fastapi import APIRouter, Request
from pydantic import Field

from her2sr_acq.accounts.roles import Role
from her2sr_acq.engine.views import Preflight, RunRequest
from her2sr_acq.guard.messages import NOBODY, Finding, Stopped
from her2sr_acq.service import phrases, pseudonym
from her2sr_acq.service.access import ACT, URGENT, ActorDep, Need, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.lane import urgently
from her2sr_acq.service.language import SpokenDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.pseudonym import Pseudonym

router = APIRouter(tags=["safety"], responses=RESPONSES)


MAX_REASON = 500
UNNAMED = "unnamed"
ESTOP_BODY = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "description": "who does it, and why; whatever it is, the light "
                    "goes out",
                    "properties": {
                        "by": {"description": "a pseudonym; else it is nobody"},
                        "reason": {"description": f"{MAX_REASON} characters of it"},
                    },
                }
            }
        }
    }
}


class Act(Frozen):
    """Who rearms, and what was found; both stand in the audit."""

    by: Pseudonym = Field(default=UNNAMED, description="a pseudonym")
    reason: Finding = Field(max_length=MAX_REASON)


class Armed(Frozen):
    """The latch is gone."""

    armed: bool = True


@router.post("/estop", openapi_extra=URGENT | ESTOP_BODY)
async def estop(request: Request, context: ContextDep, actor: ActorDep) -> Stopped:
    """Put every light out and latch. Any role, no lease, as often as wanted.

    Nothing that is said with it keeps the light on.
    """
    said, reason = _told(await request.body())
    by = name_of(actor, said)
    return await urgently(partial(context.guard.estop, by=by, reason=reason))


def _told(body: bytes) -> tuple[str, str]:
    """Return who orders dark and why, as far as a body tells."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {}
    by, reason = said.get("by", UNNAMED), said.get("reason")
    is_name = isinstance(by, str) and re.fullmatch(NAME, by) is not None
    is_reason = isinstance(reason, str) and reason.strip() != ""
    return (
        str(by) if is_name else NOBODY,
        str(reason)[:MAX_REASON] if is_reason else "e-stop",
    )


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
