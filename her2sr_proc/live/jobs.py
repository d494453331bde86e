"""Jobs that run one after another in a thread of their own. Knows no job's content."""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from her2sr_proc.errors import StateError

MAX_QUEUED = 1024
MAX_REMEMBERED = 4096
WAKE_S = 0.1
JOIN_S = 1.0
"""A job in progress is not waited for longer: all of them may be done again."""

log = logging.getLogger(__name__)
Action = Callable[[], object]


@dataclass(frozen=True, slots=True)
class JobsView:
    """How the jobs stand: ids of the last that ended, messages of those that failed."""

    queued: int
    done: tuple[str, ...]
    failed: dict[str, str]


class Jobs:
    """A bounded queue and the thread that empties it, as a context manager."""

    def __init__(self, *, max_queued: int = MAX_QUEUED) -> None:
        self._queue: queue.Queue[tuple[str, Action]] = queue.Queue(max_queued)
        self._lock = threading.Lock()
        self._count = 0
        self._unfinished = 0
        self._done: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._failed: OrderedDict[str, str] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def submit(self, name: str, action: Action) -> str:
        """Queue a job and return its id at once.

        Raises `StateError` when the queue is full.
        """
        with self._lock:
            job = f"{self._count:06d}-{name}"
            try:
                self._queue.put_nowait((job, action))
            except queue.Full:
                raise StateError(
                    f"{self._queue.maxsize} jobs wait already; ask again later",
                    queued=self._queue.maxsize,
                ) from None
            self._count += 1
            self._unfinished += 1
        return job

    def view(self) -> JobsView:
        """Return how the jobs stand; the one in progress counts as queued."""
        with self._lock:
            return JobsView(self._unfinished, tuple(self._done), dict(self._failed))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                job, action = self._queue.get(timeout=WAKE_S)
            except queue.Empty:
                continue
            self._do(job, action)

    def _do(self, job: str, action: Action) -> None:
        fault = None
        try:
            action()
        except Exception as exc:
            log.exception("job %s failed", job)
            fault = str(exc) or type(exc).__name__
        with self._lock:
            self._unfinished -= 1
            if fault is None:
                self._done.append(job)
                return
            self._failed[job] = fault
            while len(self._failed) > MAX_REMEMBERED:
                self._failed.popitem(last=False)
