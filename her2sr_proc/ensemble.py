"""Where the ensemble phase of a unit ends: before it, a fit is a blob's centroid.

At the start of a burst all dyes of a locus are lit and a fit finds the middle of them;
later, one dye at a time. The end is the frame from which most localizations at loci
are of one lit dye. Told from a table: a stay in the light between dark frames is one
dye's and says what a dye is worth; the light of a locus then says how many are lit on
average, at least as many as make it dark so rarely, and Poisson's law how often it is
one. Knows no pixels and no truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from her2sr_proc.clumps import NONE, Clumps
from her2sr_proc.schema.count_params import EnsembleParams
from her2sr_proc.schema.table import Localizations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WINDOWS = 40
"""A burst is looked at in so many parts, of some frames at least."""
LEAST_FRAMES = 20
QUIET = 2
"""Dark frames before and after a stay in the light that is of one dye."""
LONGEST = 8
"""Frames of such a stay; a longer one may be of several dyes in turn."""
LEAST_STAYS = 25
"""Without so many, a dye's light is not known."""
LEAST_CLUMPS = 4
"""Of one nucleus: fewer tell no interval by being drawn again."""
DARK = (0.02, 0.9)
"""Fractions of dark frames that tell, by Poisson's law, how many dyes are lit."""
AGREES = 0.5
"""Lit dyes by light over those by darkness, below which darkness is believed; a dye
that is lit steadily makes darkness rare by itself."""
LATE = 0.5
"""Of the burst: before, a frame without a fit may hold a blob that no fit suits."""
SHARP = 0.1
"""Quantile of the widths that is that of a spot in focus; hot pixels are fewer."""
FOCUS = 1.3
"""Of that width, up to which a clump is in focus: farther off, no dye is seen."""


@dataclass(frozen=True, slots=True)
class EnsembleEnd:
    """Where the ensemble phase ends; a statement about one unit, or one nucleus."""

    frames: int
    """Of the burst."""
    end: float | None
    """First frame from which most localizations at loci are of one dye; None: such a
    frame is not in this burst, or nothing tells it."""
    low: float | None
    high: float | None
    """Interval of 95 % over clumps; None at ``high``: it may not be in the burst."""
    dye_photons: float | None
    """Of one lit dye in a frame, on average; None: no locus was ever dark."""
    clumps: int
    """That told it."""
    reason: str
    """Empty where an end is known."""


def ensemble_end(
    table: Localizations,
    clumps: Clumps,
    *,
    frames: int,
    params: EnsembleParams,
    rng: np.random.Generator,
    dye_photons: float | None = None,
) -> EnsembleEnd:
    """Return where the ensemble phase of these localizations ends.

    Parameters
    ----------
    table : Localizations
        Of one channel and field, or of one nucleus of it; not linked.
    clumps : Clumps
        Of the same rows.
    frames : int
        Of the burst.
    params : EnsembleParams
        What counts as most.
    rng : Generator
        Of the resampling over clumps.
    dye_photons : float, optional
        Of one lit dye, told by the unit that these rows are a part of: few loci tell
        no dye of their own.
    """
    light = _light(table, clumps, frames)
    if not len(light):
        return _unknown(frames, 0, "no locus in focus")
    if dye_photons is not None and len(light) < LEAST_CLUMPS:
        return _unknown(frames, len(light), f"fewer than {LEAST_CLUMPS} loci in focus")
    stays = [_stays(row) for row in light]
    dye = _dye_photons(stays) if dye_photons is None else dye_photons
    if dye is None:
        reason = "loci are lit in nearly every frame to the end of the burst"
        return _unknown(frames, len(light), reason)
    level, lit = _windows(light), _windows((light > 0.0).astype(np.float64))
    every = np.arange(len(light))
    if dye_photons is None:
        dye = _no_brighter(dye, level, lit, every)
    end = _crossing(level / dye, frames, params.single)
    draws = rng.integers(0, len(light), (params.resamples, len(light)))

    def worth(draw: I64) -> float:
        if dye_photons is not None:
            return dye_photons
        return _no_brighter(_dye_again(stays, draw, dye), level, lit, draw)

    told = np.array(
        [_crossing(level[d] / worth(d), frames, params.single) for d in draws]
    )
    low, high = np.quantile(told, [0.025, 0.975])
    return EnsembleEnd(
        frames=frames,
        end=end if end < frames else None,
        low=float(low) if low < frames else None,
        high=float(high) if high < frames else None,
        dye_photons=dye,
        clumps=len(light),
        reason="" if end < frames else "more than one dye is lit to the end",
    )


def _unknown(frames: int, clumps: int, reason: str) -> EnsembleEnd:
    return EnsembleEnd(frames, None, None, None, None, clumps, reason)


def mark_centroids(
    table: Localizations, end: EnsembleEnd, *, blob_nm: float
) -> Localizations:
    """Return the table with column ``centroid`` and uncertainties that hold for it.

    1 where the row lies before the end, or where there is none; 2 from the lower limit
    of the end on, where a row may be either; 0: a molecule. For all but 0 the
    uncertainties become sqrt(bound^2 + blob^2): a molecule of the locus lies so far
    from the fit, however well the fit knows the middle.
    """
    last = end.high if end.high is not None else float(end.frames)
    first = end.low if end.low is not None else float(end.frames)
    frame = table["frame"].astype(np.float64)
    kind = np.where(frame < first, 1, np.where(frame < last, 2, 0)).astype(np.int8)
    columns = dict(table.columns)
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        bound = table[name].astype(np.float64)
        wide = np.where(kind > 0, np.hypot(bound, blob_nm), bound)
        columns[name] = wide.astype(table[name].dtype)
    columns["centroid"] = kind
    return Localizations(columns)


def _light(table: Localizations, clumps: Clumps, frames: int) -> F64:
    """Return photons of every clump in focus in every frame, shape (clumps, frames)."""
    mine = clumps.of_row != NONE
    clump, frame = clumps.of_row[mine], table["frame"][mine].astype(np.int64)
    photons = table["photons"][mine].astype(np.float64)
    size = len(clumps) * frames
    light = np.bincount(clump * frames + frame, photons, size)
    sharp = _in_focus(table["sigma_nm"][mine].astype(np.float64), clump, len(clumps))
    return np.asarray(light.reshape(len(clumps), frames)[sharp], np.float64)


def _windows(light: F64) -> F64:
    """Return the mean light of parts of the burst, shape (clumps, windows)."""
    frames = light.shape[1]
    windows = max(1, min(WINDOWS, frames // LEAST_FRAMES))
    starts = np.arange(windows) * frames // windows
    sizes = np.diff(np.append(starts, frames))
    return np.asarray(np.add.reduceat(light, starts, axis=1) / sizes)


def _stays(light: F64) -> F64:
    """Return the light of stays between dark frames, of which each is one dye's."""
    lit = light[int(LATE * light.size) :] > 0.0
    late = light[int(LATE * light.size) :]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lit, [False]])))
    begins, ends = edges[::2], edges[1::2]
    before = begins - np.concatenate([[-QUIET], ends[:-1]])
    after = np.concatenate([begins[1:], [lit.size + QUIET]]) - ends
    alone = (before >= QUIET) & (after >= QUIET) & (ends - begins <= LONGEST)
    pairs = zip(begins[alone], ends[alone], strict=True)
    return np.array([late[i:j].max() for i, j in pairs])


def _in_focus(sigma: F64, clump: I64, count: int) -> Mask:
    """Return which clumps are sharp: farther off, single dyes are not seen."""
    if not sigma.size:
        return np.zeros(count, np.bool_)
    order = np.argsort(clump, kind="stable")
    parts = np.split(sigma[order], np.cumsum(np.bincount(clump, minlength=count))[:-1])
    width = np.array([np.median(part) if part.size else np.inf for part in parts])
    return np.asarray(width <= FOCUS * np.quantile(sigma, SHARP), np.bool_)


def _dye_photons(stays: list[F64]) -> float | None:
    """Return the light of one dye in a frame that it fills."""
    every = np.concatenate(stays)
    return float(np.median(every)) if every.size >= LEAST_STAYS else None


def _crossing(lit: F64, frames: int, single: float) -> float:
    """Return the frame at which single dyes become most; ``frames``: none.

    ``lit``: dyes on average, shape (clumps, windows).
    """
    alone = (lit * np.exp(-lit)).sum(axis=0)
    any_lit = -np.expm1(-lit).sum(axis=0)
    told = any_lit > 0
    if not told.any():
        return float(frames)
    weight = np.maximum(any_lit, 1e-9)
    share = np.where(told, alone / weight, 0.0)
    rising = isotonic_regression(share, weights=weight).x
    windows = len(rising)
    middles = (np.arange(windows) + 0.5) * frames / windows
    above = np.flatnonzero(rising >= single)
    if not above.size:
        return float(frames)
    n = int(above[0])
    if n == 0:
        return 0.0
    part = (single - rising[n - 1]) / (rising[n] - rising[n - 1])
    return float(middles[n - 1] + part * (middles[n] - middles[n - 1]))


def _no_brighter(dye: float, level: F64, lit: F64, rows: I64) -> float:
    """Return a dye's light so that as many are lit as make loci dark so rarely.

    Where many dyes come and go without a pause, a stay is of several.
    """
    late = int(LATE * level.shape[1])
    dark = 1.0 - lit[rows, late:]
    tells = (dark > DARK[0]) & (dark < DARK[1])
    if not tells.any():
        return dye
    told = float((level[rows, late:][tells] / dye).sum())
    needed = float(-np.log(dark[tells]).sum())
    return dye * told / needed if told < AGREES * needed else dye


def _dye_again(stays: list[F64], draw: I64, known: float) -> float:
    """Return the light of one dye that some of the clumps tell, else all of them."""
    again = _dye_photons([stays[n] for n in draw])
    return known if again is None else again
