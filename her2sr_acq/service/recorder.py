"""Writes into the audit who did what, once it is known how it ended.

Before the answer is sent, so that nobody is told of a deed that left no line; after it
where the answer is urgent.
"""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from her2sr_acq.errors import StorageError
from her2sr_acq.service.access import Need
from her2sr_acq.service.context import Context

LONGEST = 200
log = logging.getLogger(__name__)


class Recorder:
    """Notes every request whose route says so, of those whose sender is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note it with its answer's status."""

        async def noting(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send(message)
                return
            need: Need | None = scope.get("state", {}).get("need")
            status = message["status"]
            is_noted = need is not None and need.is_noted
            is_urgent = need is not None and need.is_urgent
            if is_noted and not is_urgent:
                await run_in_threadpool(_note, scope, status)
            await send(message)
            if is_noted and is_urgent:
                await run_in_threadpool(_note, scope, status)

        await self._app(scope, receive, noting)


def _note(scope: Scope, status: int) -> None:
    """Add the line; what cannot be written is told in the log and changes nothing."""
    context: Context = scope["app"].state.context
    actor = scope["state"].get("actor")
    if actor is None:  # a stranger was refused; strangers do not fill the disk
        return
    client = scope.get("client")
    try:
        context.gate.audit.add(
            f"{scope['method']} {scope['path'][:LONGEST]}",
            by=actor.name,
            way=actor.way,
            credential=actor.credential,
            status=status,
            address=client[0] if client else "",
        )
    except StorageError as exc:
        log.error("the audit cannot be written: %s", exc)  # noqa: TRY400 - a sentence
