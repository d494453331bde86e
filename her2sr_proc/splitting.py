"""One blob or more: the likelihood-ratio test, with every dye counted once.

Knows places with uncertainties; neither tables nor photons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from her2sr_proc.bounds import split_p_value
from her2sr_proc.mixture import (
    Blobs,
    Points,
    as_points,
    belongs,
    fit_blobs,
    one_blob,
    two_blobs,
)
from her2sr_proc.schema.count_params import LociParams

F64 = npt.NDArray[np.float64]

BRIDGE = 0.5
"""Of the dyes of both its neighbours, below which a blob between them is none."""
DETOUR = 1.15
"""Way by a blob over the straight one, below which it lies between two others."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Blobs of one clump with what they rest on."""

    blobs: Blobs
    chance: F64
    """Of each row to be of each blob, shape (rows, blobs)."""
    shares: F64
    """What part of a dye each row is."""
    p_values: F64
    """Of the split that made each blob."""


def split(
    where: F64, sd: F64, area_nm2: float, params: LociParams
) -> tuple[Fit, float]:
    """Return blobs, one more as long as the test asks for it, and the last p-value."""
    seen = as_points(where, sd, blob=params.blob_nm, area=area_nm2)
    seen, blobs = _counted(seen, sd, one_blob(seen))
    fit = Fit(blobs, belongs(seen, blobs)[0], seen.counts[0], np.ones(1))
    while fit.blobs.share.shape[1] < params.most_loci:
        trial, parent = _one_more(seen, fit)
        seen, trial = _counted(seen, sd, trial)
        fewer = fit_blobs(seen, fit.blobs.centre)
        chance = belongs(seen, trial)[0]
        gain = float(trial.log_likelihood[0] - fewer.log_likelihood[0])
        p_value = split_p_value(2.0 * gain)
        molecules = (chance * seen.counts[0][:, None]).sum(axis=0)
        is_real = molecules.min() >= params.least_molecules
        if p_value > params.split_p_value or not is_real:
            return fit, p_value
        p_values = np.append(fit.p_values, p_value)
        p_values[parent] = min(p_value, p_values[parent])
        fit = Fit(trial, chance, seen.counts[0], p_values)
    return fit, 1.0


def _counted(seen: Points, sd: F64, blobs: Blobs) -> tuple[Points, Blobs]:
    """Return the points, each dye of them counted once, and the blobs fitted so."""
    counts = dye_shares(seen, sd, blobs)
    seen = replace(seen, counts=counts[None])
    return seen, fit_blobs(seen, blobs.centre)


def _one_more(seen: Points, fit: Fit) -> tuple[Blobs, int]:
    """Return the best fit of one more blob, and which blob it came of."""
    count = fit.blobs.share.shape[1]
    trials: list[Blobs] = []
    for n in range(count):
        rest = np.delete(fit.blobs.centre, n, axis=1)
        mine = replace(seen, counts=seen.counts * fit.chance[None, :, n])
        halves = two_blobs(mine, one_blob(mine)).centre
        trials.append(fit_blobs(seen, np.concatenate([rest, halves], axis=1)))
    unseen = _densest(seen, 1.0 - fit.chance.sum(axis=1))[None, None]
    trials.append(fit_blobs(seen, np.concatenate([fit.blobs.centre, unseen], axis=1)))
    chosen = int(np.argmax([trial.log_likelihood[0] for trial in trials]))
    more = trials[chosen]
    if chosen == count:
        gap = np.square(more.centre[0, :-1] - more.centre[0, -1]).sum(axis=1)
        return more, int(np.argmin(gap))
    # the halves come last: the first of them takes the parent's place again
    order = np.append(np.insert(np.arange(count - 1), chosen, count - 1), count)
    return more.take_blobs(order), chosen


def _densest(seen: Points, left: F64) -> F64:
    """Return where the points that no blob explains lie densest, shape (2,)."""
    where, variance = seen.where[0], seen.variance[0]
    gap = np.square(where[:, None] - where).sum(axis=2)
    near = np.exp(-0.5 * gap / variance) @ (left * seen.counts[0])
    return np.asarray(where[int(np.argmax(near * left))])


def dye_shares(seen: Points, sd: F64, blobs: Blobs) -> F64:
    """Return what part of an independent dye each localization is, shape (points,).

    Localizations of one dye lie within their uncertainties of each other. Different
    dyes do so only as often as blobs of that size make them; neighbours beyond that are
    of the same dye, and all of them share in it. The sum is the number of independent
    dyes that the set is worth: that, too, is told from pairs, over the whole set, since
    a neighbourhood alone says little where dyes are many. A dye weighs as the root of
    its localizations: whole weights would rest on neighbourhoods alone, equal ones on
    the dye that is lit most.

    Parameters
    ----------
    seen : Points
        One set.
    sd : float64 array, shape (points,)
        Uncertainty, each axis.
    blobs : Blobs
        Fitted to the set.
    """
    where, total = seen.where[0], seen.variance[0]
    variance = np.square(sd)[:, None] + np.square(sd)
    gap = np.square(where[:, None] - where).sum(axis=2)
    near = np.exp(-0.5 * gap / variance)
    chance = belongs(seen, blobs)[0]
    expected = np.zeros_like(near)
    spread = variance + total
    for n, centre in enumerate(blobs.centre[0]):
        away = np.square(where - centre).sum(axis=1)[:, None]
        by_chance = variance / spread * np.exp(-0.5 * away / spread)
        expected += chance[:, n] * by_chance
    np.fill_diagonal(near, 0.0)
    np.fill_diagonal(expected, 0.0)
    # two localizations of one dye have exp(-d^2 / 2 v) of one half on average
    more = np.maximum((near - expected).sum(axis=1), 0.0)
    share = chance.sum(axis=1) / np.sqrt(1.0 + 2.0 * more)
    whole = max(float(share.sum()), 1e-9)
    pairs = np.outer(share, share) / whole**2
    same = float((pairs * (near - expected)).sum())
    same /= max(float((pairs * (0.5 - expected)).sum()), 1e-9)
    alone = float(np.diag(pairs).sum())
    dyes = 1.0 / (min(max(same, 0.0), 1.0) * (1.0 - alone) + alone)
    weight = 1.0 / np.sqrt(1.0 + 2.0 * more)
    return np.asarray(weight * dyes / whole)


def without_bridges(fit: Fit) -> Fit:
    """Return the blobs without a weak one between two strong ones.

    Two dyes lit at once, one in each of two loci, are fitted in their middle at times.
    """
    dyes = fit.chance.T @ fit.shares
    centre = fit.blobs.centre[0]
    keep = np.ones(dyes.size, np.bool_)
    for n in np.argsort(dyes) if dyes.size > 2 else ():
        others = np.flatnonzero(keep & (np.arange(dyes.size) != n))
        for i, j in combinations(others, 2):
            gaps = [float(np.hypot(*(centre[n] - centre[k]))) for k in (i, j)]
            detour = sum(gaps) / float(np.hypot(*(centre[i] - centre[j])))
            if detour < DETOUR and dyes[n] < BRIDGE * min(dyes[i], dyes[j]):
                keep[n] = False
    rows = np.flatnonzero(keep)
    return replace(
        fit,
        blobs=fit.blobs.take_blobs(rows),
        chance=fit.chance[:, rows],
        p_values=fit.p_values[rows],
    )
