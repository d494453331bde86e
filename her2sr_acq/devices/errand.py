"""An act on a device that is waited for no longer than agreed.

A call into a driver cannot be taken back. It is left to a thread of its own, so that
whoever asked goes on, and at most one such thread hangs for each errand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from her2sr_acq.errors import DeviceTimeoutError


class Pending:
    """An act under way."""

    def __init__(self, act: Callable[[], None], ended: Callable[[], None]) -> None:
        self._done = threading.Event()
        self._fault: Exception | None = None
        thread = threading.Thread(target=self._go, args=(act, ended), daemon=True)
        thread.start()

    def wait(self, label: str, timeout_s: float) -> None:
        """Return when it is done, or raise what it raised.

        Raises `DeviceTimeoutError` when it is not done in time.
        """
        if not self._done.wait(timeout_s):
            raise DeviceTimeoutError(
                f"{label}: no answer within {timeout_s:g} s", device=label
            )
        if self._fault is not None:
            raise self._fault

    def _go(self, act: Callable[[], None], ended: Callable[[], None]) -> None:
        try:
            act()
        except Exception as exc:  # noqa: BLE001 - raised again by `wait`
            self._fault = exc
        finally:
            ended()
            self._done.set()


class Errand:
    """An act that any thread may ask for at any time, one at a time."""

    def __init__(
        self, label: str, act: Callable[[], None], *, timeout_s: float
    ) -> None:
        self._label = label
        self._act = act
        self._timeout_s = timeout_s
        self._turn = threading.Semaphore(1)

    def run(self) -> None:
        """Do it; raise within twice the time agreed when it cannot be done."""
        self.begin(wait_s=self._timeout_s)()

    def begin(self, *, wait_s: float = 0.0) -> Callable[[], None]:
        """Begin, and return what waits for the end and raises what went wrong."""
        if not self._turn.acquire(timeout=wait_s):
            return self.run if wait_s == 0.0 else self._refuse
        pending = Pending(self._act, self._turn.release)
        return lambda: pending.wait(self._label, self._timeout_s)

    def _refuse(self) -> None:
        raise DeviceTimeoutError(
            f"{self._label}: the last command has not returned within "
            f"{self._timeout_s:g} s",
            device=self._label,
        )
