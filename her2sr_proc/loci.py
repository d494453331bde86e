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
from scipy.spatial import cKDTree

from her2sr_proc.bounds import resolvable_nm
from her2sr_proc.clumps import Clumps
from her2sr_proc.linking import link
from her2sr_proc.schema.count_params import LociParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.splitting import split, without_bridges

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
        found += _loci(
            table, rows, number, clumps.area_nm2[number], dye_photons, params
        )
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
    fit, refused = split(places, sd, area_nm2, params)
    fit = without_bridges(fit)
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
