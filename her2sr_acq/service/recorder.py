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
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if is_noted(is_urgent=False):
                    await run_in_threadpool(_note, scope, status)
            await send(message)
            is_last = message["type"] == "http.response.body" and not message.get(
                "more_body", False
            )
            # whoever put the light out is not to wait for a disk or for a thread
            if is_last and is_noted(is_urgent=True):
                await run_in_threadpool(_note, scope, status)

        def is_noted(*, is_urgent: bool) -> bool:
            need: Need | None = scope.get("state", {}).get("need")
            return need is not None and need.is_noted and need.is_urgent is is_urgent

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
