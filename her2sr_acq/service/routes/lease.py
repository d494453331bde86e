"""The lease over HTTP: who steers the microscope. And the audit of who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, status
from pydantic import Field

from her2sr_acq.accounts.lease import TTL_S
from her2sr_acq.accounts.roles import NOBODY, Role
from her2sr_acq.errors import ForbiddenError
from her2sr_acq.service.access import ADMIN, OPERATOR, ActorDep
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.event import Event
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["access"], responses=RESPONSES)


class LeaseRequest(Frozen):
    """How long, and whether another holder is to lose it."""

    ttl_s: float = Field(
        default=TTL_S,
        ge=5,
        le=300,
        strict=True,
        description="ask again before it is over",
    )
    take_over: bool = Field(default=False, strict=True, description="admins alone")


class LeaseView(Frozen):
    """The lease that was given."""

    fence: int = Field(description="goes into the header Lease of every order")
    holder: str
    expires_utc: str


@router.post("/lease", openapi_extra=OPERATOR)
def take_lease(
    context: ContextDep, actor: ActorDep, wanted: LeaseRequest | None = None
) -> LeaseView:
    """Take the lease, or prolong one's own; 409 while another client holds it."""
    wanted, actor = wanted or LeaseRequest(), actor or NOBODY
    if wanted.take_over and not actor.role.may(Role.ADMIN):
        raise ForbiddenError("only an admin may take the lease over; wait for its end")
    grant = context.gate.lease.take(actor, ttl_s=wanted.ttl_s, force=wanted.take_over)
    return LeaseView(
        fence=grant.fence, holder=grant.holder, expires_utc=grant.expires_utc
    )


@router.delete("/lease", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=OPERATOR)
def give_lease_back(context: ContextDep, actor: ActorDep) -> None:
    """Give one's own lease back. Without one nothing changes."""
    context.gate.lease.give_back(actor or NOBODY)


@router.get("/audit", openapi_extra=ADMIN)
def read_audit(
    context: ContextDep,
    after: Annotated[int, Query(ge=-1, lt=2**63, description="line number")] = -1,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[Event]:
    """Return who did what, in order; each line names the digest of the one before."""
    return context.gate.audit.lines(after=after, limit=limit)
