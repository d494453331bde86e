"""What changes, as server-sent events with replay; and the events of one run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from her2sr_acq.service.context import Context, ContextDep
from her2sr_acq.service.feed import PERIOD_S, FeedEvent
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.event import Event

router = APIRouter(tags=["events"], responses=RESPONSES)

MEDIA_TYPE = "text/event-stream"
QUIET_S = 15.0
"""After so long without an event a comment shows that the line is not dead."""
EVENT = {
    "description": "one server-sent event; its data is JSON",
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "server-sent events, for as long as the stream stays",
        "content": {MEDIA_TYPE: {"schema": EVENT}},
    }
}
LastEventId = Annotated[
    str, Header(max_length=64, description="the events after this one are sent")
]
Stay = Annotated[
    float,
    Query(
        ge=0,
        le=3600,
        description="the stream ends after so many seconds; browsers come back by "
        "themselves, with their right to do so looked at again",
    ),
]


class Page(BaseModel):
    """Which events, and how long a stream stays."""

    after: int = Field(default=-1, ge=-1, lt=2**31, description="a sequence")
    limit: int = Field(default=100, ge=1, le=500)
    stay_s: float = Field(default=300.0, ge=0, le=3600, description="of a stream")


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def follow(
    context: ContextDep, last_event_id: LastEventId = "", stay_s: Stay = 300.0
) -> StreamingResponse:
    """Follow runs and health: `run`, `health`, `trouble`, and `reset` before a start.

    With `Last-Event-ID` it goes on where it was cut off; after `reset` everything
    follows as it stands.
    """
    context.feed.join()
    lines = _feed_lines(context, last_event_id, stay_s)
    return StreamingResponse(lines, media_type=MEDIA_TYPE)


@router.get(
    "/runs/{run_id}/events",
    response_model=list[Event],
    responses={200: {"content": {MEDIA_TYPE: {"schema": EVENT}}}},
)
async def read_run_events(
    run_id: Annotated[str, Path(max_length=64)],
    request: Request,
    context: ContextDep,
    page: Annotated[Page, Query()],
    last_event_id: LastEventId = "",
) -> StreamingResponse | list[Event]:
    """Return the chained events of a run in order; as a stream where that is accepted.

    In a stream the id of an event is its sequence.
    """
    after = page.after
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16:
        after = max(after, int(last_event_id))
    found = await run_in_threadpool(context.archive.events, run_id, after, page.limit)
    if MEDIA_TYPE not in request.headers.get("accept", ""):
        return found
    context.feed.join()
    lines = _run_lines(context, run_id, after, page.stay_s)
    return StreamingResponse(lines, media_type=MEDIA_TYPE)


async def _feed_lines(
    context: Context, last_id: str, stay_s: float
) -> AsyncIterator[str]:
    feed = context.feed
    began = told = time.monotonic()
    try:
        while True:
            await run_in_threadpool(feed.look, context.control)
            events = feed.after(last_id)
            if events:
                last_id = events[-1].id
                told = time.monotonic()
                yield "".join(map(_line, events))
            elif time.monotonic() - told > QUIET_S:
                told = time.monotonic()
                yield ": quiet\n\n"
            if time.monotonic() - began >= stay_s:
                return
            await anyio.sleep(PERIOD_S)
    finally:
        feed.leave()


async def _run_lines(
    context: Context, run_id: str, after: int, stay_s: float
) -> AsyncIterator[str]:
    began = told = time.monotonic()
    try:
        while True:
            events = await run_in_threadpool(context.archive.events, run_id, after, 500)
            if events:
                after, told = events[-1].sequence, time.monotonic()
                yield "".join(_chained(events))
            elif time.monotonic() - told > QUIET_S:
                told = time.monotonic()
                yield ": quiet\n\n"
            if time.monotonic() - began >= stay_s:
                return
            await anyio.sleep(PERIOD_S)
    finally:
        context.feed.leave()


def _chained(events: Iterable[Event]) -> Iterable[str]:
    for event in events:
        yield _line(FeedEvent(str(event.sequence), "run", event.model_dump_json()))


def _line(event: FeedEvent) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.data}\n\n"
