"""The pixels of a frame where a spot may stand.

Knows planes and thresholds; neither the wavelet that made the plane nor the fit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]

MAD_TO_SD = 1.4826022185056018
"""Standard deviation of normal noise over the median of its absolute values."""

CHUNK = 64
"""Pixels of a row that are passed over together where none is above the threshold."""

LINE_AXES = ((0, 4), (2, 4), (3, 3), (4, 2), (4, 0), (4, -2), (3, -3), (2, -4))
"""Steps down and right that lead about four pixels along eight axes."""


@kernel
def clipped_deviation(fine: F32, level: F32, variance_e2: F32, most: float) -> float:
    """Return the sample standard deviation of a plane, outliers counted as less.

    One pixel struck by a cosmic ray would otherwise lift the threshold of a whole
    frame above every spot.

    Parameters
    ----------
    fine, level : float32 array, shape (height, width)
        The first wavelet plane and the smoothed frame, photo-electrons.
    variance_e2 : float32 array, shape (height, width)
        Read-noise variance.
    most : float
        Values beyond this multiple of the pixel's own noise, sqrt(level + variance),
        count as that; inf gives the plain deviation.

    Returns
    -------
    float
        nan for a single pixel.
    """
    height, width = fine.shape
    total = 0.0
    squares = 0.0
    for i in range(height):
        for j in range(width):
            value: float = np.float64(fine[i, j])
            predicted = level[i, j] + variance_e2[i, j]
            if predicted > 0.0:
                limit = most * math.sqrt(predicted)
                value = min(max(value, -limit), limit)
            total += value
            squares += value * value
    count = height * width
    return math.sqrt(max(squares - total * total / count, 0.0) / (count - 1.0))


@kernel
def noise_ratio(fine: F32, level: F32, variance_e2: F32, response: float) -> float:
    """Return measured over predicted noise of a frame; 1 for a calibrated camera.

    The median of absolute values is deaf to spots, which are few, and the plane
    holds no background. It is the excess noise of electron multiplication, too.

    Parameters
    ----------
    fine, level : float32 array, shape (height, width)
        The first wavelet plane and the smoothed frame, photo-electrons.
    variance_e2 : float32 array, shape (height, width)
        Read-noise variance.
    response : float
        Standard deviation of ``fine`` under white noise of deviation 1.

    Returns
    -------
    float
        1 where no pixel has a predicted noise above zero. At most about 16,000
        pixels are looked at, evenly spread.
    """
    height, width = fine.shape
    stride = 1
    while (height // stride) * (width // stride) > 16384:
        stride += 1
    ratios = np.empty(((height - 1) // stride + 1) * ((width - 1) // stride + 1))
    count = 0
    for i in range(0, height, stride):
        for j in range(0, width, stride):
            predicted = level[i, j] + variance_e2[i, j]
            if predicted > 0.0:
                ratios[count] = abs(fine[i, j]) / math.sqrt(predicted)
                count += 1
    if count == 0:
        return 1.0
    return MAD_TO_SD * np.median(ratios[:count]) / response


@kernel
def find_maxima(
    band: F32,
    level: F32,
    variance_e2: F32,
    minimum: float,
    floor: float,
    line_ratio: float,
    border: int,
    visited: U8,
    stack: I32,
    rows: I32,
    columns: I32,
) -> int:
    """Write the local maxima of ``band`` to ``rows``, ``columns``; return how many.

    A maximum is above its threshold, not below any of its eight neighbours, and not
    part of a plateau with a higher neighbour. A plateau gives its pixel nearest to
    its centre, once. A nan is never a maximum and hides none.

    Parameters
    ----------
    band, level, variance_e2 : float32 array, shape (height, width)
        Second wavelet plane; smoothed frame; read-noise variance (photo-electrons).
    minimum : float
        Threshold of the whole frame, photo-electrons.
    floor : float
        Threshold in units of the pixel's own noise, sqrt(level + variance).
    line_ratio : float
        A maximum of which ``band`` keeps this share on both sides, four pixels away
        along any of eight axes, stands on a line and is left out: tissue has fibres
        and edges. Sides brighter by as much are neighbours instead. 1 keeps all.
    border : int
        Pixels along the edge in which no maximum is reported, >= 0.
    visited : uint8 array, shape (height, width)
        Scratch, overwritten.
    stack : int32 array, shape (height * width,)
        Scratch, overwritten.
    rows, columns : int32 array, shape (>= ceil(height / 2) * ceil(width / 2),)
        The first entries are overwritten, in raster order of discovery.
    """
    height, width = band.shape
    is_clear = False
    count = 0
    for i in range(border, height - border):
        line = band[i]
        for start in range(border, width - border, CHUNK):
            end = min(start + CHUNK, width - border)
            if not _holds_more(line[start:end], minimum):
                continue
            for j in range(start, end):
                value = line[j]
                if not value > minimum or (is_clear and visited[i, j]):
                    continue
                rank = _rank(band, i, j)
                if rank == 0:
                    continue
                noise = math.sqrt(max(level[i, j] + variance_e2[i, j], 0.0))
                if not value > floor * noise:
                    continue
                row, column = i, j
                if rank == 2:
                    if not is_clear:
                        visited[:, :] = 0
                        is_clear = True
                    is_peak, row, column = _plateau(band, i, j, visited, stack)
                    if not is_peak:
                        continue
                if _is_on_line(band, row, column, line_ratio):
                    continue
                rows[count] = row
                columns[count] = column
                count += 1
    return count


@kernel
def _holds_more(line: F32, minimum: float) -> bool:
    """Return whether any value is above ``minimum``; without a branch a value."""
    least = np.float32(minimum)
    count = 0
    for j in range(line.size):
        count += line[j] >= least
    return count > 0


@kernel
def _rank(band: F32, i: int, j: int) -> int:
    """0: a neighbour is higher; 1: all are lower; 2: some are equal, none higher."""
    height, width = band.shape
    value = band[i, j]
    rank = 1
    for k in range(max(i - 1, 0), min(i + 2, height)):
        for m in range(max(j - 1, 0), min(j + 2, width)):
            if band[k, m] > value:
                return 0
            if band[k, m] == value and (k != i or m != j):
                rank = 2
    return rank


@kernel
def _plateau(
    band: F32, i: int, j: int, visited: U8, stack: I32
) -> tuple[bool, int, int]:
    """Walk the plateau of (i, j): whether it is a peak, and its most central pixel."""
    height, width = band.shape
    value = band[i, j]
    visited[i, j] = 1
    stack[0] = i * width + j
    size = 1
    done = 0
    is_peak = True
    sum_row = 0.0
    sum_column = 0.0
    while done < size:
        row, column = stack[done] // width, stack[done] % width
        done += 1
        sum_row += row
        sum_column += column
        for k in range(max(row - 1, 0), min(row + 2, height)):
            for m in range(max(column - 1, 0), min(column + 2, width)):
                if band[k, m] > value:
                    is_peak = False
                elif band[k, m] == value and not visited[k, m]:
                    visited[k, m] = 1
                    stack[size] = k * width + m
                    size += 1
    best = 0
    nearest = np.inf
    for n in range(size):
        distance = (stack[n] // width - sum_row / size) ** 2
        distance += (stack[n] % width - sum_column / size) ** 2
        if distance < nearest:
            nearest = distance
            best = n
    return is_peak, stack[best] // width, stack[best] % width


@kernel
def _is_on_line(band: F32, row: int, column: int, ratio: float) -> bool:
    """Return whether a line leads through a maximum; outside, the edge is repeated."""
    height, width = band.shape
    least, most = ratio * band[row, column], band[row, column] / ratio
    for down, right in LINE_AXES:
        i, j = min(row + down, height - 1), min(max(column + right, 0), width - 1)
        k, m = max(row - down, 0), min(max(column - right, 0), width - 1)
        if least < band[i, j] < most and least < band[k, m] < most:
            return True
    return False
