"""What a run writes down of itself: its ledger, and a chain of events.

Every line is on disk before what it announces takes effect. An event names the SHA-256
of the line before it, so that a changed or removed line shows.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Self

from pydantic import Field, JsonValue

from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import StorageError
from her2sr_proc.schema.ledger import LedgerRecord
from her2sr_proc.schema.model import Frozen
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter, read_lines


class Event(Frozen):
    """One line of ``events.jsonl``."""

    sequence: int = Field(ge=0)
    utc: str
    monotonic_s: float = Field(description="of the writing process; for durations")
    kind: str
    data: dict[str, JsonValue]
    previous: str = Field(description="SHA-256 of the line before; empty in the first")


class RunLedger:
    """Appends to ledger and events of one run, from any thread, one line at a time."""

    def __init__(self, folder: RunFolder, clock: Clock) -> None:
        self._run = folder.name
        self._clock = clock
        self._lock = threading.Lock()
        earlier = read_lines(folder.events)  # may raise: before anything is open
        self._lines = LineWriter(folder.ledger)
        self._events = LineWriter(folder.events)
        self._sequence = len(earlier)
        self._previous = _digest(earlier[-1]) if earlier else ""

    def record(self, line: LedgerRecord) -> None:
        """Return once the ledger has the line. Raises `StorageError`."""
        with self._lock:
            self._append(self._lines, line.model_dump_json())

    def event(self, kind: str, **data: JsonValue) -> None:
        """Return once the chain has the event. Raises `StorageError`."""
        with self._lock:
            line = Event(
                sequence=self._sequence,
                utc=self._clock.stamp(),
                monotonic_s=self._clock.monotonic(),
                kind=kind,
                data=data,
                previous=self._previous,
            ).model_dump_json()
            self._append(self._events, line)
            self._sequence += 1
            self._previous = _digest(line)

    def _append(self, file: LineWriter, line: str) -> None:
        try:
            file.append(line)
        except OSError as exc:
            raise StorageError(
                f"the ledger of {self._run} cannot be written: {exc.strerror}; free or "
                f"check the disk of the data folder",
                errno=exc.errno,
            ) from exc

    def close(self) -> None:
        """Close both files. Safe to call twice."""
        self._lines.close()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(folder: RunFolder) -> list[Event]:
    """Return the events of a run, oldest first."""
    return [Event.model_validate_json(line) for line in read_lines(folder.events)]


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
