"""Signals in nuclei from a table of localizations alone: where they lie dense.

For tables without the pictures of a run, whose counter sees more (`counting`). A signal
is a maximum of the density at the width of a probe's blob that stands out of its
surroundings. Source of the kernel and of the least number: the comparison of counting
methods on simulated loci in docs/counting.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.arms import owners_of
from her2sr_proc.doublets import merging_px, sister_pairs
from her2sr_proc.maxima import prominent_maxima
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import ProbeCount
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.table import Localizations, require_places

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LEAST = 8.0
"""Localizations within the kernel: fewer are stray dyes."""
RISE = 0.25
"""Of its height, that a maximum stands above the saddle to a higher one: chance makes
less in the density of one blob."""
GRID_NM = 30.0
"""A third of the kernel, at most."""
REACH = 4.0
"""Kernels around a nucleus that are looked at."""


@dataclass(frozen=True, slots=True)
class _Peaks:
    """Maxima in pixels of the labels; every array has one entry a maximum."""

    y_px: F64
    x_px: F64
    height: F64
    """Localizations within the kernel, had they all lain in its middle."""

    def take(self, rows: Mask) -> _Peaks:
        return _Peaks(*(getattr(self, name)[rows] for name in _Peaks.__slots__))

    def __len__(self) -> int:
        return len(self.y_px)


def count_table(
    table: Localizations, labels: I32, *, pixel_nm: float, params: CountParams
) -> dict[int, dict[ArmName, ProbeCount]]:
    """Return the signals of one probe in every nucleus, resolved and sisters merged.

    Parameters
    ----------
    table : Localizations
        Of one channel of one field; pixel (0, 0) of ``labels`` has its centre at 0.
    labels : int32 array, shape (height, width)
        Nuclei from 1; 0 is background.
    pixel_nm : float
        Width of a pixel of ``labels`` in the sample.
    params : CountParams
        Width of a blob, limits, and how sisters are merged.

    Raises `TableError` for a row without a position.
    """
    require_places(table)
    owners = owners_of(labels, pixel_nm=pixel_nm, params=params)
    places = np.column_stack([table["y_nm"], table["x_nm"]]).astype(np.float64)
    places /= pixel_nm
    peaks = dict(_peaks_of(places, owners, pixel_nm, params))
    limit = max(LEAST, params.minimum_strength * _typical(peaks))
    areas = np.bincount(labels.ravel())
    found: dict[int, dict[ArmName, ProbeCount]] = {}
    for label, mine in peaks.items():
        strong = [mine.height >= limit * x for x in (params.doubt, 1, 1 / params.doubt)]
        sure, counted, faint = (mine.take(rows) for rows in strong)
        resolved = _count(len(counted), len(sure), len(faint))
        near = merging_px(
            len(counted),
            area_px=float(areas[label]),
            diameter_px=min(params.conventional_fwhm_nm, params.merge_nm / 2)
            / pixel_nm,
            params=params,
        )
        merged = (_merged(one, near) for one in (counted, sure, faint))
        found[label] = {"sr": resolved, "sr_merged": _count(*merged)}
    return found


def _count(count: int, sure: int, faint: int) -> ProbeCount:
    low, high = min(count, sure), max(count, faint)
    return ProbeCount(count=count, low=low, high=high, ambiguous=low < high)


def _merged(peaks: _Peaks, near_px: float) -> int:
    points = np.column_stack([peaks.y_px, peaks.x_px])
    return len(peaks) - len(sister_pairs(points, near_px))


def _typical(peaks: Mapping[int, _Peaks]) -> float:
    """Return the height of a typical maximum that is no stray dye; 0: there is none."""
    heights = np.concatenate([np.zeros(0), *(one.height for one in peaks.values())])
    high = heights[heights >= LEAST]
    return float(np.median(high)) if high.size else 0.0


def _peaks_of(
    places: F64, owners: I32, pixel_nm: float, params: CountParams
) -> Iterator[tuple[int, _Peaks]]:
    """Yield every nucleus with its maxima, strong and weak."""
    fine = int(np.ceil(pixel_nm / GRID_NM))
    kernel_px = params.probe_sigma_nm / pixel_nm
    margin = int(np.ceil(REACH * kernel_px)) + 1
    for number, box in enumerate(ndimage.find_objects(owners), start=1):
        if box is None:
            continue
        first = np.array([side.start - margin for side in box])
        stop = np.array([side.stop + margin for side in box])
        inside = ((places >= first - 0.5) & (places < stop - 0.5)).all(axis=1)
        edges = [
            np.linspace(a - 0.5, b - 0.5, (b - a) * fine + 1)
            for a, b in zip(first, stop, strict=True)
        ]
        y_px, x_px = places[inside].T
        density, _, _ = np.histogram2d(y_px, x_px, bins=edges)
        sigma = kernel_px * fine
        density = ndimage.gaussian_filter(density, sigma, mode="constant")
        density *= 2.0 * np.pi * sigma**2
        peaks = _maxima(density, fine, params)
        yield number, _within(peaks, first, owners, number)


def _maxima(density: F64, fine: int, params: CountParams) -> _Peaks:
    """Return the maxima of a cut-out, in pixels of the labels from its first one."""
    scale = LEAST / params.doubt
    y, x, over = prominent_maxima(density / scale, 1.0)
    height = ndimage.map_coordinates(density, [y, x], order=1, mode="nearest")
    y_px, x_px = ((place + 0.5) / fine - 0.5 for place in (y, x))
    clear = (over * scale >= RISE * height) & (height >= scale)
    return _Peaks(y_px, x_px, height).take(clear)


def _within(peaks: _Peaks, first: I64, owners: I32, number: int) -> _Peaks:
    """Return the maxima that stand over a nucleus."""
    y_px, x_px = peaks.y_px + first[0], peaks.x_px + first[1]
    rows, columns = (np.rint(place).astype(np.int64) for place in (y_px, x_px))
    mine = (rows >= 0) & (rows < owners.shape[0])
    mine &= (columns >= 0) & (columns < owners.shape[1])
    mine[mine] = owners[rows[mine], columns[mine]] == number
    return _Peaks(y_px, x_px, peaks.height).take(mine)
