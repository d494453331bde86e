"""Tags of answers: who has the present one already is told so, without its body."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_HELD = 16 << 20
TAGGED = ("application/json", "text/html", "text/csv", "image/png")
"""Kinds of answers that are whole at once, unlike a stream of events."""


class ETags:
    """Tags whole answers to GET, and answers 304 to a tag that still holds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tag its answer."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held = _Held(Headers(scope=scope).get("if-none-match", ""), send)
        await self._app(scope, receive, held.take)


class _Held:
    """One answer, held back until its tag is known."""

    def __init__(self, asked: str, send: Send) -> None:
        self._asked = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._is_unchanged = False

    async def take(self, message: Message) -> None:
        """Take the next part of the answer."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._is_unchanged:
            return
        elif self._start is None:
            await self._send(message)
        else:
            await self._hold(message)

    async def _begin(self, message: Message) -> None:
        headers = Headers(raw=message["headers"])
        kind = headers.get("content-type", "").partition(";")[0]
        if message["status"] != 200 or kind not in TAGGED:
            await self._send(message)
        elif (tag := headers.get("etag")) is not None:  # of a file, by its time
            await self._answer(message, tag)
        elif int(headers.get("content-length", MAX_HELD + 1)) > MAX_HELD:
            await self._send(message)
        else:
            self._start = message

    async def _hold(self, message: Message) -> None:
        self._body.append(message.get("body", b""))
        if message.get("more_body", False) or self._start is None:
            return
        body = b"".join(self._body)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        MutableHeaders(scope=self._start)["etag"] = tag
        await self._answer(self._start, tag)
        if not self._is_unchanged:
            await self._send({"type": "http.response.body", "body": body})

    async def _answer(self, start: Message, tag: str) -> None:
        if tag not in self._asked and "*" not in self._asked:
            await self._send(start)
            return
        self._is_unchanged = True
        headers = MutableHeaders(raw=list(start["headers"]))
        for name in ("content-length", "content-type"):
            del headers[name]
        await self._send({**start, "status": 304, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": b""})
