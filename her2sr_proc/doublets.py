"""Sister doublets: two signals of one probe that count as one copy.

The guideline takes two signals of one size, at most one diameter apart, as one: their
middles are then at most two diameters apart. Where a nucleus holds many signals, chance
alone brings two as near; there only pairs nearer than one diameter are taken.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.schema.params import CountParams

F64 = npt.NDArray[np.float64]
DIAMETERS = 2.0
"""Between the middles of two discs that lie one diameter apart."""


def sister_pairs(points_px: F64, width_px: float) -> list[tuple[int, int]]:
    """Return the pairs nearer than a width, both apart from all others by it.

    Parameters
    ----------
    points_px : float64 array, shape (signals, 2)
        y, x of the signals of one probe in one nucleus.
    width_px : float
        What counts as near.
    """
    if len(points_px) < 2:
        return []
    near = cKDTree(points_px).query_pairs(width_px, output_type="ndarray")
    crowd = np.bincount(near.ravel(), minlength=len(points_px))
    return [(int(a), int(b)) for a, b in near if crowd[a] == 1 and crowd[b] == 1]


def merging_px(
    signals: int, *, area_px: float, diameter_px: float, params: CountParams
) -> float:
    """Return how near two signals of a nucleus count as one.

    Parameters
    ----------
    signals : int
        Of the probe in the nucleus.
    area_px : float
        Of the nucleus.
    diameter_px : float
        Full width at half maximum of an isolated conventional signal in focus.
    params : CountParams
        Pairs that chance may bring about, and the widest pair.
    """
    pairs = signals * (signals - 1) / 2
    if pairs == 0 or area_px <= 0:
        return diameter_px
    by_chance = math.sqrt(params.merge_chance * area_px / (math.pi * pairs))
    return min(max(by_chance, diameter_px), DIAMETERS * diameter_px)
