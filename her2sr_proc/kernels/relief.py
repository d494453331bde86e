"""How far a spot stands out of curved ground, before anything is fitted.

A linear filter: the shape of a spot less what a polynomial of second order explains of
it, so that slopes, ridges and wide blobs of tissue give nothing.

Source: weighted least squares with the ground's terms projected out, as of any
textbook on linear models; Huang et al. 2013, doi:10.1038/nmeth.2488, for the noise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import fused_kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

THIRD = 1.0 / 3.0
"""Pixels from the pixel's centre to the other places that a spot is tried at."""
MIN_LIGHT = 1.0


def shapes(sigma: float, radius: int) -> F64:
    """Return the filters of nine places around a pixel's centre.

    ``sigma`` and ``radius`` in pixels. Shape (9, side, side) with
    side = 2 radius + 1; each is orthogonal to 1, u, v, uu, uv and vv.
    """
    along = np.arange(-radius, radius + 1)
    u, v = np.meshgrid(along / radius, along / radius)
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)
    terms = terms.reshape(-1, 6)
    basis, _ = np.linalg.qr(terms)
    shares = [_shares(place, sigma, along) for place in (-THIRD, 0.0, THIRD)]
    filters = []
    for down in shares:
        for across in shares:
            spot = np.outer(down, across).ravel()
            filters.append(spot - basis @ (basis.T @ spot))
    side = 2 * radius + 1
    return np.array(filters).reshape(9, side, side)


def _shares(place: float, sigma: float, along: npt.NDArray[np.int_]) -> F64:
    scale = 1.0 / (sigma * math.sqrt(2.0))
    edges = np.append(along - 0.5, along[-1] + 0.5) - place
    return np.diff([0.5 * math.erf(edge * scale) for edge in edges])


@fused_kernel
def significance(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    excess: float,
    filters: F64,
    rows: I32,
    columns: I32,
    out: F64,
) -> None:
    """Write how many deviations of its noise each spot stands out of curved ground.

    Parameters
    ----------
    adu, offset_adu, e_per_adu, variance_e2, excess
        As of `gauss.fit_spots`.
    filters : float64 array, shape (9, side, side)
        As `shapes` returns them; the best of them counts.
    rows, columns : int32 array, shape (spots,)
        The pixels to look at; beyond the frame its edge goes on.
    out : float64 array, shape (spots,)
        Overwritten.
    """
    height, width = adu.shape
    side = filters.shape[1]
    radius = side // 2
    # pixels first, so that a processor's vector unit has all places at once
    padded = -(-len(filters) // 8) * 8
    shapes, squares = np.zeros((side * side, padded)), np.zeros((side * side, padded))
    for k in range(len(filters)):
        for m in range(side * side):
            value = filters[k, m // side, m % side]
            shapes[m, k], squares[m, k] = value, value * value
    total, variance = np.empty(padded), np.empty(padded)
    for n in range(rows.size):
        total[:] = 0.0
        variance[:] = 0.0
        for i in range(side):
            row = min(max(rows[n] + i - radius, 0), height - 1)
            dark = offset_adu[min(row, offset_adu.shape[0] - 1)]
            gain = e_per_adu[min(row, e_per_adu.shape[0] - 1)]
            own = variance_e2[min(row, variance_e2.shape[0] - 1)]
            for j in range(side):
                k = min(max(columns[n] + j - radius, 0), width - 1)
                value = (np.float64(adu[row, k]) - dark[k]) * gain[k]
                noise = excess * max(value, MIN_LIGHT) + own[k]
                shape, square = shapes[i * side + j], squares[i * side + j]
                for place in range(padded):
                    total[place] += shape[place] * value
                    variance[place] += square[place] * noise
        best = -np.inf
        for place in range(len(filters)):
            best = max(best, total[place] / math.sqrt(variance[place]))
        out[n] = best
