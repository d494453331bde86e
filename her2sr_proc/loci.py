"""How many loci a clump of localizations is: a likelihood-ratio test, blob by blob.

A locus is a blob of the probe's known size; each localization is off by its own
uncertainty, too, and some lie anywhere. A dye that blinks often counts as one piece of
evidence, not as many: how many independent dyes there are is told from how much more
often two localizations lie within their uncertainties than different dyes of such blobs
would. Knows tables; no frames and no nuclei.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.bounds import resolvable_nm, split_p_value
from her2sr_proc.clumps import Clumps
from her2sr_proc.mixture import (
    Blobs,
    Points,
    as_points,
    belongs,
    best,
    fit_blobs,
    one_blob,
    two_blobs,
)
from her2sr_proc.schema.params import LociParams
from her2sr_proc.schema.table import Localizations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_ROWS = 800
"""Of a clump that are tested: more know no more dyes."""
WIDE = 1.25
"""Times a clump's lower quartile of widths: a wider fit is of several dyes."""


@dataclass(frozen=True, slots=True)
class Locus:
    """One locus."""

    x_nm: float
    y_nm: float
    clump: int
    localizations: int
    """That took part."""
    molecules: float
    """Independent dyes that these are worth."""
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
    molecules: float
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
    keep = np.flatnonzero(single)
    keep = keep[:: max(1, keep.size // MOST_ROWS)]
    fit, refused = _split(where[keep], sd[keep], area_nm2, params)
    if fit.molecules < params.least_molecules:
        return _unresolved(table, rows, where, number, dye_photons, params)
    precision = float(np.sqrt(np.mean(np.square(sd[keep]))))
    reach = resolvable_nm(
        molecules=fit.molecules,
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
            molecules=float(fit.molecules * own[n] / own.sum()),
            p_value=float(fit.p_values[n]),
            split_p_value=refused,
            resolvable_nm=reach,
        )
        for n in range(len(own))
    ]


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
    sharp = np.isfinite(sd) & (sd > 0.0) & (sd <= params.maximum_uncertainty_nm)
    single = narrow & dim & sharp
    if "centroid" in table.columns:
        single &= table["centroid"][rows] != 1
    return np.asarray(single, np.bool_)


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
    fit = _weighed(seen, one_blob(seen), sd, params, np.ones(1))
    while fit.blobs.share.shape[1] < params.most_loci:
        more, parent = _one_more(seen, fit)
        trial = _weighed(seen, more, sd, params, np.ones(more.share.shape[1]))
        gain = float(more.log_likelihood[0] - fit.blobs.log_likelihood[0])
        worth = trial.molecules / max(float(trial.chance.sum()), 1.0)
        p_value = split_p_value(2.0 * gain * worth)
        weakest = trial.molecules * float(more.share.min() / more.share.sum())
        is_real = weakest >= params.least_molecules
        if p_value > params.split_p_value or not is_real:
            return fit, p_value
        p_values = np.append(fit.p_values, p_value)
        p_values[parent] = min(p_value, p_values[parent])
        fit = _Fit(trial.blobs, trial.chance, trial.molecules, p_values)
    return fit, 1.0


def _one_more(seen: Points, fit: _Fit) -> tuple[Blobs, int]:
    """Return the best fit of one more blob, and which blob it came of."""
    count = fit.blobs.share.shape[1]
    trials: list[Blobs] = []
    for n in range(count):
        rest = np.delete(fit.blobs.centre, n, axis=1)
        mine = Points(
            seen.where, seen.variance, fit.chance[None, :, n].copy(), seen.ground
        )
        halves = two_blobs(mine, one_blob(mine)).centre
        trials.append(fit_blobs(seen, np.concatenate([rest, halves], axis=1)))
    chosen = int(np.argmax([trial.log_likelihood[0] for trial in trials]))
    more = best(trials)
    # the halves come last: the first of them takes the parent's place again
    order = np.insert(np.arange(count - 1), chosen, count - 1)
    order = np.append(order, count)
    centre, share = more.centre[:, order], more.share[:, order]
    return Blobs(centre, share, more.log_likelihood), chosen


def _weighed(
    seen: Points, blobs: Blobs, sd: F64, params: LociParams, p_values: F64
) -> _Fit:
    chance = belongs(seen, blobs)[0]
    molecules = independent(seen.where[0], sd, chance, blobs, params.blob_nm)
    return _Fit(blobs, chance, molecules, p_values)


def independent(
    where: F64, sd: F64, chance: F64, blobs: Blobs, blob_nm: float
) -> float:
    """Return how many independent dyes localizations in blobs are worth.

    N^2 over the sum of squares of the localizations of each dye. Pairs of one dye lie
    within their uncertainties; pairs of different dyes do so as often as blobs of that
    size make them.

    Parameters
    ----------
    where : float64 array, shape (rows, 2)
    sd : float64 array, shape (rows,)
        Uncertainty, each axis.
    chance : float64 array, shape (rows, blobs)
        Of each row to be of each blob.
    blobs : Blobs
        Their centres.
    blob_nm : float
        Standard deviation of a blob.
    """
    inside = chance.sum(axis=1)
    rows = np.flatnonzero(inside > 0.5)
    count = rows.size
    if count < 2:
        return float(count)
    first, second = np.triu_indices(count, 1)
    a, b = rows[first], rows[second]
    variance = np.square(sd[a]) + np.square(sd[b])
    near = np.exp(-0.5 * np.square(where[a] - where[b]).sum(axis=1) / variance)
    spread = 2.0 * variance + 2.0 * blob_nm**2
    centre = blobs.centre[0]
    own = chance[rows] / inside[rows, None]
    by_chance = np.zeros(first.size)
    for i in range(len(centre)):
        for j in range(len(centre)):
            gap = float(np.square(centre[i] - centre[j]).sum())
            pair = own[first, i] * own[second, j]
            by_chance += pair * variance / spread * np.exp(-0.5 * gap / spread)
    # two localizations of one dye have exp(-d^2 / 2 v) of one half on average
    excess = float((near - by_chance).sum())
    most = float((0.5 - by_chance).sum())
    same = min(max(excess / max(most, 1e-9), 0.0), 1.0)
    return float(1.0 / (same * (count - 1) / count + 1.0 / count))
