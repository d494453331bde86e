"""The B-spline wavelet filter that parts noise, spots and background of a frame.

Smoothing twice gives V1 and V2; F1 = I - V1 holds mostly noise, F2 = V1 - V2 the
spots. Knows planes of numbers; neither cameras nor thresholds.

Source: Izeddin et al. 2012, doi:10.1364/OE.20.002081, in the form that the
documentation of ThunderSTORM 1.3 describes (spline order 3, scale 2).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def spline_taps(order: int, scale: float) -> F64:
    """Return the smoothing filter: a centred B-spline, sampled and normalized.

    Parameters
    ----------
    order : int
        Order of the spline (degree + 1), >= 1.
    scale : float
        Pixels per unit of the spline's argument, > 0.

    Returns
    -------
    float64 array, shape (2 * ceil(order * scale / 2) - 1,)
        Sums to 1. Order 3 and scale 2 give 1/16, 1/4, 3/8, 1/4, 1/16.
    """
    half = math.ceil(order * scale / 2) - 1
    values = [_spline(order, k / scale) for k in range(-half, half + 1)]
    taps = np.array(values, np.float64)
    return taps / taps.sum()


def _spline(order: int, t: float) -> float:
    degree = order - 1
    total = 0.0
    for k in range(order + 1):
        ramp = t + order / 2 - k
        if ramp > 0:
            total += (-1) ** k * math.comb(order, k) * ramp**degree
    return total


def noise_response(taps: F64) -> tuple[float, float]:
    """Return the standard deviations of F1 and F2 under white noise of deviation 1."""
    size = 3 * taps.size
    impulse = np.zeros((2 * size + 1, 2 * size + 1), np.uint16)
    impulse[size, size] = 1
    zero, one = np.zeros(impulse.shape, np.float32), np.ones(impulse.shape, np.float32)
    fine, level, band = np.empty((3, *impulse.shape), np.float32)
    split(impulse, zero, one, taps, 1, level, band, fine)
    energy = [(plane.astype(np.float64) ** 2).sum() for plane in (fine, band)]
    return math.sqrt(energy[0]), math.sqrt(energy[1])


@kernel
def split(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    taps: F64,
    step: int,
    level: F32,
    band: F32,
    fine: F32,
) -> None:
    """Split a frame of camera counts into its level and its wavelet planes.

    One pass over the rows: each is turned into photo-electrons, smoothed along itself
    and kept for as long as the rows below it need it, so that what lies between counts
    and planes never leaves the processor's cache.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts. Beyond the edge, the edge is repeated.
    offset_adu, e_per_adu : float32 array, shape (height or 1, width)
        Dark level and gain of every pixel; a single row holds for all. A nan spreads
        as far as the filters reach.
    taps : float64 array, shape (odd,)
        From `spline_taps`.
    step : int
        Rows between two of which ``fine`` is wanted.
    level, band : float32 array, shape (height, width)
        Overwritten: the second smoothing V2, and F2 = V1 - V2.
    fine : float32 array, shape (sampled_rows(height, step), width)
        Overwritten: F1 = I - V1 of the rows step // 2, step // 2 + step, ...
    """
    height, width = adu.shape
    half = taps.size // 2
    weights = taps[half:].astype(np.float32)
    photons = np.empty((half + 1, width + 2 * half), np.float32)
    across = np.empty((2 * half + 1, width), np.float32)
    first = np.empty((2 * half + 1, width + 4 * half), np.float32)
    wide = np.empty((4 * half + 1, width), np.float32)
    for n in range(height + 3 * half if width > 0 else 0):
        if n < height:
            line = photons[n % photons.shape[0]]
            k = min(n, offset_adu.shape[0] - 1)
            m = min(n, e_per_adu.shape[0] - 1)
            to_photons(adu[n], offset_adu[k], e_per_adu[m], line[half : half + width])
            repeat_ends(line, half)
            along(line, weights, 1, across[n % across.shape[0]])
        i = n - half
        if 0 <= i < height:
            line = first[i % first.shape[0]]
            inner = line[2 * half : 2 * half + width]
            down(across, i, height, weights, 1, inner)
            repeat_ends(line, 2 * half)
            along(line, weights, 2, wide[i % wide.shape[0]])
            if i % step == step // 2:
                source = photons[i % photons.shape[0]][half : half + width]
                subtract(source, inner, fine[i // step])
        i -= 2 * half
        if 0 <= i < height:
            down(wide, i, height, weights, 2, level[i])
            inner = first[i % first.shape[0]][2 * half : 2 * half + width]
            subtract(inner, level[i], band[i])


def sampled_rows(height: int, step: int) -> int:
    """Return how many rows of a frame `split` writes to ``fine``."""
    return len(range(step // 2, height, step))


@kernel
def to_photons(adu: U16, offset_adu: F32, e_per_adu: F32, out: F32) -> None:
    """Write the photo-electrons of one row."""
    for j in range(out.size):
        out[j] = (np.float32(adu[j]) - offset_adu[j]) * e_per_adu[j]


@kernel
def repeat_ends(line: F32, pad: int) -> None:
    """Repeat the first and last of what lies between ``pad`` values at both ends."""
    end = line.size - pad
    for j in range(pad):
        line[j] = line[pad]
        line[end + j] = line[end - 1]


@kernel
def along(line: F32, weights: F32, step: int, out: F32) -> None:
    """Smooth a row that is padded by what the filter reaches."""
    half = weights.size - 1
    size = out.size
    middle = half * step
    centre = line[middle : middle + size]
    if half == 2:
        add_five(
            line[:size],
            line[step : step + size],
            centre,
            line[3 * step : 3 * step + size],
            line[4 * step : 4 * step + size],
            weights,
            out,
        )
        return
    scale(centre, weights[0], out)
    for k in range(1, half + 1):
        low, high = middle - k * step, middle + k * step
        add_pair(line[low : low + size], line[high : high + size], weights[k], out)


@kernel
def down(ring: F32, row: int, height: int, weights: F32, step: int, out: F32) -> None:
    """Smooth across rows, of which ``ring`` keeps row i at i modulo its length."""
    half = weights.size - 1
    size = ring.shape[0]
    centre = ring[row % size]
    if half == 2:
        add_five(
            ring[max(row - 2 * step, 0) % size],
            ring[max(row - step, 0) % size],
            centre,
            ring[min(row + step, height - 1) % size],
            ring[min(row + 2 * step, height - 1) % size],
            weights,
            out,
        )
        return
    scale(centre, weights[0], out)
    for k in range(1, half + 1):
        above = ring[max(row - k * step, 0) % size]
        below = ring[min(row + k * step, height - 1) % size]
        add_pair(above, below, weights[k], out)


@kernel
def add_five(a: F32, b: F32, c: F32, d: F32, e: F32, weights: F32, out: F32) -> None:
    """Write the symmetric sum of five lines, by far the most frequent filter."""
    inner, middle, outer = weights[0], weights[1], weights[2]
    for j in range(out.size):
        out[j] = inner * c[j] + middle * (b[j] + d[j]) + outer * (a[j] + e[j])


@kernel
def scale(line: F32, weight: float, out: F32) -> None:
    """Write ``weight`` times a line."""
    for j in range(out.size):
        out[j] = weight * line[j]


@kernel
def add_pair(a: F32, b: F32, weight: float, out: F32) -> None:
    """Add ``weight`` times two lines."""
    for j in range(out.size):
        out[j] += weight * (a[j] + b[j])


@kernel
def subtract(minuend: F32, subtrahend: F32, out: F32) -> None:
    """Write the difference of two lines."""
    for j in range(out.size):
        out[j] = minuend[j] - subtrahend[j]
