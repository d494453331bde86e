"""Where the focus of the next field is expected, from those before: tilt and drift.

A recursive fit (Kalman's) of a plane whose height also moves with time. Every field
measured corrects it by as much as the field is surer than the expectation, so that the
chance of one field's spots does not set its focus. Numbers alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_acq.engine.surface import STEEPEST_MRAD, Place

F64 = npt.NDArray[np.float64]

UNKNOWN_UM = 100.0
SLOPE_SD = STEEPEST_MRAD / 2000.0
DRIFT_SD_UM = 0.25
"""In the time between two fields, before anything is known of it."""
ROUGH_UM = 0.015
"""Between two fields: what neither tilt nor drift tells of their heights."""
BEND_SD = 1e-4
"""Between two fields: how much the slope changes."""
WANDER_UM = 0.01
"""Between two fields: how much the drift changes."""
PAUSE = 5.0
"""Usual times between two fields, after which the drift has gone its own way."""
PAUSED_UM = 1.0
"""How far a stand creeps in a pause."""
LEARNED_FROM = 3
"""Fields before anything is said of the drift."""
LEAST_GATE_UM = 0.3
GATE_SD = 4.0


@dataclass(frozen=True, slots=True)
class Guess:
    """A height that is expected."""

    z_um: float
    sd_um: float


class Ground:
    """What is known of the slide in one run. Owned by the engine's thread."""

    def __init__(self) -> None:
        self._state: F64 = np.zeros(4)
        """Height where the last field was, slopes along x and y, drift a second."""
        self._covariance: F64 = np.diag([UNKNOWN_UM**2, SLOPE_SD**2, SLOPE_SD**2, 0.0])
        self._at = (0.0, 0.0)
        self._time_s = 0.0
        self._step_s = 0.0
        self.fields = 0
        """So many were measured."""

    def guess(self, place: Place, time_s: float) -> Guess:
        """Return what is expected of a place at a time."""
        state, covariance = self._foreseen(place, time_s)
        return Guess(float(state[0]), math.sqrt(covariance[0, 0]))

    @property
    def drift(self) -> Guess:
        """How far the slide moves along the axis in a second."""
        if self.fields < LEARNED_FROM:
            return Guess(0.0, UNKNOWN_UM)
        return Guess(float(self._state[3]), math.sqrt(self._covariance[3, 3]))

    def agrees(self, place: Place, time_s: float, seen: Guess) -> bool:
        """Return whether a measured height can be that of this slide."""
        expected = self.guess(place, time_s)
        gate_um = GATE_SD * math.hypot(expected.sd_um, seen.sd_um)
        return abs(seen.z_um - expected.z_um) <= max(LEAST_GATE_UM, gate_um)

    def learn(self, place: Place, time_s: float, seen: Guess) -> Guess:
        """Take in what was measured; return what is known of the height now."""
        if self.fields == 1:
            self._step_s = max(time_s - self._time_s, 1e-3)
            self._covariance[3, 3] = (DRIFT_SD_UM / self._step_s) ** 2
        state, covariance = self._foreseen(place, time_s)
        gain = covariance[:, 0] / (covariance[0, 0] + seen.sd_um**2)
        self._state = state + gain * (seen.z_um - state[0])
        self._covariance = covariance - np.outer(gain, covariance[0])
        self._at, self._time_s = (place.x_um, place.y_um), time_s
        self.fields += 1
        return Guess(float(self._state[0]), math.sqrt(self._covariance[0, 0]))

    def doubt(self) -> None:
        """Believe the next measurement: this one was far from what was expected."""
        self._covariance[0, 0] += UNKNOWN_UM**2

    def _foreseen(self, place: Place, time_s: float) -> tuple[F64, F64]:
        if self.fields == 0:
            return self._state, self._covariance
        waited_s = time_s - self._time_s
        way = np.eye(4)
        way[0, 1:] = place.x_um - self._at[0], place.y_um - self._at[1], waited_s
        steps = min(waited_s / self._step_s, PAUSE) if self._step_s else 1.0
        # A field that was left out in between, or several, add up; a pause undoes.
        drift = WANDER_UM / self._step_s if self._step_s else 0.0
        noise = np.array([ROUGH_UM, BEND_SD, BEND_SD, drift]) ** 2 * max(1.0, steps)
        if steps >= PAUSE:
            noise[0] += PAUSED_UM**2
        return way @ self._state, way @ self._covariance @ way.T + np.diag(noise)
