"""Backgrounds: maps that fade from place to place, and smooth noise to make them of."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels._jit import kernel

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Pair = tuple[float, float]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


@kernel
def mixed(z: np.uint64) -> np.uint64:
    """Return 64 well mixed bits of a counter. Source: splitmix64, Steele 2014."""
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@kernel
def unit(bits: np.uint64) -> float:
    """Return a float64 inside (0, 1) from 64 bits."""
    return (np.float64(bits >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@kernel
def compose(
    out: F32,
    amplitude: F32,
    coarse: F32,
    used: I64,
    row: I32,
    row_weight: F32,
    column: I32,
    column_weight: F32,
) -> None:
    """Fill ``out`` with the sum of maps, each times a factor known on a coarse grid.

    Parameters
    ----------
    out : float32 array, (height, width), filled
    amplitude : float32 array, (maps, height, width)
    coarse : float32 array, (maps, rows, columns)
    used : int64 array; which maps
    row, column : int32 array, (height,), (width,); grid cell above or left
    row_weight, column_weight : float32 array; weight of the next cell
    """
    height, width = out.shape
    cells = coarse.shape[2]
    line, step = np.zeros(cells, np.float32), np.zeros(cells, np.float32)
    for y in range(height):
        target = out[y]
        target[:] = 0.0
        j, v = row[y], row_weight[y]
        for m in used:
            above, below, source = coarse[m, j], coarse[m, j + 1], amplitude[m, y]
            for i in range(cells):
                line[i] = above[i] + v * (below[i] - above[i])
            for i in range(cells - 1):
                step[i] = line[i + 1] - line[i]
            for x in range(width):
                i = column[x]
                target[x] += source[x] * (line[i] + column_weight[x] * step[i])


@kernel
def _lattice(i: int, j: int, seed: np.uint64) -> float:
    """Return a uniform draw for a lattice point."""
    place = np.uint64(i) * GOLDEN + np.uint64(j) * MIX_2
    return unit(mixed(seed + mixed(place)))


@kernel
def add_noise(
    out: F32, start: Pair, step_x: Pair, step_y: Pair, seed: np.uint64, gain: float
) -> None:
    """Add smooth lattice noise with values in 0..gain to ``out``.

    Parameters
    ----------
    out : float32 array, (height, width), updated
    start : pair of float; lattice position (u, v) of pixel (0, 0)
    step_x, step_y : pair of float; change of (u, v) per column and per row
    seed : uint64
    gain : float
    """
    height, width = out.shape
    for y in range(height):
        last_i, last_j = np.int64(0), np.int64(0)
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for x in range(width):
            u = start[0] + x * step_x[0] + y * step_y[0]
            v = start[1] + x * step_x[1] + y * step_y[1]
            i, j = np.int64(math.floor(u)), np.int64(math.floor(v))
            if x == 0 or i != last_i or j != last_j:
                a, b = _lattice(i, j, seed), _lattice(i + 1, j, seed)
                c, d = _lattice(i, j + 1, seed), _lattice(i + 1, j + 1, seed)
                last_i, last_j = i, j
            u, v = u - i, v - j
            u = u * u * (3.0 - 2.0 * u)
            v = v * v * (3.0 - 2.0 * v)
            above, below = a + u * (b - a), c + u * (d - c)
            out[y, x] += np.float32(gain * (above + v * (below - above)))
