"""Who did what, and when: lines that each name the SHA-256 of the line before.

A line that is changed, removed or put in between breaks the chain, and `check` says
where. Whoever can write the file can also write a whole new chain; the digest of the
last line, kept elsewhere, would show it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue, ValidationError

from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.errors import StorageError
from her2sr_proc.schema.event import Event


class Audit:
    """The chain of one data folder. May be used from any thread."""

    def __init__(
        self,
        database: ServiceDatabase,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic

    def add(self, kind: str, *, by: str, **data: JsonValue) -> None:
        """Return once the line is on disk. Raises `StorageError`."""
        with self._database.writing():
            last = self._database.rows(
                "SELECT sequence, line FROM audit ORDER BY sequence DESC LIMIT 1"
            )
            sequence = last[0][0] + 1 if last else 0
            line = Event(
                sequence=sequence,
                utc=self._now().isoformat(timespec="milliseconds"),
                monotonic_s=self._monotonic(),
                kind=kind,
                data={"by": by, **data},
                previous=_digest(last[0][1]) if last else "",
            ).model_dump_json()
            self._database.rows("INSERT INTO audit VALUES (?, ?)", sequence, line)

    def lines(self, *, after: int = -1, limit: int = 100) -> list[Event]:
        """Return lines in order, those after a number. Raises `StorageError`."""
        rows = self._database.rows(
            "SELECT sequence, line FROM audit WHERE sequence > ? "
            "ORDER BY sequence LIMIT ?",
            after,
            limit,
        )
        return [_event(sequence, line) for sequence, line in rows]

    def check(self) -> int:
        """Return how many lines there are. Raises `StorageError` where they break."""
        previous = ""
        rows = self._database.rows("SELECT sequence, line FROM audit ORDER BY sequence")
        for place, (sequence, line) in enumerate(rows):
            event = _event(sequence, line)
            if (sequence, event.sequence, event.previous) != (place, place, previous):
                raise StorageError(
                    f"the audit is not whole: line {sequence} does not follow the one "
                    f"before it; compare service.db with a copy"
                )
            previous = _digest(line)
        return len(rows)


def _event(sequence: int, line: str) -> Event:
    try:
        return Event.model_validate_json(line)
    except ValidationError as exc:
        raise StorageError(
            f"the audit is not whole: line {sequence} cannot be read; compare "
            f"service.db with a copy"
        ) from exc


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
