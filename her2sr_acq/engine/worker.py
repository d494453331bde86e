"""The engine's thread: the only one that moves hardware.

It does one thing after the other: runs, and short questions to devices between them.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Self, TypeVar

from her2sr_acq.errors import DeviceTimeoutError, RunConflictError
from her2sr_proc.threads import name_here

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
WAITING = 8


class Worker:
    """Owns the engine's thread. Entered and left with `with`."""

    def __init__(self, *, join_s: float) -> None:
        self._join_s = join_s
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread after what it does now. See `is_stuck`."""
        self._work.put_nowait(None)
        self._thread.join(self._join_s)

    @property
    def is_stuck(self) -> bool:
        """Whether the thread outlived its deadline: a device call does not return."""
        return self._thread.is_alive()

    def start_run(self, run: Callable[[], None]) -> None:
        """Begin a run as soon as the thread is free; does not wait for it."""
        self._put(run)

    def ask(self, question: Callable[[], Answer], *, timeout_s: float) -> Answer:
        """Return the answer of a short call on the engine's thread, or its error.

        Raises `DeviceTimeoutError` when it does not return in time.
        """
        future: Future[Answer] = Future()

        def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(question())
            except Exception as exc:  # it belongs to whoever asked
                log.debug("a question to the devices failed", exc_info=True)
                future.set_exception(exc)

        self._put(answer)
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            raise DeviceTimeoutError(
                f"the devices did not answer within {timeout_s:g} s; check their "
                f"power and cables, then restart the service"
            ) from None

    def _put(self, work: Callable[[], None]) -> None:
        try:
            self._work.put_nowait(work)
        except queue.Full:
            raise RunConflictError(
                "the engine is busy with a device that does not answer; wait, or "
                "restart the service"
            ) from None

    def _run(self) -> None:
        name_here("engine")
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("work on the engine's thread failed")
