"""The chain of events of a run: every line names the SHA-256 of the line before it."""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import JsonValue

from her2sr_proc.schema.event import Event
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter, read_lines


class EventChain:
    """Appends events to a run, after those it has. Not thread-safe."""

    def __init__(self, run: RunFolder) -> None:
        earlier = read_lines(run.events)  # may raise: before anything is open
        self._file = LineWriter(run.events)
        self._sequence = len(earlier)
        self._previous = _digest(earlier[-1]) if earlier else ""

    def add(
        self, kind: str, data: dict[str, JsonValue], *, utc: str, monotonic_s: float
    ) -> None:
        """Return once the event is on disk. Raises `OSError`."""
        line = Event(
            sequence=self._sequence,
            utc=utc,
            monotonic_s=monotonic_s,
            kind=kind,
            data=data,
            previous=self._previous,
        ).model_dump_json()
        self._file.append(line)
        self._sequence += 1
        self._previous = _digest(line)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(run: RunFolder) -> list[Event]:
    """Return the events of a run, oldest first."""
    return [Event.model_validate_json(line) for line in read_lines(run.events)]


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
