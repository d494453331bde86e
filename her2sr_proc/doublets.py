"""Sister doublets: two signals of one probe that count as one copy.

The guideline takes two signals of one size, at most one diameter apart, as one: their
middles are then at most two diameters apart. Where a nucleus holds many signals, chance
alone brings two as near; there only pairs nearer than one diameter are taken. Two
copies side by side, each a doublet, are two pairs; where more signals hang together it
is a cluster, which stays as resolved.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from her2sr_proc.schema.count_params import CountParams

F64 = npt.NDArray[np.float64]
COMPANY = 4
"""Signals that may hang together and still be pairs: two copies, each a doublet."""
DIAMETERS = 2.0
"""Between the middles of two discs that lie one diameter apart."""


def sister_pairs(points_px: F64, width_px: float) -> list[tuple[int, int]]:
    """Return pairs nearer than a width, the nearest first, none of them in a crowd.

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
    if not len(near):
        return []
    size = _company(near, len(points_px))
    gaps = np.linalg.norm(points_px[near[:, 0]] - points_px[near[:, 1]], axis=1)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for a, b in near[np.argsort(gaps, kind="stable")].tolist():
        if size[a] <= COMPANY and not taken & {a, b}:
            taken |= {a, b}
            pairs.append((a, b))
    return pairs


def _company(near: npt.NDArray[np.intp], signals: int) -> npt.NDArray[np.int64]:
    """Return how many signals hang together with each, itself included."""
    links = coo_array((np.ones(len(near)), near.T), shape=(signals, signals))
    _, of = connected_components(links, directed=False)
    return np.asarray(np.bincount(of)[of], np.int64)


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
