"""One target's own thread: a short queue, retries, and a count of what became of it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from her2sr_acq.config_notify import NoticeKind
from her2sr_acq.errors import DeliveryError
from her2sr_acq.notifying.notice import Notice

log = logging.getLogger(__name__)

WAITING = 32
"""Notices that wait for a target; more are dropped and counted."""
BACKOFF_S = (2.0, 10.0, 60.0)
"""Before the second, third and last attempt."""
END_S = 1.0


class Courier(Protocol):
    """Takes one notice to one target."""

    def send(self, notice: Notice) -> None:
        """Send it once. Raises `DeliveryError` unless it was taken."""
        ...


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the notices of one target since the start."""

    target: str
    sent: int = 0
    failed: int = 0
    """Given up after every attempt."""
    dropped: int = 0
    """There was no room in the queue."""
    waiting: int = 0


class Outbox:
    """The queue and thread of one target, as a context manager."""

    def __init__(
        self,
        name: str,
        courier: Courier,
        *,
        kinds: tuple[NoticeKind, ...],
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        waiting: int = WAITING,
    ) -> None:
        self.name = name
        self._courier, self._kinds, self._wait = courier, kinds, wait
        self._queue: queue.Queue[Notice | None] = queue.Queue(maxsize=waiting)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._counts = {"sent": 0, "failed": 0, "dropped": 0}
        self._thread = threading.Thread(
            target=self._work, name=f"notify {name}", daemon=True
        )

    def __enter__(self) -> Self:
        """Start sending."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a delivery in progress is not waited for longer than `END_S`."""
        self._ended.set()
        self._thread.join(END_S)

    def offer(self, notice: Notice) -> None:
        """Take a notice if the target wants it and there is room. Never waits."""
        if notice.kind not in self._kinds:
            return
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._count("dropped")

    def tally(self) -> Tally:
        """Return the counts as they stand."""
        with self._lock:
            return Tally(self.name, waiting=self._queue.qsize(), **self._counts)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                notice = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if notice is not None:
                self._deliver(notice)

    def _deliver(self, notice: Notice) -> None:
        for pause_s in (*BACKOFF_S, None):
            try:
                self._courier.send(notice)
            except DeliveryError as exc:
                if pause_s is None or not exc.may_pass:
                    log.warning(
                        "%s is given up for %s: %s", notice.kind, self.name, exc
                    )
                    break
                if self._wait(self._ended, pause_s):
                    break
            except Exception:  # a target must not end the thread of its notices
                log.exception("%s failed for %s", notice.kind, self.name)
                break
            else:
                self._count("sent")
                return
        self._count("failed")

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
