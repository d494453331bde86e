"""Logging in and out, and who one is; the login page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response, status
from pydantic import Field

from her2sr_acq.accounts.people import SESSION_S
from her2sr_acq.accounts.roles import Role
from her2sr_acq.service.access import ANYBODY, COOKIE, ActorDep, credentials
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.model import Frozen

router = APIRouter(prefix="/session", tags=["access"], responses=RESPONSES)


class Login(Frozen):
    """Name and password."""

    name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class Visitor(Frozen):
    """Who asks, and what they may do."""

    name: str
    role: Role | None = Field(description="null: nobody is logged in")
    is_open: bool = Field(description="no user is set up: everyone here may operate")


@router.post("", openapi_extra=ANYBODY)
def log_in(
    login: Login, request: Request, response: Response, context: ContextDep
) -> Visitor:
    """Begin a session: the answer sets a cookie for this browser."""
    brought = credentials(request)
    actor, cookie = context.gate.log_in(
        login.name, login.password, address=brought.address
    )
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=round(SESSION_S),
        httponly=True,
        samesite="strict",
        # behind a proxy that adds TLS only the browser knows of it
        secure=request.headers.get("origin", "").startswith("https:"),
    )
    return Visitor(name=actor.name, role=actor.role, is_open=False)


@router.get("", openapi_extra=ANYBODY)
def read_session(actor: ActorDep, context: ContextDep) -> Visitor:
    """Return who asks."""
    return Visitor(
        name=actor.name if actor else "",
        role=actor.role if actor else None,
        is_open=context.gate.is_open,
    )


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=ANYBODY)
def log_out(request: Request, response: Response, context: ContextDep) -> None:
    """End this browser's session. Ending it twice changes nothing."""
    if (cookie := request.cookies.get(COOKIE)) is not None:
        context.gate.people.log_out(cookie)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
