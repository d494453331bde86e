"""Which role and lease a route needs: declared at the route, enforced for every route.

One dependency of the whole application reads the declaration of the route that was
found, never the address as text. A route that declares nothing needs a viewer to read
and an operator to change. The OpenAPI document shows the same declarations.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from her2sr_acq.accounts.roles import Actor, Role
from her2sr_acq.errors import LoginNeededError, StorageError
from her2sr_acq.service.context import Context, ContextDep
from her2sr_acq.service.gate import Credentials
from her2sr_acq.service.lane import urgently
from her2sr_acq.service.ports import Control
from her2sr_acq.service.problems import expected
from her2sr_acq.service.security import is_of

COOKIE = "her2sr_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
VISITOR: ContextVar[Actor | None] = ContextVar("visitor", default=None)
"""Who asks for the page that is being made."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of whoever uses it."""

    role: Role | None
    """None: nobody is asked."""
    lease: bool = False
    is_noted: bool = False
    """Whether its use stands in the audit."""
    is_urgent: bool = False
    """Answered without a limit, and even if it cannot be found out who asks."""

    @property
    def extra(self) -> dict[str, Any]:
        """The declaration, for ``openapi_extra`` of a route."""
        role = self.role.value if self.role else "anybody"
        said: dict[str, Any] = {"x-role": role, "x-lease": self.lease}
        if self.role is None:
            said["security"] = []
        return said | {"x-noted": self.is_noted, "x-urgent": self.is_urgent}


ANYBODY = Need(None).extra
VIEWER = Need(Role.VIEWER).extra
OPERATOR = Need(Role.OPERATOR).extra
ADMIN = Need(Role.ADMIN).extra
ORDER = Need(Role.OPERATOR, lease=True, is_noted=True).extra
"""Moves or lights the microscope: under the lease."""
ACT = Need(Role.OPERATOR, is_noted=True).extra
"""Changes something that no two clients can quarrel about."""
URGENT = Need(Role.VIEWER, is_noted=True, is_urgent=True).extra


def need_of(extra: dict[str, Any] | None, method: str) -> Need:
    """Return what a route declares, or what one that does not is taken to need."""
    if not extra or "x-role" not in extra:
        is_read = method in SAFE_METHODS
        return Need(Role.VIEWER if is_read else Role.OPERATOR, is_noted=not is_read)
    role = extra["x-role"]
    return Need(
        role=None if role == "anybody" else Role(role),
        lease=extra["x-lease"],
        is_noted=extra["x-noted"],
        is_urgent=extra["x-urgent"],
    )


async def authorise(request: Request) -> None:
    """Let a request through, or raise what keeps it out."""
    need = need_of(
        getattr(request.scope["route"], "openapi_extra", None), request.method
    )
    context: Context = request.app.state.context
    request.state.need = need
    try:
        run = urgently if need.is_urgent else run_in_threadpool
        actor = await run(_check, request, context, need)
    except StorageError:
        if not need.is_urgent:  # the light must go out with a broken disk, too
            raise
        actor = None
    request.state.actor = actor
    VISITOR.set(actor)


def _check(request: Request, context: Context, need: Need) -> Actor | None:
    gate, brought = context.gate, credentials(request)
    try:
        actor = gate.identify(brought)
    except LoginNeededError:
        if not need.is_urgent:
            gate.limit(None, brought.address)
        if need.role is not None:
            raise
        actor = None
    request.state.actor = actor
    if not need.is_urgent:
        gate.limit(actor, brought.address)
    if need.role is None:
        return actor
    actor = gate.admit(actor, need.role)
    if request.method not in SAFE_METHODS:
        gate.require_own_page(actor, brought)
    if need.lease:
        gate.require_lease(actor, _fence(request.headers.get("lease")))
    return actor


def credentials(request: Request) -> Credentials:
    """Return what a request says of its sender."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    return Credentials(
        token=token.strip() if scheme.lower() == "bearer" else None,
        cookie=request.cookies.get(COOKIE),
        address=request.client.host if request.client else "",
        is_own_page=origin is not None and is_of(origin, host),
    )


def _fence(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


async def _actor(request: Request) -> Actor | None:  # async: it needs no thread
    actor: Actor | None = request.state.actor
    return actor


ActorDep = Annotated[Actor | None, Depends(_actor)]


def _commanding(
    context: ContextDep,
    actor: ActorDep,
    lease: Annotated[
        int | None, Header(ge=0, lt=2**63, description="fence of `POST /lease`")
    ] = None,
) -> Control:
    """Return the hardware process as one who orders under a lease sees it."""
    name = actor.name if actor and actor.way != "open" else ""
    return context.control.under(lease, by=name)


OrderDep = Annotated[Control, Depends(_commanding)]


def name_of(actor: Actor | None, said: str) -> str:
    """Return who does something: who logged in, or who they say while it is open."""
    return said if actor is None or actor.way == "open" else actor.name


async def refuse_stranger(request: Request, error: Exception) -> Response:
    """Answer who is not known: a browser with the login page, a program with 401."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/login?then={quote(request.url.path)}", 303)
    response = await expected(request, error)
    response.headers["www-authenticate"] = "Bearer"
    return response


def install(app: FastAPI) -> None:
    """Answer strangers in ``app``."""
    app.add_exception_handler(LoginNeededError, refuse_stranger)
