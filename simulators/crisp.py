"""The simulated focus lock: holds a plane above the glass by the light it reflects.

Works as ASI's CRISP does: ``Idle``, ``Ready``, ``Lock`` while it settles, ``In Focus``
while it holds, ``Dim`` where no light comes back, ``Error`` when it lost its plane. It
follows drift and tilt while it holds; whoever moves the focus drive takes it out of
lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from simulators.motion import Motion
from simulators.options import LockOptions

IDLE, READY, LOCK, IN_FOCUS = "Idle", "Ready", "Lock", "In Focus"
DIM, ERROR = "Dim", "Error"
SETTABLE = (IDLE, READY, LOCK)


class Glass(Protocol):
    """Where the glass lies now under a stage position; None: no reflection."""

    def __call__(self, x_um: float, y_um: float) -> float | None:
        """Return z of the glass."""
        ...


class Crisp:
    """One focus lock. May be used from any thread."""

    def __init__(
        self,
        options: LockOptions,
        *,
        glass: Glass,
        focus: Motion,
        offset_um: float,
        seed: int,
        wall: tuple[Callable[[], float], float],
    ) -> None:
        """Take the drive that it holds, and a clock with its time scale.

        Parameters
        ----------
        offset_um : float
            Distance of the plane held from the glass, at the start.
        wall : clock, float
            Seconds of the wall, and simulated seconds in each.
        """
        self._options = options
        self._glass = glass
        self.focus = focus
        self._clock, self._time_scale = wall
        self._chance = np.random.default_rng([seed, 4711])
        self._lock = threading.RLock()
        self._word = IDLE
        self._since = self._clock()
        self._error_um = 0.0
        self._place = (0.0, 0.0)
        self.offset_um = offset_um
        self.failures = 0
        """Times that it lost its plane by chance."""

    def state(self) -> str:
        """Return the word for what it does now."""
        with self._lock:
            settles_s = self._options.settle_s / self._time_scale
            if self._word == LOCK and self._clock() - self._since >= settles_s:
                self._word = IN_FOCUS
            return self._word

    @property
    def holds(self) -> bool:
        """Whether the focus follows the glass."""
        return self._word in (LOCK, IN_FOCUS)

    def set_state(self, word: str, place_um: tuple[float, float]) -> None:
        """Obey: let go, make ready, or lock where it is. Raises ValueError."""
        if word not in SETTABLE:
            raise ValueError(f"the lock can be set to {', '.join(SETTABLE)}")
        with self._lock:
            self._settle()
            self._place = place_um
            self._word = self._caught() if word == LOCK else word
            self._since = self._clock()
            if self._word == LOCK:
                noise_um = self._options.noise_nm / 1000.0
                self._error_um = noise_um * float(self._chance.standard_normal())

    def moved_to(self, place_um: tuple[float, float]) -> None:
        """Follow the stage, or lose the plane on the way."""
        with self._lock:
            before = self.z_um()
            self._place = place_um
            if not self.holds:
                return
            if self._chance.random() < self._options.failure_probability:
                self.failures += 1
                runs = self._chance.random() < 0.5
                far = float(self._chance.uniform(-1.0, 1.0)) * self._options.runaway_um
                self._lose(ERROR, before + (far if runs else 0.0))
            elif self._glass(*place_um) is None:
                self._lose(DIM, before)

    def drive_taken(self) -> None:
        """Let go because somebody moves the drive."""
        with self._lock:
            if self.holds:
                self._settle()
                self._word = READY

    def z_um(self) -> float:
        """Return where the focus is: held above the glass, or where the drive is."""
        with self._lock:
            (z_um,) = self.focus.position_um()
            glass = self._glass(*self._place) if self.holds else None
            if glass is None:
                return z_um
            return glass + self.offset_um + self._error_um

    def _caught(self) -> str:
        glass = self._glass(*self._place)
        if glass is None:
            return DIM
        (z_um,) = self.focus.position_um()
        away = abs(z_um - glass - self.offset_um)
        return LOCK if away <= self._options.range_um else ERROR

    def _lose(self, word: str, z_um: float) -> None:
        self._word = word
        self.focus.put((z_um,))

    def _settle(self) -> None:
        """Leave the drive where the lock held it."""
        if self.holds:
            self.focus.put((self.z_um(),))
