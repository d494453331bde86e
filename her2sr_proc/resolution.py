"""How fine a table of localizations is: its precision, density and resolution.

Knows tables; no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import curve_fit
from scipy.spatial import cKDTree

from her2sr_proc.schema.table import Localizations, require_places

F64 = npt.NDArray[np.float64]

THRESHOLD = 1.0 / 7.0
REPEATS = 20
MOST_SIDE = 2048
REACH_NM = 150.0
"""Neighbours in the next frame are looked at so far away."""
LEAST_PAIRS = 200
LEAST_SD_NM = 0.5


@dataclass(frozen=True, slots=True)
class Resolution:
    """Figures of one table; nan where there is too little to tell."""

    localizations: int
    density_um2: float
    """Of localizations, in the rectangle that holds them."""
    uncertainty_nm: float
    """Median of what each fit reports, where it reports something."""
    nena_nm: float
    """Precision from neighbours in adjacent frames."""
    frc_nm: float
    """Fourier ring correlation at 1/7, mean over repeats."""
    frc_sd_nm: float


def measure_resolution(table: Localizations, rng: np.random.Generator) -> Resolution:
    """Return precision, density and resolution of a table.

    Re-blinks must be linked before, else the ring correlation is that of one molecule
    with itself. Raises `TableError` for a row without a position.
    """
    require_places(table)
    count = len(table)
    where = np.column_stack([table["x_nm"], table["y_nm"]]).astype(np.float64)
    spread = np.ptp(where, axis=0) if count else np.zeros(2)
    area_um2 = float(spread.prod()) * 1e-6
    uncertainty = table["uncertainty_nm"].astype(np.float64)
    known = uncertainty[np.isfinite(uncertainty)]
    rings = [ring_resolution(where, rng) for _ in range(REPEATS)] if count > 100 else []
    told = [value for value in rings if math.isfinite(value)]
    return Resolution(
        localizations=count,
        density_um2=count / area_um2 if area_um2 > 0.0 else math.nan,
        uncertainty_nm=float(np.median(known)) if known.size else math.nan,
        nena_nm=neighbour_precision(table["frame"].astype(np.int64), where),
        frc_nm=float(np.mean(told)) if len(told) > REPEATS // 2 else math.nan,
        frc_sd_nm=float(np.std(told)) if len(told) > REPEATS // 2 else math.nan,
    )


def neighbour_precision(frame: npt.NDArray[np.int64], where: F64) -> float:
    """Return the localization precision per axis, in nm; nan where pairs are too few.

    Source: Endesfelder et al. 2014, doi:10.1007/s00418-014-1192-3 (NeNA): the distances
    to the nearest localization of the next frame are those of one molecule seen twice,
    of neighbours, and of chance.
    """
    if not len(where):
        return math.nan
    # one tree for all frames: a frame is farther from the next than any two points
    far = 4.0 * (float(np.ptp(where)) + REACH_NM)
    shifted = np.column_stack([where, frame * far])
    tree = cKDTree(shifted)
    distance, _ = tree.query(
        shifted + np.array([0.0, 0.0, far]), distance_upper_bound=REACH_NM
    )
    distance = distance[np.isfinite(distance)]
    if distance.size < LEAST_PAIRS:
        return math.nan
    heights, edges = np.histogram(distance, bins=75, range=(0.0, REACH_NM))
    middles = 0.5 * (edges[:-1] + edges[1:])
    # points that stand on each other have no distance, and the fit begins above 0
    near = max(float(np.median(distance)) / 2.0, LEAST_SD_NM)
    start = (heights.sum(), near, 1.0, 1.0, 60.0, 30.0)
    try:
        found, _ = curve_fit(
            _distances,
            middles,
            heights.astype(np.float64),
            p0=start,
            bounds=(
                (0.0, LEAST_SD_NM, 0.0, 0.0, 0.0, 10.0),
                (np.inf, 100.0, np.inf, np.inf, REACH_NM, REACH_NM),
            ),
        )
    except RuntimeError:
        return math.nan
    return float(found[1])


def _distances(d: F64, *shape: float) -> F64:
    """Return the pairs expected at each distance, of the three kinds."""
    own, sigma, slope, others, at, wide = shape
    same = own * d / (2.0 * sigma**2) * np.exp(-(d**2) / (4.0 * sigma**2))
    near = others * np.exp(-((d - at) ** 2) / (2.0 * wide**2))
    return np.asarray(2.0 * same + near + slope * d)


def ring_resolution(where: F64, rng: np.random.Generator) -> float:
    """Return the resolution in nm of one random split into halves; nan if not met.

    Source: Nieuwenhuizen et al. 2013, doi:10.1038/nmeth.2448; threshold 1/7.
    """
    low, spread = where.min(axis=0), float(np.ptp(where, axis=0).max())
    pixel_nm = max(5.0, spread / MOST_SIDE)
    side = int(spread / pixel_nm) + 1
    half = rng.permutation(len(where)) % 2 == 0
    taper = np.outer(*[_tapered(side)] * 2)
    spectra = [
        np.fft.fftshift(np.fft.fft2(taper * _counts(points, low, pixel_nm, side)))
        for points in (where[half], where[~half])
    ]
    y, x = np.indices((side, side)) - side // 2
    ring = np.rint(np.hypot(y, x)).astype(np.int64).ravel()

    def total(plane: F64) -> F64:
        return np.bincount(ring, plane.ravel())[: side // 2].astype(np.float64)

    both = total((spectra[0] * spectra[1].conj()).real)
    power = total(np.abs(spectra[0]) ** 2) * total(np.abs(spectra[1]) ** 2)
    curve = gaussian_filter1d(both / np.sqrt(np.maximum(power, 1e-30)), side / 400.0)
    below = np.flatnonzero((curve < THRESHOLD) & (np.arange(curve.size) > 2))
    if not below.size:
        return math.nan
    n = int(below[0])
    if curve[n - 1] < THRESHOLD:  # nowhere above it: nothing is resolved
        return math.nan
    part = (curve[n - 1] - THRESHOLD) / max(curve[n - 1] - curve[n], 1e-12)
    return float(side * pixel_nm / (n - 1 + part))


def _counts(where: F64, low: F64, pixel_nm: float, side: int) -> F64:
    j, i = np.minimum(((where - low) / pixel_nm).astype(np.int64), side - 1).T
    flat = np.bincount(i * side + j, minlength=side * side)
    return flat.reshape(side, side).astype(np.float64)


def _tapered(side: int) -> F64:
    """Return a window that falls to zero over an eighth of the side at both ends."""
    ramp = np.clip(
        np.minimum(np.arange(side), np.arange(side)[::-1]) * 8.0 / side, 0, 1
    )
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * ramp))
