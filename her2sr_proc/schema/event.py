"""One line of ``events.jsonl``: what happened to a run, chained to the line before."""

from __future__ import annotations

from pydantic import Field, JsonValue

from her2sr_proc.schema.model import Frozen


class Event(Frozen):
    """One line of ``events.jsonl``."""

    sequence: int = Field(ge=0)
    utc: str
    monotonic_s: float = Field(description="of the writing process; for durations")
    kind: str
    data: dict[str, JsonValue]
    previous: str = Field(description="SHA-256 of the line before; empty in the first")
