"""How often somebody may ask: a bucket for each, and a wait after wrong passwords.

Everything is in memory: a restart forgives.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from her2sr_acq.errors import TooManyError

KEPT = 4096
"""So many askers are told apart; the one silent for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one asker gets."""

    per_s: float
    burst: float


USUAL = Rate(per_s=50.0, burst=300.0)
"""A page of a hundred tiles asks for each of their pictures at once."""
STRANGERS = Rate(per_s=10.0, burst=60.0)
OPEN = Rate(per_s=400.0, burst=1000.0)
"""Without users everyone on this computer is the same asker."""


class Buckets:
    """Tokens that run full with time; every request takes one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, rate: Rate) -> None:
        """Take one. Raises `TooManyError` when none is left."""
        now = self._clock()
        with self._lock:
            left, then = self._left.pop(who, (rate.burst, now))
            left = min(rate.burst, left + rate.per_s * (now - then))
            self._left[who] = (max(0.0, left - 1.0), now)
            if len(self._left) > KEPT:
                self._left.popitem(last=False)
        if left < 1.0:
            raise TooManyError(
                f"more than {rate.per_s:g} requests a second; ask less often, or "
                f"follow /api/v1/events instead of asking",
                retry_after_s=1,
            )


FREE_FAILURES = 5
LONGEST_S = 900.0


class Attempts:
    """Wrong passwords in a row, for a name and for an address."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        free: int = FREE_FAILURES,
    ) -> None:
        self._clock = clock
        self._free = free
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def require_free(self, *who: str) -> None:
        """Raise `TooManyError` while any of them has to wait."""
        now = self._clock()
        with self._lock:
            until = max((self._failed.get(key, (0, 0.0))[1] for key in who), default=0)
        if until > now:
            wait_s = int(until - now) + 1
            raise TooManyError(
                f"too many wrong passwords; wait {wait_s} s", retry_after_s=wait_s
            )

    def note_failure(self, *who: str) -> None:
        """Count a wrong password; beyond the free ones each doubles the wait."""
        now = self._clock()
        with self._lock:
            for key in who:
                count = self._failed.pop(key, (0, 0.0))[0] + 1
                over = count - self._free
                wait_s = min(LONGEST_S, 2.0 ** min(over, 10)) if over > 0 else 0.0
                self._failed[key] = (count, now + wait_s)
                if len(self._failed) > KEPT:
                    self._failed.popitem(last=False)

    def forgive(self, *who: str) -> None:
        """Forget the failures after a right password."""
        with self._lock:
            for key in who:
                self._failed.pop(key, None)
