"""Where the ensemble phase of a unit ends: before it, a fit is a blob's centroid.

At the start of a burst all dyes of a locus are lit and a fit finds the middle of them;
later, one dye at a time. The end is the frame from which most localizations at loci
are of one lit dye. Told from a table: where a locus is dark for part of the frames, how
often it is dark says how many dyes are lit on average (Poisson), and so what one dye is
worth in light; before, the light itself says how many. Knows no pixels and no truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from her2sr_proc.clumps import NONE, Clumps
from her2sr_proc.schema.params import EnsembleParams
from her2sr_proc.schema.table import Localizations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

WINDOWS = 40
"""A burst is looked at in so many parts, of some frames at least."""
LEAST_FRAMES = 20
DARK = (0.15, 0.9)
"""Fractions of dark frames that tell how many dyes are lit."""
LEAST_CELLS = 10
"""Clumps times windows of such darkness without which a dye's light is not known."""
RESAMPLES = 200
FOCUS = 1.3
"""Widths over the narrowest clump's, up to which single dyes are seen at all."""


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
    """
    light, dark = _seen(table, clumps, frames)
    if not len(light):
        return EnsembleEnd(frames, None, None, None, None, 0, "no locus in focus")
    dye = _dye_photons(light, dark)
    if dye is None:
        reason = "loci are lit in nearly every frame to the end of the burst"
        return EnsembleEnd(frames, None, None, None, None, len(light), reason)
    end = _crossing(light, dye, frames, params.single)
    draws = rng.integers(0, len(light), (RESAMPLES, len(light)))
    told = np.array([_resampled(light[d], dark[d], frames, params) for d in draws])
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


def _seen(table: Localizations, clumps: Clumps, frames: int) -> tuple[F64, F64]:
    """Return light a frame and fraction of dark frames, shape (clumps, windows)."""
    windows = max(1, min(WINDOWS, frames // LEAST_FRAMES))
    size = np.bincount(_window(np.arange(frames), frames, windows), minlength=windows)
    mine = clumps.of_row != NONE
    clump = clumps.of_row[mine]
    frame = table["frame"][mine].astype(np.int64)
    cell = clump * windows + _window(frame, frames, windows)
    shape = (len(clumps), windows)
    photons = table["photons"][mine].astype(np.float64)
    light = np.bincount(cell, photons, clumps.area_nm2.size * windows).reshape(shape)
    one_a_frame = np.unique(clump * frames + frame)
    owner, when = np.divmod(one_a_frame, frames)
    cell = owner * windows + _window(when, frames, windows)
    lit = np.bincount(cell, minlength=len(clumps) * windows).reshape(shape)
    sharp = _in_focus(table["sigma_nm"][mine].astype(np.float64), clump, len(clumps))
    return (light / size)[sharp], (1.0 - lit / size)[sharp]


def _window(frame: I64, frames: int, windows: int) -> I64:
    return np.asarray(frame * windows // frames, np.int64)


def _in_focus(sigma: F64, clump: I64, count: int) -> npt.NDArray[np.bool_]:
    """Return which clumps are sharp: farther off, single dyes are not seen."""
    order = np.argsort(clump, kind="stable")
    parts = np.split(sigma[order], np.cumsum(np.bincount(clump, minlength=count))[:-1])
    width = np.array([np.median(part) if part.size else np.inf for part in parts])
    return np.asarray(width <= FOCUS * np.min(width, initial=np.inf), np.bool_)


def _dye_photons(light: F64, dark: F64) -> float | None:
    """Return the light of one dye: all light over all dyes that darkness tells of."""
    tells = (dark > DARK[0]) & (dark < DARK[1])
    if tells.sum() < LEAST_CELLS:
        return None
    return float(light[tells].sum() / -np.log(dark[tells]).sum())


def _crossing(light: F64, dye: float, frames: int, single: float) -> float:
    """Return the frame at which single dyes become most; ``frames``: none."""
    lit = light / dye
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


def _resampled(light: F64, dark: F64, frames: int, params: EnsembleParams) -> float:
    dye = _dye_photons(light, dark)
    return float(frames) if dye is None else _crossing(light, dye, frames, params.single)
