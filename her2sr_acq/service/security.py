"""What keeps strangers out whoever is logged in.

Who may connect, from which page, with how much, and what a browser may do with an
answer.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from her2sr_acq.service.loopback import HOSTS
from her2sr_acq.service.problems import answer

MAX_BODY = 1 << 20
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-popups; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; font-src data:"
)
"""A report carries its pictures and its style inside and may run nothing."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
    "content-security-policy": POLICY,
}


class BrowserHeaders:
    """Adds the security headers to every answer; a route's own ones win."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and dress the answer."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, dressed)


class KnownHosts:
    """Refuses requests for another host's name or from another site's page.

    The first stops DNS rebinding, the second cross-site posts: a page somewhere on the
    web must not be able to start or stop a run through the operator's browser.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = HOSTS) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            response = answer(
                "unknown-host",
                "this service does not answer to that name; use its address, or start "
                "it with --allow-host NAME",
                HTTPStatus.BAD_REQUEST,
            )
            await response(scope, receive, send)
        elif scope["method"] not in SAFE_METHODS and _is_foreign(headers, host):
            response = answer(
                "foreign-origin",
                "orders are taken from the service's own pages and from programs, "
                "not from pages of other sites",
                HTTPStatus.FORBIDDEN,
            )
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BodyLimit:
    """Refuses a body over `MAX_BODY`, by its stated and by its true length."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body read, or answer 413."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        messages = None
        if stated.isdigit() and int(stated) <= self._limit:
            messages = await self._read(receive)
        if messages is None:
            response = answer(
                "too-large",
                f"a request may hold at most {self._limit} bytes",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
            await response(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        messages: list[Message] = []
        total = 0
        while True:
            message = await receive()
            messages.append(message)
            total += len(message.get("body", b""))
            if total > self._limit:
                return None
            if not message.get("more_body", False):
                return messages


def _name(host: str) -> str:
    """Return the name in a Host header: without port, without brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(headers: Headers, host: str) -> bool:
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return True
    origin = headers.get("origin")
    return origin is not None and not is_of(origin, host)


def is_of(origin: str, host: str) -> bool:
    """Return whether an Origin header names this host; what is no address does not."""
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False
