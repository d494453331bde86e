"""An axis that takes its time: where it is while it moves."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence


class Motion:
    """A drive of one or more axes; moves in a straight line at one speed.

    May be used from any thread.
    """

    def __init__(
        self,
        start_um: Sequence[float],
        *,
        speed_um_s: float,
        settle_s: float,
        time_scale: float,
        clock: Callable[[], float],
    ) -> None:
        """``time_scale`` simulated seconds pass in one second of ``clock``."""
        self._from = tuple(start_um)
        self._to = self._from
        self._begun_s = -math.inf
        self._takes_s = 0.0
        self._speed_um_s = speed_um_s
        self._settle_s = settle_s
        self._time_scale = time_scale
        self._clock = clock
        self._lock = threading.Lock()

    def move(self, target_um: Sequence[float]) -> float:
        """Set out for a target, from wherever it is; return the simulated seconds."""
        here = self.position_um()
        with self._lock:
            self._from, self._to = here, tuple(target_um)
            way_um = math.dist(self._from, self._to)
            moves_s = way_um / self._speed_um_s + self._settle_s if way_um else 0.0
            self._begun_s = self._clock()
            self._takes_s = moves_s / self._time_scale
        return moves_s

    def put(self, target_um: Sequence[float]) -> None:
        """Be there at once: something else has carried it there."""
        with self._lock:
            self._from = self._to = tuple(target_um)
            self._takes_s = 0.0

    def position_um(self) -> tuple[float, ...]:
        """Return where it is now."""
        with self._lock:
            done = self._fraction()
            pairs = zip(self._from, self._to, strict=True)
            return tuple(a + done * (b - a) if done < 1.0 else b for a, b in pairs)

    def is_moving(self) -> bool:
        """Return whether it is on its way or still settling."""
        with self._lock:
            return self._fraction() < 1.0

    def _fraction(self) -> float:
        if self._takes_s <= 0.0:
            return 1.0
        return min(1.0, (self._clock() - self._begun_s) / self._takes_s)
