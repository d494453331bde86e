"""Maxima of an image with their prominence: how far one must go down to reach a higher.

Pixels are flooded from the brightest down; where two maxima's regions meet, the lower
ends at that level. Knows pixels only.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

NO_PEAK = -1


@kernel
def top_of(parent: I32, peak: int) -> int:
    """Return the peak that ``peak`` was joined to in the end, shortening the way."""
    root = peak
    while parent[root] != root:
        root = parent[root]
    while parent[peak] != root:
        parent[peak], peak = root, parent[peak]
    return root


@kernel
def find_peaks(
    image: F32,
    order: I64,
    floor: float,
    least: float,
    rows: I32,
    columns: I32,
    saddles: F64,
    basins: I32,
) -> int:
    """Find the maxima that stand ``least`` above their saddle; return how many.

    Parameters
    ----------
    image : float32 array, shape (height, width)
    order : int64 array, shape (pixels,)
        Flat indices from the brightest pixel down to ``floor`` at least; equal ones in
        any order.
    floor : float
        Pixels at or below it, and nan, belong to no peak.
    least : float
        Prominence below which a maximum is part of its higher neighbour, >= 0.
    rows, columns : int32 arrays, shape (peaks,)
        Where the peaks are, the highest first. Flooding ends when they are full.
    saddles : float64 array, shape (peaks,)
        Level at which the peak meets a higher one; ``floor`` for one that never does.
    basins : int32 array, shape (height, width)
        Overwritten: index of the pixel's peak, or -1.

    Source: persistence of maxima, Edelsbrunner et al. 2002,
    doi:10.1007/s00454-002-2885-2; here with the
    8-neighbourhood.
    """
    height, width = image.shape
    basins[:] = NO_PEAK
    label = np.empty(rows.size, np.int32)  # which peaks became part of which
    island = np.empty(rows.size, np.int32)  # which are connected above this level
    count = 0
    for n in range(order.size):
        i, j = order[n] // width, order[n] % width
        level = image[i, j]
        if math.isnan(level):
            continue
        if level <= floor:
            break
        own = NO_PEAK
        for di in range(-1, 2):
            for dj in range(-1, 2):
                y, x = i + di, j + dj
                if y < 0 or x < 0 or y >= height or x >= width:
                    continue
                if basins[y, x] == NO_PEAK:
                    continue
                other = top_of(label, basins[y, x])
                if own == NO_PEAK:
                    own = other
                    continue
                here, there = top_of(island, own), top_of(island, other)
                if here != there:
                    # numbered from the highest down: the larger number ends here
                    high, low = min(here, there), max(here, there)
                    island[low] = high
                    saddles[low] = level
                    if image[rows[low], columns[low]] - level < least:
                        label[low] = other if low == own else own
                        own = top_of(label, own)
                        other = top_of(label, other)
                own = min(own, other)
        if own == NO_PEAK:
            if count == rows.size:
                break
            own = count
            rows[count], columns[count] = i, j
            saddles[count] = floor
            label[count] = count
            island[count] = count
            count += 1
        basins[i, j] = own
    return compact(label, count, rows, columns, saddles, basins)


@kernel
def compact(
    label: I32, count: int, rows: I32, columns: I32, saddles: F64, basins: I32
) -> int:
    """Keep the peaks that were not joined, in order; return how many there are."""
    kept = np.empty(max(count, 1), np.int32)
    n = 0
    for peak in range(count):
        if label[peak] == peak:
            kept[peak] = n
            rows[n], columns[n], saddles[n] = rows[peak], columns[peak], saddles[peak]
            n += 1
    for i in range(basins.shape[0]):
        for j in range(basins.shape[1]):
            if basins[i, j] != NO_PEAK:
                basins[i, j] = kept[top_of(label, basins[i, j])]
    return n
