"""The clock of the queue: starts what is due while nobody is in the room."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Self

log = logging.getLogger(__name__)

PERIOD_S = 0.5
JOIN_S = 5.0


class Scheduler:
    """Calls each of ``looks`` twice a second. Entered and left with `with`."""

    def __init__(self, *looks: Callable[[], None], period_s: float = PERIOD_S) -> None:
        self._looks = looks
        self._period_s = period_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._ending.wait(self._period_s):
            for look in self._looks:
                try:
                    look()
                except Exception:  # top of a thread: the next run must still find it
                    log.exception("the queue could not be looked at")
