"""What a run writes down of itself: its ledger, and a chain of events.

Every line is on disk before what it announces takes effect. An event names the SHA-256
of the line before it, so that a changed or removed line shows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from pydantic import JsonValue

from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import StorageError
from her2sr_proc.schema.ledger import LedgerRecord
from her2sr_proc.store.chain import EventChain
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter


class RunLedger:
    """Appends to ledger and events of one run, from any thread, one line at a time."""

    def __init__(self, folder: RunFolder, clock: Clock) -> None:
        self._run = folder.name
        self._clock = clock
        self._lock = threading.Lock()
        self._events = EventChain(folder)
        self._lines = LineWriter(folder.ledger)

    def record(self, line: LedgerRecord) -> None:
        """Return once the ledger has the line. Raises `StorageError`."""
        with self._lock, self._explained():
            self._lines.append(line.model_dump_json())

    def event(self, kind: str, **data: JsonValue) -> None:
        """Return once the chain has the event. Raises `StorageError`."""
        with self._lock, self._explained():
            self._events.add(
                kind,
                data,
                utc=self._clock.stamp(),
                monotonic_s=self._clock.monotonic(),
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
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
