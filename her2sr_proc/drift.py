"""How the sample moved during a burst, from its localizations; and without it.

Two methods: intersections of rounded positions, and correlation of images. Knows
tables; no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from her2sr_proc.errors import RequestError
from her2sr_proc.kernels.sorted_keys import counted
from her2sr_proc.schema.table import Localizations, require_places

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Method = Literal["aim", "rcc"]

LEAST_PER_SEGMENT = 20
"""Localizations of a segment, in the median, without which nothing is certain."""
MOST_SEGMENTS = 200
"""Of rcc, whose pairs of images take memory and minutes."""
STEP_NM = 20.0
REACH_STEPS = 3
"""A segment may have moved by so many steps against the one before."""
PASSES = 3
MOST_SIDE = 1024
OUTLIER_NM = 3.0


@dataclass(frozen=True, slots=True)
class Drift:
    """Where the sample was in each frame, against its mean place."""

    xy_nm: F64
    """Shape (frames, 2)."""

    def taken_off(self, table: Localizations) -> Localizations:
        """Return the table as if the sample had not moved."""
        moved = self.xy_nm[table["frame"].astype(np.int64)]
        x = table["x_nm"].astype(np.float64) - moved[:, 0]
        y = table["y_nm"].astype(np.float64) - moved[:, 1]
        changed = {"x_nm": x.astype(np.float32), "y_nm": y.astype(np.float32)}
        return Localizations({**table.columns, **changed})


def measure_drift(
    table: Localizations, *, frames: int, method: Method, segment_frames: int
) -> Drift:
    """Return the drift of a burst.

    Parameters
    ----------
    table : Localizations
    frames : int
        Of the burst.
    method : str
        aim: Ma et al. 2024, doi:10.1126/sciadv.adm7765 (adaptive intersection
        maximization). Departures: the reference of the first pass grows with every
        segment; a segment never meets itself.
        rcc: Wang et al. 2014, doi:10.1364/OE.22.015982 (redundant cross-correlation).
    segment_frames : int
        Frames whose localizations are put together; the drift between their middles is
        a monotone cubic through them.

    Raises `RequestError` if there are too few frames or localizations for it, and
    `TableError` for a row without a position.
    """
    require_places(table)
    edges = np.linspace(0, frames, max(frames // segment_frames, 1) + 1)
    if len(edges) < 3:
        raise RequestError(
            f"drift needs two segments of {segment_frames} frames at least, and the "
            f"movie has {frames}; choose a shorter --segment",
            frames=frames,
        )
    if method == "rcc" and len(edges) - 1 > MOST_SEGMENTS:
        raise RequestError(
            f"rcc compares every one of {len(edges) - 1} segments with every other; "
            f"choose a --segment of {math.ceil(frames / MOST_SEGMENTS)} frames or more",
            frames=frames,
        )
    parts = _segments(table, edges)
    counts = [len(part) for part in parts]
    if np.median(counts) < LEAST_PER_SEGMENT:
        raise RequestError(
            f"there are {np.median(counts):.0f} localizations in {segment_frames} "
            f"frames, too few to see a drift; choose a longer --segment, or leave it"
        )
    measure: Callable[[list[F64]], F64] = (
        by_intersections if method == "aim" else (by_correlation)
    )
    places = measure(parts)
    middles = 0.5 * (edges[:-1] + edges[1:]) - 0.5
    return Drift(_interpolated(middles, places, frames))


def _segments(table: Localizations, edges: F64) -> list[F64]:
    """Return the places of every segment, in the table's order; views of one array.

    Sorted once: to look through the table for each segment would cost the square of
    its length.
    """
    segment = np.searchsorted(edges, table["frame"], side="right") - 1
    where = np.empty((len(table), 2))
    for axis, name in enumerate(("x_nm", "y_nm")):
        where[:, axis] = table[name]
    if (segment[1:] < segment[:-1]).any():
        where = where[np.argsort(segment, kind="stable")]
    counts = np.bincount(segment, minlength=len(edges) - 1)
    return np.split(where, np.cumsum(counts)[:-1])


def _interpolated(middles: F64, places: F64, frames: int) -> F64:
    at = np.arange(frames, dtype=np.float64)
    curve = PchipInterpolator(middles, places, extrapolate=False)(
        np.clip(at, middles[0], middles[-1])
    )
    # beyond the outer middles the drift goes on as between the last two
    for end, inner in ((0, 1), (-1, -2)):
        slope = (places[inner] - places[end]) / (middles[inner] - middles[end])
        beyond = at < middles[0] if end == 0 else at > middles[-1]
        curve[beyond] = places[end] + (at[beyond] - middles[end])[:, None] * slope
    return np.asarray(curve - curve.mean(axis=0))


def by_intersections(parts: list[F64]) -> F64:
    """Return the place of every segment; shape (segments, 2)."""
    places = np.zeros((len(parts), 2))
    known = _Cells(parts[0])
    for n in range(1, len(parts)):
        places[n] = known.best_shift(parts[n], places[n - 1], own=None)
        known.add(parts[n] - places[n])
    for _ in range(PASSES - 1):
        reference = _Cells.of_all(parts, places)
        places = np.stack(
            [
                reference.best_shift(part, place, own=part - place)
                for part, place in zip(parts, places, strict=True)
            ]
        )
    return places


class _Cells:
    """How many localizations lie in every cell of `STEP_NM`.

    Cells stand in sorted runs, each at least twice as long as the one after it: what is
    added costs a merge now and then, not the sorting of everything again.
    """

    def __init__(self, where: F64) -> None:
        self._runs = [_counted_keys(_key(_cell(where)))]

    @classmethod
    def of_all(cls, parts: list[F64], places: F64) -> Self:
        """Return the cells of all segments, each back from where it had moved.

        Holds one number a localization and is then one run, which is looked through
        faster than several.
        """
        keys = np.empty(sum(map(len, parts)), np.int64)
        end = 0
        for part, place in zip(parts, places, strict=True):
            start, end = end, end + len(part)
            keys[start:end] = _key(_cell(part - place))
        whole = cls(np.empty((0, 2)))
        whole._runs = [_counted_keys(keys)]
        return whole

    def add(self, where: F64) -> None:
        """Count more localizations."""
        self._runs.append(_counted_keys(_key(_cell(where))))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(
            self._runs[-1][0]
        ):
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))

    def best_shift(self, part: F64, around: F64, *, own: F64 | None) -> F64:
        """Return the shift at which a segment meets the reference most often.

        Between steps by the phase of the counts over all shifts, to which an even
        background adds nothing. ``own``: what of the reference is the segment itself.
        """
        steps = np.arange(-REACH_STEPS, REACH_STEPS + 1)
        selves = None if own is None else _Cells(own)
        # in order of cells every look-up begins beside the one before; else each of a
        # large table waits for memory, and longer the larger it is
        part = part[np.argsort(_key(_cell(part - around)), kind="stable")]
        met = np.empty((steps.size, steps.size))
        for i, down in enumerate(steps):
            for j, right in enumerate(steps):
                cells = _key(_cell(part - around - STEP_NM * np.array([right, down])))
                met[i, j] = self._meets(cells)
                if selves is not None:
                    met[i, j] -= selves._meets(cells)  # noqa: SLF001 - its own kind
        if met.max() <= 0.0:
            return around
        turn = np.exp(2j * np.pi * steps / steps.size)
        phases = np.angle([met.sum(axis=0) @ turn, met.sum(axis=1) @ turn])
        return np.asarray(around + STEP_NM * phases * steps.size / (2.0 * np.pi))

    def _meets(self, cells: I64) -> float:
        return float(sum(counted(keys, counts, cells) for keys, counts in self._runs))


def _counted_keys(keys: I64) -> tuple[I64, I64]:
    """Return each key once, sorted, and how often it was there; sorts ``keys``."""
    keys.sort()
    is_new = np.ones(keys.size, np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=is_new[1:])
    starts = np.flatnonzero(is_new)
    return keys[starts], np.diff(starts, append=keys.size)


def _merged(one: tuple[I64, I64], other: tuple[I64, I64]) -> tuple[I64, I64]:
    """Return the counts of two sorted runs together."""
    keys = np.concatenate([one[0], other[0]])
    order = np.argsort(keys, kind="stable")  # two runs in a row: a merge
    keys = keys[order]
    counts = np.concatenate([one[1], other[1]])[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return keys[starts], np.add.reduceat(counts, starts) if starts.size else counts


def _cell(where: F64) -> I64:
    return np.rint(where / STEP_NM).astype(np.int64)


def _key(cell: I64) -> I64:
    return (cell[:, 1] + 2**30) * 2**31 + cell[:, 0] + 2**30


def by_correlation(parts: list[F64]) -> F64:
    """Return the place of every segment, from the shifts of all pairs of images."""
    everything = np.concatenate(parts)
    low, high = everything.min(axis=0), everything.max(axis=0)
    pixel_nm = max(STEP_NM, float((high - low).max()) / MOST_SIDE)
    shape = tuple(int(n) + 1 for n in np.ceil((high - low)[::-1] / pixel_nm))
    spectra = [np.fft.rfft2(_image((part - low) / pixel_nm, shape)) for part in parts]
    pairs = list(combinations(range(len(parts)), 2))
    shifts = np.stack(
        [pixel_nm * _shift(spectra[b] * spectra[a].conj(), shape) for a, b in pairs]
    )
    matrix = np.zeros((len(pairs), len(parts) - 1))
    for row, (a, b) in enumerate(pairs):
        matrix[row, a:b] = 1.0  # a pair's shift is the sum of the steps between
    kept = np.ones(len(pairs), np.bool_)
    steps = np.linalg.lstsq(matrix, shifts, rcond=None)[0]
    for _ in range(5):
        far = np.hypot(*(shifts - matrix @ steps).T)
        limit = max(OUTLIER_NM, 3.0 * float(np.median(far[kept])))
        kept = far <= limit
        if np.linalg.matrix_rank(matrix[kept]) < len(parts) - 1:
            break
        steps = np.linalg.lstsq(matrix[kept], shifts[kept], rcond=None)[0]
    return np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])


def _image(where_px: F64, shape: tuple[int, ...]) -> F64:
    j, i = np.rint(where_px).astype(np.int64).T
    counts = np.bincount(i * shape[1] + j, minlength=shape[0] * shape[1])
    return np.asarray(gaussian_filter(counts.reshape(shape).astype(np.float64), 1.0))


def _shift(spectrum: npt.NDArray[np.complex128], shape: tuple[int, ...]) -> F64:
    """Return x, y of the highest correlation, in pixels, between them by a parabola."""
    plane = np.fft.irfft2(spectrum, shape)
    peak = np.unravel_index(int(plane.argmax()), shape)
    out = []
    for axis in (1, 0):
        size, at = shape[axis], int(peak[axis])
        line = np.take(plane, [(at + k) % size for k in (-1, 0, 1)], axis=axis)
        other = int(peak[1 - axis])
        before, here, after = np.log(np.maximum(np.take(line, other, 1 - axis), 1e-12))
        bend = 2.0 * here - before - after
        part = 0.5 * (after - before) / bend if bend > 0.0 else 0.0
        out.append((at + size // 2) % size - size // 2 + part)
    return np.array(out)
