"""Signals of two colours at one place: what shines in all, and what leaks over.

How many lie together by chance is measured on the field itself, with one colour
shifted by less than a nucleus. Knows points; no images and no nuclei.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

F64 = npt.NDArray[np.float64]

REACH_NM = 200.0
"""Nearer in two colours is at one place: colour errors and both fits' own."""
SHIFT_NM = 1200.0
"""Of the control: out of a signal, within its nucleus."""
DIRECTIONS = 8


@dataclass(frozen=True, slots=True)
class Coincidence:
    """How many of one colour's signals lie on one of the other."""

    observed: int
    by_chance: float
    """Mean over shifts of one colour."""


def coincidence(one_px: F64, other_px: F64, *, pixel_nm: float) -> Coincidence:
    """Return how many points of one colour lie on points of another.

    Parameters
    ----------
    one_px, other_px : float64 arrays, shape (points, 2)
        y, x of the signals of each colour.
    pixel_nm : float
        Width of a pixel in the sample.
    """
    if not len(one_px) or not len(other_px):
        return Coincidence(0, 0.0)
    tree, reach = cKDTree(other_px), REACH_NM / pixel_nm

    def near(points: F64) -> int:
        gaps, _ = tree.query(points)
        return int((gaps < reach).sum())

    turns = 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    shifts = np.column_stack([np.sin(turns), np.cos(turns)]) * SHIFT_NM / pixel_nm
    control = [near(one_px + shift) for shift in shifts]
    return Coincidence(near(one_px), float(np.mean(control)))
