"""What changed, as numbered events that a listener can take up where it was cut off.

One look at the hardware process serves all listeners. Knows no HTTP. The last events
are kept in memory: who was away for longer, or since before a restart, is told to begin
anew and gets everything as it stands.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from her2sr_acq.engine.views import Health, RunView
from her2sr_acq.errors import AcqError, TooManyError
from her2sr_acq.service.ports import Control
from her2sr_proc.schema.model import Frozen

KEPT = 1000
WATCHED = 20
"""Runs of which changes are told: the newest."""
PERIOD_S = 0.5
MAX_LISTENERS = 50
_ID = re.compile(r"^([0-9a-f]{8})-(\d{1,12})$")


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change; ``data`` is JSON."""

    id: str
    kind: str
    data: str


class TroubleView(Frozen):
    """The hardware process does not answer."""

    detail: str


class Feed:
    """The events of one service. May be used from any thread."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, epoch: str = ""
    ) -> None:
        self._clock = clock
        self._epoch = epoch or secrets.token_hex(4)
        """Of this process: numbers of another mean nothing here."""
        self._lock = threading.Lock()
        self._events: deque[tuple[int, FeedEvent]] = deque(maxlen=KEPT)
        self._last = 0
        self._seen: dict[str, tuple[str, str]] = {}
        self._looked_at = -PERIOD_S
        self._listeners = 0

    def join(self) -> None:
        """Count a listener. Raises `TooManyError` beyond `MAX_LISTENERS`."""
        with self._lock:
            if self._listeners >= MAX_LISTENERS:
                raise TooManyError(
                    f"{MAX_LISTENERS} listeners are the limit; close some pages",
                    retry_after_s=10,
                )
            self._listeners += 1

    def leave(self) -> None:
        """Take a listener off the count."""
        with self._lock:
            self._listeners -= 1

    def look(self, control: Control) -> None:
        """Note what changed since the last look, unless that was just now."""
        with self._lock:
            if self._clock() - self._looked_at < PERIOD_S:
                return
            try:
                health, runs = control.health(), control.runs(limit=WATCHED)
            except AcqError as exc:
                self._note("trouble", "trouble", _quoted(str(exc)))
            else:
                self._seen.pop("trouble", None)
                self._note("health", "health", _coarse(health).model_dump_json())
                self._note_runs(runs)
            self._looked_at = self._clock()

    def after(self, last_id: str) -> list[FeedEvent]:
        """Return the events after the one that a listener saw last.

        The first is a `reset` when they are not all there any more.
        """
        match = _ID.match(last_id)
        with self._lock:
            known = match is not None and match[1] == self._epoch
            number = int(match[2]) if match is not None and known else -1
            oldest = self._events[0][0] if self._events else self._last + 1
            if oldest - 1 <= number <= self._last:
                return [event for place, event in self._events if place > number]
            return self._everything()

    def _everything(self) -> list[FeedEvent]:
        at = f"{self._epoch}-{self._last}"
        return [
            FeedEvent(at, "reset", "{}"),
            *(FeedEvent(at, kind, data) for kind, data in self._seen.values()),
        ]

    def _note_runs(self, runs: list[RunView]) -> None:
        shown = {f"run {run.id}" for run in runs}
        for key in [k for k in self._seen if k.startswith("run ") and k not in shown]:
            del self._seen[key]
        for run in reversed(runs):
            self._note(f"run {run.id}", "run", run.model_dump_json())

    def _note(self, key: str, kind: str, data: str) -> None:
        if self._seen.get(key) == (kind, data):
            return
        self._seen[key] = (kind, data)
        self._last += 1
        event = FeedEvent(f"{self._epoch}-{self._last}", kind, data)
        self._events.append((self._last, event))


def _coarse(health: Health) -> Health:
    """Return it with the free space in whole gigabytes: it changes all the time."""
    return health.model_copy(update={"free_bytes": health.free_bytes // 10**9 * 10**9})


def _quoted(sentence: str) -> str:
    return TroubleView(detail=sentence).model_dump_json()
