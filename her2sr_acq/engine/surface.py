"""The slide's surface through a few measured heights: a plane, or a bent sheet.

A plane first, without the points that lie far from it; a smoothed spline only where a
plane does not do and enough points are there. Arrays and numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RBFInterpolator

from her2sr_acq.errors import FocusError

F64 = npt.NDArray[np.float64]

FLAT_UM = 0.15
"""Rms distance from a plane up to which the surface is one."""
OUTLIER_UM = 0.3
OUTLIER_SD = 4.0
ROUNDS = 3
MOST_OUTLIERS = 0.25
BENT_POINTS = 8
"""So few points make no spline."""
LARGEST_UM = 0.3
"""Rms error at measured points, each left out in turn, up to which it is believed."""
STEEPEST_MRAD = 50.0
"""A slide so steep is not seated: its field is out of focus at its own edges."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measured height."""

    x_um: float
    y_um: float
    z_um: float


class Place(Protocol):
    """Where something is on the stage."""

    @property
    def x_um(self) -> float:
        """Along x."""
        ...

    @property
    def y_um(self) -> float:
        """Along y."""
        ...


def rank(places: Sequence[Place]) -> int:
    """Return 0 for one place, 1 for places on a line, 2 for places of a plane."""
    where = np.array([(p.x_um, p.y_um) for p in places]).reshape(-1, 2)
    if len(where) < 2:
        return len(where) - 1
    return int(np.linalg.matrix_rank(where - where.mean(axis=0), tol=1.0))


class Surface:
    """What is believed of the height everywhere."""

    def __init__(self, points: Sequence[Point]) -> None:
        """Fit. Raises `FocusError` for points that are no surface of a slide."""
        if not points:
            raise FocusError("no field could be measured for the focus map")
        where = np.array([(p.x_um, p.y_um) for p in points])
        height = np.array([p.z_um for p in points])
        self._middle = where.mean(axis=0)
        kept, plane = _robust_plane(where - self._middle, height)
        self.outliers = int((~kept).sum())
        """Points that lie too far from the others to be believed."""
        self._plane = plane
        self._bent: RBFInterpolator | None = None
        if (slope := self.slope_mrad) > STEEPEST_MRAD:
            raise FocusError(
                f"the slide is tilted by {slope:.0f} mrad, and {STEEPEST_MRAD:g} is "
                f"the most; seat it anew in its holder"
            )
        away = height[kept] - self._level(where[kept])
        self.residual_um = float(np.sqrt((away**2).mean()))
        """Rms distance of the points believed from the surface."""
        is_bent = self.residual_um > FLAT_UM or self.outliers > MOST_OUTLIERS * len(
            height
        )
        if is_bent:
            self._bend(where, height)

    @property
    def kind(self) -> str:
        """Plane or spline."""
        return "plane" if self._bent is None else "spline"

    @property
    def slope_mrad(self) -> float:
        """Of the plane, along its steepest way."""
        return 1000.0 * math.hypot(float(self._plane[0]), float(self._plane[1]))

    def z_um(self, x_um: float, y_um: float) -> float:
        """Return the height at a place."""
        where = np.array([[x_um, y_um]])
        z = float(self._level(where)[0])
        if self._bent is not None:
            z += float(self._bent(where - self._middle)[0])
        return z

    def _level(self, where: F64) -> F64:
        return np.asarray(_design(where - self._middle) @ self._plane)

    def _bend(self, where: F64, height: F64) -> None:
        if len(height) < BENT_POINTS:
            raise FocusError(
                f"the {len(height)} fields measured do not lie on a plane (rms "
                f"{self.residual_um:.2f} um); measure more of them with a smaller "
                f"focus.every, or focus by 'image'"
            )
        self.outliers = 0
        rest, places = height - self._level(where), where - self._middle
        everyone = np.arange(len(height))
        errors = [
            rest[n]
            - float(
                _spline(places[everyone != n], rest[everyone != n])(places[n : n + 1])[
                    0
                ]
            )
            for n in everyone
        ]
        self.residual_um = float(np.sqrt(np.mean(np.square(errors))))
        if self.residual_um > LARGEST_UM:
            raise FocusError(
                f"the fields measured make no smooth surface (each is missed by "
                f"{self.residual_um:.2f} um rms from the others); measure more of "
                f"them with a smaller focus.every, or focus by 'image'"
            )
        self._bent = _spline(places, rest)


def _spline(places: F64, height: F64) -> RBFInterpolator:
    return RBFInterpolator(places, height, kernel="thin_plate_spline", smoothing=1.0)


def _design(where: F64) -> F64:
    return np.column_stack([where, np.ones(len(where))])


def _robust_plane(where: F64, height: F64) -> tuple[npt.NDArray[np.bool_], F64]:
    """Return which points are believed, and slopes and height of their plane.

    Of points on a line, or of one, the smallest slope that explains them.
    """
    kept = np.ones(len(height), bool)
    plane: F64 = np.zeros(3)
    for _ in range(ROUNDS):
        plane = np.asarray(
            np.linalg.lstsq(_design(where[kept]), height[kept], rcond=1e-9)[0]
        )
        away = np.abs(height - _design(where) @ plane)
        spread = 1.4826 * float(np.median(away[kept]))
        believed = away <= max(OUTLIER_UM, OUTLIER_SD * spread)
        if believed.sum() < 3 or (believed == kept).all():
            break
        kept = believed
    return kept, plane
