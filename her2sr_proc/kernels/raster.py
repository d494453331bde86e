"""Drawing points into an image: normalized Gaussians, or counts a pixel.

Knows pixels of the image to draw; neither nanometres nor tables.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

REACH = 4.0
"""Standard deviations after which a Gaussian is cut: 6e-5 of it lies beyond."""
SQRT_HALF = math.sqrt(0.5)


@kernel
def axis_weights(centre: float, sigma: float, first: int, weights: F64) -> None:
    """Write the fraction of a 1-d Gaussian on pixels ``first``, first + 1, ...

    Parameters
    ----------
    centre, sigma : float
        Pixels; pixel k spans [k - 1/2, k + 1/2). ``sigma`` > 0.
    first : int
        Pixel of ``weights[0]``.
    weights : float64 array, shape (size,)
        Overwritten.
    """
    scale = SQRT_HALF / sigma
    low = math.erf((first - 0.5 - centre) * scale)
    for k in range(weights.size):
        high = math.erf((first + k + 0.5 - centre) * scale)
        weights[k] = 0.5 * (high - low)
        low = high


@kernel
def draw_gaussians(x: F64, y: F64, sigma: F64, image: F32) -> None:
    """Add one Gaussian of volume 1 a point to ``image``.

    Parameters
    ----------
    x, y : float64 array, shape (points,)
        Pixels of ``image``; (0, 0) is the centre of its first. A point that is not
        finite is left out; what falls outside the image is lost.
    sigma : float64 array, shape (points,)
        Standard deviation in pixels, > 0; others are left out.
    image : float32 array, shape (height, width)
        Added to.
    """
    height, width = image.shape
    widest = 0.0
    for n in range(sigma.size):
        if math.isfinite(sigma[n]):
            widest = max(widest, sigma[n])
    size = min(2 * math.ceil(REACH * widest) + 3, max(height, width))
    across, down = np.empty(size), np.empty(size)
    for n in range(x.size):
        if not (math.isfinite(x[n] + y[n] + sigma[n]) and sigma[n] > 0.0):
            continue
        reach = REACH * sigma[n]
        left = max(math.floor(x[n] - reach + 0.5), 0)
        right = min(math.floor(x[n] + reach + 0.5), width - 1)
        top = max(math.floor(y[n] - reach + 0.5), 0)
        bottom = min(math.floor(y[n] + reach + 0.5), height - 1)
        if left > right or top > bottom:
            continue
        axis_weights(x[n], sigma[n], left, across[: right - left + 1])
        axis_weights(y[n], sigma[n], top, down[: bottom - top + 1])
        for i in range(top, bottom + 1):
            for j in range(left, right + 1):
                image[i, j] += down[i - top] * across[j - left]


@kernel
def draw_counts(x: F64, y: F64, image: F32) -> None:
    """Add 1 to the pixel of every point.

    Parameters
    ----------
    x, y : float64 array, shape (points,)
        As for `draw_gaussians`.
    image : float32 array, shape (height, width)
        Added to.
    """
    height, width = image.shape
    for n in range(x.size):
        if not math.isfinite(x[n] + y[n]):
            continue
        column, row = math.floor(x[n] + 0.5), math.floor(y[n] + 0.5)
        if 0 <= row < height and 0 <= column < width:
            image[row, column] += 1.0
