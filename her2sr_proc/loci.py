"""How many loci a clump of localizations is: a likelihood-ratio test, blob by blob.

A locus is a blob of the probe's known size; each localization is off by its own
uncertainty, too, and some lie anywhere. A dye that blinks often counts as one piece of
evidence, not as many: how many independent dyes there are is told from how much more
often two localizations lie within their uncertainties than different dyes of such blobs
would. Knows tables; no frames and no nuclei.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.bounds import resolvable_nm, split_p_value
from her2sr_proc.clumps import Clumps
from her2sr_proc.linking import link
from her2sr_proc.mixture import (
    Blobs,
    Points,
    as_points,
    belongs,
    fit_blobs,
    one_blob,
    two_blobs,
)
from her2sr_proc.schema.params import LociParams
from her2sr_proc.schema.table import Localizations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_ROWS = 400
"""Stays of dyes in the light that are tested, of a clump: more know no more dyes."""
LINK = 4.0
"""Uncertainties within which a fit goes on with the dye of a frame before."""
GAP = 2
"""Dark frames after which it does so still."""
LEAST_SD_NM = 8.0
"""Of a dye's place, however long it was lit: what uneven ground shifts it by."""
WIDE = 1.25
"""Times a clump's lower quartile of widths: a wider fit is of several dyes."""


APART = 2.5
"""Widths of a spot within which two fits of a frame share light, and errors."""

SHADOW = 4.0
"""Widths of a spot within which a blob of several dyes leaves fits of its own."""
LEAST_BRIGHT = 3
"""Fits of several dyes at once without which a clump must show many one by one."""
ONE_BY_ONE = 3.0
"""Times the least dyes of a locus, where they are never seen at once."""
BRIDGE = 0.5
"""Of the dyes of both its neighbours, below which a blob between them is none."""
DETOUR = 1.15
"""Way by a blob over the straight one, below which it lies between two others."""


@dataclass(frozen=True, slots=True)
class Locus:
    """One locus."""

    x_nm: float
    y_nm: float
    clump: int
    localizations: int
    """That took part."""
    molecules: float
    """Different dyes that these are of."""
    p_value: float
    """Of the test that parted it from its nearest neighbour in the clump; 1: alone."""
    split_p_value: float
    """Of the last split that was tried and refused; smaller is more doubtful."""
    resolvable_nm: float
    """Two loci so far apart would have been told apart nine times in ten; infinite:
    at no distance, there is only a blob's middle."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Blobs of one clump with what they rest on."""

    blobs: Blobs
    chance: F64
    """Of each row to be of each blob, shape (rows, blobs)."""
    shares: F64
    """What part of a dye each row is."""
    p_values: F64
    """Of the split that made each blob."""


def find_loci(
    table: Localizations,
    clumps: Clumps,
    *,
    dye_photons: float | None,
    params: LociParams,
) -> list[Locus]:
    """Return the loci of a table, clump by clump.

    Parameters
    ----------
    table : Localizations
        Of one channel and field, linked or not. Rows whose column ``centroid`` is 1,
        where there is one, are a blob's middle and tell no loci apart.
    clumps : Clumps
        Of the same rows.
    dye_photons : float or None
        Of one lit dye; brighter rows are of several. None: not known, and every clump
        of enough rows is one locus, since nothing says which rows are one dye.
    params : LociParams
        Sizes and limits.
    """
    order = np.argsort(clumps.of_row, kind="stable")
    starts = np.searchsorted(clumps.of_row[order], np.arange(len(clumps) + 1))
    found: list[Locus] = []
    for number in range(len(clumps)):
        rows = order[starts[number] : starts[number + 1]]
        found += _loci(table, rows, number, clumps.area_nm2[number], dye_photons, params)
    return found


def _loci(
    table: Localizations,
    rows: I64,
    number: int,
    area_nm2: float,
    dye_photons: float | None,
    params: LociParams,
) -> list[Locus]:
    where = np.column_stack([table["x_nm"][rows], table["y_nm"][rows]])
    where = where.astype(np.float64)
    sd = table["uncertainty_nm"][rows].astype(np.float64)
    single = _tells(table, rows, sd, dye_photons, params)
    if single.sum() < params.least:
        return _unresolved(table, rows, where, number, dye_photons, params)
    places, sd = _linked(table.take(rows[single]))
    fit, refused = _split(places, sd, area_nm2, params)
    fit = _without_bridges(fit)
    dyes = fit.chance.T @ fit.shares
    if not _is_locus(table, rows, float(dyes.sum()), dye_photons, params):
        return _unresolved(table, rows, where, number, dye_photons, params)
    precision = float(np.sqrt(np.mean(np.square(sd))))
    reach = resolvable_nm(
        molecules=float(dyes.sum()),
        blob_nm=params.blob_nm,
        precision_nm=precision,
        p_value=params.split_p_value,
        power=0.9,
    )
    own = fit.chance.sum(axis=0)
    return [
        Locus(
            x_nm=float(fit.blobs.centre[0, n, 0]),
            y_nm=float(fit.blobs.centre[0, n, 1]),
            clump=number,
            localizations=round(float(own[n])),
            molecules=float(dyes[n]),
            p_value=float(fit.p_values[n]),
            split_p_value=refused,
            resolvable_nm=reach,
        )
        for n in range(len(own))
    ]


def _is_locus(
    table: Localizations,
    rows: I64,
    dyes: float,
    dye_photons: float | None,
    params: LociParams,
) -> bool:
    """Return whether a clump is of many dyes: seen lit at once, or one by one."""
    several = params.least_molecules * (dye_photons or np.inf)
    bright = int((table["photons"][rows].astype(np.float64) >= several).sum())
    one_by_one = dyes >= ONE_BY_ONE * params.least_molecules
    return dyes >= params.least_molecules and (bright >= LEAST_BRIGHT or one_by_one)


def _without_bridges(fit: _Fit) -> _Fit:
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


def _tells(
    table: Localizations,
    rows: I64,
    sd: F64,
    dye_photons: float | None,
    params: LociParams,
) -> Mask:
    """Return which rows are of one dye, and sharp enough to tell two blobs apart."""
    if dye_photons is None:
        return np.zeros(rows.size, np.bool_)
    width = table["sigma_nm"][rows].astype(np.float64)
    narrow = width <= WIDE * float(np.quantile(width, 0.25))
    dim = table["photons"][rows].astype(np.float64) <= params.blink_reach * dye_photons
    axes = (table[f"uncertainty_{axis}_nm"][rows] for axis in ("x", "y"))
    sharp = np.isfinite(sd) & (sd <= params.maximum_uncertainty_nm)
    for axis_sd in (sd, *(axis.astype(np.float64) for axis in axes)):
        sharp &= np.isfinite(axis_sd) & (axis_sd > 0.0)
    single = narrow & dim & sharp
    usual = float(np.quantile(width, 0.25))
    single &= _apart(table, rows, np.ones(rows.size, np.bool_), APART * usual)
    # beside a blob of many dyes, a faint fit is what the blob's own fit left over
    single &= _apart(table, rows, ~dim, SHADOW * usual)
    if "centroid" in table.columns:
        single &= table["centroid"][rows] != 1
    return np.asarray(single, np.bool_)


def _linked(table: Localizations) -> tuple[F64, F64]:
    """Return places and uncertainties, one a stay of a dye in the light."""
    reach_nm = LINK * float(np.median(table["uncertainty_nm"].astype(np.float64)))
    stays = link(table, distance_nm=reach_nm, gap=GAP)
    keep = np.arange(len(stays))[:: max(1, -(-len(stays) // MOST_ROWS))]
    where = np.column_stack([stays["x_nm"], stays["y_nm"]])[keep].astype(np.float64)
    # of many frames the error is what each fit has in common, not a mean's
    sd = stays["uncertainty_nm"][keep].astype(np.float64)
    return where, np.maximum(sd, LEAST_SD_NM)


def _apart(table: Localizations, rows: I64, others: Mask, reach_nm: float) -> Mask:
    """Return which rows have none of some others so near in their frame."""
    frame = table["frame"][rows].astype(np.float64)
    where = np.column_stack([table["x_nm"][rows], table["y_nm"][rows]])
    far = 10.0 * (float(np.ptp(where)) + reach_nm)
    points = np.column_stack([where.astype(np.float64), frame * far])
    near = cKDTree(points).query_pairs(reach_nm, output_type="ndarray")
    apart = np.ones(rows.size, np.bool_)
    for one, other in (near.T, near.T[::-1]):
        apart[one[others[other]]] = False
    return apart


def _unresolved(
    table: Localizations,
    rows: I64,
    where: F64,
    number: int,
    dye_photons: float | None,
    params: LociParams,
) -> list[Locus]:
    """Return one locus where rows are a blob's middle, none where they are a dye's."""
    photons = table["photons"][rows].astype(np.float64)
    several = photons > params.blink_reach * (dye_photons or 0.0)
    if several.sum() < params.least:
        return []
    middle = np.median(where[several], axis=0)
    dyes = float(np.quantile(photons, 0.9) / dye_photons) if dye_photons else np.nan
    if dyes < params.least_molecules:
        return []
    return [
        Locus(
            x_nm=float(middle[0]),
            y_nm=float(middle[1]),
            clump=number,
            localizations=rows.size,
            molecules=dyes,
            p_value=1.0,
            split_p_value=1.0,
            resolvable_nm=np.inf,
        )
    ]


def _split(
    where: F64, sd: F64, area_nm2: float, params: LociParams
) -> tuple[_Fit, float]:
    """Return blobs, one more as long as the test asks for it, and the last p-value."""
    seen = as_points(where, sd, blob=params.blob_nm, area=area_nm2)
    seen, blobs = _counted(seen, sd, one_blob(seen))
    fit = _Fit(blobs, belongs(seen, blobs)[0], seen.counts[0], np.ones(1))
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
        fit = _Fit(trial, chance, seen.counts[0], p_values)
    return fit, 1.0


def _counted(seen: Points, sd: F64, blobs: Blobs) -> tuple[Points, Blobs]:
    """Return the points, each dye of them counted once, and the blobs fitted to that."""
    counts = dye_shares(seen, sd, blobs)
    seen = replace(seen, counts=counts[None])
    return seen, fit_blobs(seen, blobs.centre)


def _one_more(seen: Points, fit: _Fit) -> tuple[Blobs, int]:
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
    a neighbourhood alone says little where dyes are many.

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
    share = chance.sum(axis=1) / (1.0 + 2.0 * more)
    whole = max(float(share.sum()), 1e-9)
    pairs = np.outer(share, share) / whole**2
    same = float((pairs * (near - expected)).sum())
    same /= max(float((pairs * (0.5 - expected)).sum()), 1e-9)
    alone = float(np.diag(pairs).sum())
    dyes = 1.0 / (min(max(same, 0.0), 1.0) * (1.0 - alone) + alone)
    weight = 1.0 / (1.0 + 2.0 * more)
    return np.asarray(weight * dyes / whole)
