"""An answer that holds for a moment: many who ask at once make it once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Brief:
    """Keeps the last bytes made for so long. May be used from any thread."""

    def __init__(
        self, hold_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hold_s = hold_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, bytes] | None = None

    def get(self, make: Callable[[], bytes]) -> bytes:
        """Return what was made less than ``hold_s`` ago, or make it now.

        Raises what ``make`` raises, and then keeps nothing new.
        """
        with self._lock:
            now = self._clock()
            if self._kept is None or now - self._kept[0] >= self._hold_s:
                self._kept = now, make()
            return self._kept[1]
