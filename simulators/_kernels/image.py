"""Expected images: spots of dyes, and backgrounds from maps and smooth noise."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
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
def _profile(
    centre: float, sigma: float, cut: float, size: int, weights: F64
) -> tuple[int, int]:
    """Fill ``weights`` with the share of a Gaussian in each pixel of a line.

    Return the first pixel and how many: those within ``cut`` sigma that exist and for
    which there is room.
    """
    reach = math.ceil(cut * sigma)
    low = max(0, round(centre) - reach)
    high = min(size, round(centre) + reach + 1)
    count = max(0, min(high - low, weights.size))
    scale = 1.0 / (math.sqrt(2.0) * sigma)
    before = math.erf((low - 0.5 - centre) * scale)
    for n in range(count):
        after = math.erf((low + n + 0.5 - centre) * scale)
        weights[n] = 0.5 * (after - before)
        before = after
    return low, count


@kernel
def add_spot(
    image: F32, y: float, x: float, sigma: float, photons: float, weights: F64
) -> None:
    """Add an integrated Gaussian to ``image``, cut off beyond 4.5 sigma.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    y, x, sigma : float; pixels, the first pixel's centre at 0
    photons : float; in the whole spot
    weights : float64 array, (2, room); scratch, as wide as the widest spot
    """
    top, rows = _profile(y, sigma, 4.5, image.shape[0], weights[0])
    left, columns = _profile(x, sigma, 4.5, image.shape[1], weights[1])
    for j in range(rows):
        share = photons * weights[0, j]
        line = image[top + j]
        for i in range(columns):
            line[left + i] += np.float32(share * weights[1, i])


@kernel
def _add_counts(
    counts: U16,
    y: float,
    x: float,
    sigma: float,
    electrons: float,
    gain: float,
    noise: F32,
    weights: F64,
    line: F32,
) -> None:
    """Add a noisy integrated Gaussian to counts; see `draw_counts`."""
    top, rows = _profile(y, sigma, 3.0, counts.shape[0], weights[0])
    left, columns = _profile(x, sigma, 3.0, counts.shape[1], weights[1])
    mean, root = line[0, :columns], line[1, :columns]
    for i in range(columns):
        mean[i] = weights[1, i]
        root[i] = math.sqrt(weights[1, i])
    high = np.float32(65535.0)
    for j in range(rows):
        share = electrons * weights[0, j]
        light, shot = np.float32(gain * share), np.float32(gain * math.sqrt(share))
        row = counts[top + j, left : left + columns]
        first = (top + j) * 977 % (noise.size - columns)
        drawn = noise[first : first + columns]
        for i in range(columns):
            value = np.float32(row[i]) + light * mean[i] + shot * root[i] * drawn[i]
            row[i] = np.uint16(np.int32(min(value, high)))


@kernel
def _moments(
    index: I64, photons: F64, start: int, stop: int, y: F64, x: F64, focus: F64
) -> tuple[float, float, float, float, float]:
    """Return light, mean y, x and focus, and variance of a group of dyes."""
    total, mid_y, mid_x, mid_z, spread = 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(start, stop):
        if photons[n] > 0.0:
            i = index[n]
            total += photons[n]
            mid_y += photons[n] * y[i]
            mid_x += photons[n] * x[i]
            mid_z += photons[n] * focus[i]
            spread += photons[n] * (y[i] * y[i] + x[i] * x[i])
    if total > 0.0:
        mid_y, mid_x, mid_z = mid_y / total, mid_x / total, mid_z / total
        spread = max(0.5 * (spread / total - mid_y * mid_y - mid_x * mid_x), 0.0)
    return total, mid_y, mid_x, mid_z, spread


@kernel
def draw(
    image: F32,
    index: I64,
    bounds: I64,
    photons: F64,
    y: F64,
    x: F64,
    focus: F64,
    sigma: F64,
    depth: float,
    shift: F64,
    merge: float,
    weights: F64,
) -> None:
    """Add dyes to an image, group by group.

    A group as wide as ``merge`` is drawn as one spot with the group's centre and
    second moment: its dyes lie much closer than they are wide.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    index : int64 array, (n,); dyes, the members of a group side by side
    bounds : int64 array, (groups + 1,); where groups start in ``index``
    photons : float64 array, (n,)
    y, x, focus : float64 array, (dyes,); pixels, pixels, um from the plane in focus
    sigma : float64 array, (dyes,); in focus, pixels
    depth : float; um of defocus that widen a spot by sqrt(2)
    shift : float64 array, (3,); y, x in pixels and focus in um, added
    merge : float; width in pixels
    weights : float64 array, (2, room); scratch
    """
    for group in range(bounds.size - 1):
        start, stop = bounds[group], bounds[group + 1]
        total, at_y, at_x, at_z, spread = _moments(
            index, photons, start, stop, y, x, focus
        )
        if total <= 0.0:
            continue
        wide = sigma[index[start]] * math.hypot(1.0, (at_z + shift[2]) / depth)
        if wide >= merge:
            whole = math.sqrt(wide * wide + spread)
            add_spot(image, at_y + shift[0], at_x + shift[1], whole, total, weights)
            continue
        for n in range(start, stop):
            if photons[n] > 0.0:
                i = index[n]
                wide = sigma[i] * math.hypot(1.0, (focus[i] + shift[2]) / depth)
                at_y, at_x = y[i] + shift[0], x[i] + shift[1]
                add_spot(image, at_y, at_x, wide, photons[n], weights)


@kernel
def draw_counts(
    counts: U16,
    bounds: I64,
    electrons: F64,
    spots: F64,
    depth: float,
    shift: F64,
    gain: float,
    noise: F32,
    weights: F64,
) -> None:
    """Add dyes to a frame of counts, one fixed spot a group, with noise from a bank.

    Cut off beyond 3 sigma: for rates, not for photometry.

    Parameters
    ----------
    counts : uint16 array, (height, width), updated; saturates
    bounds : int64 array, (groups + 1,); where groups start in ``electrons``
    electrons : float64 array, (n,)
    spots : float64 array, (groups, 5); y, x, focus, width in focus, blob: pixels, um
    depth, shift, weights : as in `draw`
    gain : float; counts per electron
    noise : float32 array, (many,); standard normal, from where to start
    """
    line = np.empty((2, weights.shape[1]), np.float32)
    for group in range(bounds.size - 1):
        total = 0.0
        for n in range(bounds[group], bounds[group + 1]):
            total += electrons[n]
        if total <= 0.0:
            continue
        y, x, focus, sigma, blob = spots[group]
        wide = sigma * math.hypot(1.0, (focus + shift[2]) / depth)
        whole = math.hypot(wide, blob)
        y, x = y + shift[0], x + shift[1]
        _add_counts(counts, y, x, whole, total, gain, noise, weights, line)


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
