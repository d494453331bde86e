"""Blobs of known size on even ground, fitted to points that know how well they lie.

Many sets of points are fitted at once, so that the same code tells two loci apart and
tells how often that goes wrong. Knows arrays only; lengths share one unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

LEAST_SHARE = 0.15
"""Of the points in blobs that the weaker of two must have: less is stragglers."""
ROUNDS = 80
SETTLED = 1e-4
"""Change of the log-likelihood at which rounds end."""


@dataclass(frozen=True, slots=True)
class Points:
    """Sets of points; rows that are not there have ``counts`` 0."""

    where: F64
    """Shape (sets, points, 2)."""
    variance: F64
    """Each axis, blob and own uncertainty together; shape (sets, points)."""
    counts: F64
    """How much each row counts; shape (sets, points)."""
    ground: F64
    """Density of a point of even ground, one over the area; shape (sets,)."""


@dataclass(frozen=True, slots=True)
class Blobs:
    """What was fitted; one entry a set."""

    centre: F64
    """Shape (sets, blobs, 2)."""
    share: F64
    """Of all points, shape (sets, blobs); the rest is ground."""
    log_likelihood: F64
    """Shape (sets,)."""

    def take_blobs(self, order: npt.NDArray[np.intp]) -> Blobs:
        """Return the blobs of every set in another order."""
        return replace(self, centre=self.centre[:, order], share=self.share[:, order])


def as_points(where: F64, sd: F64, *, blob: float, area: float) -> Points:
    """Return one set of points, shape (points, 2), with their own uncertainties."""
    variance = blob * blob + np.square(sd)
    ground = 1.0 / area if np.isfinite(area) else 0.0
    ones = np.ones(len(sd))
    return Points(where[None], variance[None], ones[None], np.array([ground]))


def fit_blobs(seen: Points, start: F64) -> Blobs:
    """Return the likeliest blobs near a start, by expectation maximization.

    Parameters
    ----------
    seen : Points
        What was seen.
    start : float64 array, shape (sets, blobs, 2)
        Centres to begin with.
    """
    blobs = start.shape[1]
    share = np.full(start.shape[:2], 0.95 / blobs if seen.ground.any() else 1.0 / blobs)
    found = Blobs(start, share, np.full(len(start), -np.inf))
    for _ in range(ROUNDS):
        chance, likelihood = _expect(seen, found)
        gain = likelihood - found.log_likelihood
        found = replace(found, log_likelihood=likelihood)
        if np.all(gain < SETTLED):
            break
        found = _maximize(seen, found, chance)
    return found


def one_blob(seen: Points) -> Blobs:
    """Return the fit of a single blob."""
    weight = seen.counts / seen.variance
    total = weight.sum(axis=1)[:, None]
    mean = (weight[:, :, None] * seen.where).sum(axis=1) / np.maximum(total, 1e-30)
    return fit_blobs(seen, mean[:, None])


def two_blobs(seen: Points, one: Blobs) -> Blobs:
    """Return the best fit of two blobs, begun along both axes of the points."""
    middle = one.centre[:, 0]
    offset = seen.where - middle[:, None]
    inside = seen.counts * (np.square(offset).sum(axis=2) < 25.0 * seen.variance)
    scatter = np.einsum("tn,tni,tnj->tij", inside, offset, offset)
    _, axes = np.linalg.eigh(scatter)
    step = np.sqrt(np.median(seen.variance, axis=1))[:, None]
    along, across = axes[:, :, 1] * step, axes[:, :, 0] * step
    starts = [
        (middle - along, middle + along),
        (middle - 0.5 * along, middle + 2.0 * along),
        (middle + 0.5 * along, middle - 2.0 * along),
        (middle - across, middle + across),
    ]
    fits = [fit_blobs(seen, np.stack(pair, axis=1)) for pair in starts]
    return best(fits)


def best(fits: list[Blobs]) -> Blobs:
    """Return the likeliest of several fits, set by set."""
    chosen = np.argmax([fit.log_likelihood for fit in fits], axis=0)
    rows = np.arange(len(chosen))
    return Blobs(
        np.stack([fit.centre for fit in fits])[chosen, rows],
        np.stack([fit.share for fit in fits])[chosen, rows],
        np.stack([fit.log_likelihood for fit in fits])[chosen, rows],
    )


def belongs(seen: Points, found: Blobs) -> F64:
    """Return the chance of each point to be of each blob, (sets, points, blobs)."""
    return _expect(seen, found)[0]


def _expect(seen: Points, found: Blobs) -> tuple[F64, F64]:
    gap = seen.where[:, :, None, :] - found.centre[:, None, :, :]
    variance = seen.variance[:, :, None]
    density = np.exp(-0.5 * np.square(gap).sum(axis=3) / variance)
    density *= found.share[:, None, :] / (2.0 * np.pi * variance)
    ground = (1.0 - found.share.sum(axis=1)).clip(0.0) * seen.ground
    total = density.sum(axis=2) + ground[:, None] + 1e-300
    likelihood = (seen.counts * np.log(total)).sum(axis=1)
    return density / total[:, :, None], likelihood


def _maximize(seen: Points, found: Blobs, chance: F64) -> Blobs:
    mine = chance * seen.counts[:, :, None]
    weight = mine / seen.variance[:, :, None]
    total = np.maximum(weight.sum(axis=1), 1e-30)
    centre = np.einsum("tnk,tni->tki", weight, seen.where) / total[:, :, None]
    share = mine.sum(axis=1) / seen.counts.sum(axis=1)[:, None]
    whole = share.sum(axis=1, keepdims=True)
    if share.shape[1] > 1:
        share = np.maximum(share, LEAST_SHARE * whole)
        share *= whole / share.sum(axis=1, keepdims=True)
    return Blobs(centre, share, found.log_likelihood)
