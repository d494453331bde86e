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
    impulse = np.zeros((2 * size + 1, 2 * size + 1), np.float32)
    impulse[size, size] = 1.0
    planes = np.empty((4, *impulse.shape), np.float32)
    decompose(impulse, taps, planes[0], planes[1], planes[2], planes[3])
    energy = (planes.astype(np.float64) ** 2).sum(axis=(1, 2))
    return math.sqrt(energy[2]), math.sqrt(energy[3])


@kernel
def smooth(image: F32, taps: F64, step: int, out: F32) -> None:
    """Write ``image`` smoothed along rows and columns into ``out``.

    Parameters
    ----------
    image : float32 array, shape (height, width)
        Any unit; a nan spreads as far as the filter reaches.
    taps : float64 array, shape (odd,)
        Symmetric filter.
    step : int
        Pixels between two taps: 1, or 2 for the filter with holes.
    out : float32 array, shape (height, width)
        Overwritten; must not be ``image``. Beyond the edge, the edge is repeated.
    """
    height, width = image.shape
    half = taps.size // 2
    pad = half * step
    line = np.empty(width + 2 * pad)
    total = np.empty(width)
    for i in range(height):
        for j in range(width):
            line[pad + j] = taps[half] * image[i, j]
        for k in range(1, half + 1):
            above = max(i - k * step, 0)
            below = min(i + k * step, height - 1)
            weight = taps[half + k]
            for j in range(width):
                line[pad + j] += weight * (image[above, j] + image[below, j])
        for j in range(pad):
            line[j] = line[pad]
            line[pad + width + j] = line[pad + width - 1]
        for j in range(width):
            total[j] = taps[half] * line[pad + j]
        for k in range(1, half + 1):
            shift = k * step
            weight = taps[half + k]
            for j in range(width):
                total[j] += weight * (line[pad + j - shift] + line[pad + j + shift])
        for j in range(width):
            out[i, j] = total[j]


@kernel
def decompose(image: F32, taps: F64, v1: F32, v2: F32, fine: F32, band: F32) -> None:
    """Split ``image`` into smoothings and wavelet planes.

    Parameters
    ----------
    image : float32 array, shape (height, width)
        Any unit.
    taps : float64 array, shape (odd,)
        From `spline_taps`.
    v1, v2 : float32 array, shape (height, width)
        Overwritten: the first smoothing, and the second with doubled step.
    fine, band : float32 array, shape (height, width)
        Overwritten: F1 = image - v1 and F2 = v1 - v2.
    """
    smooth(image, taps, 1, v1)
    smooth(v1, taps, 2, v2)
    height, width = image.shape
    for i in range(height):
        for j in range(width):
            fine[i, j] = image[i, j] - v1[i, j]
            band[i, j] = v1[i, j] - v2[i, j]
