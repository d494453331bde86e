"""Spots drawn into an image, and an image seen at points and twice as fine.

Whatever counting asks of a field hundreds of times: a field's worth of numpy calls for
a handful of points is most of the time otherwise. Knows pixels only; the first pixel's
centre is (0, 0), and beyond the edge an image goes on as its last pixel.

Source of the splines: Unser 1999, doi:10.1109/79.799930, boxes 1 and 2.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

POLE = math.sqrt(3.0) - 2.0
"""Of the cubic spline's prefilter."""
GAIN = 6.0
TAPS = 10
"""Pixels to each side that a cubic spline is made of: the next weighs 1e-6."""


@kernel
def draw_points(
    y: F64, x: F64, variance: F64, height: F64, reach: float, image: F64
) -> None:
    """Add a Gaussian a point to an image.

    Parameters
    ----------
    y, x : float64 arrays, shape (points,)
        Pixels; may lie outside.
    variance, height : float64 arrays, shape (points,)
        Squared width in pixels, > 0, and value in the middle.
    reach : float
        Standard deviations that are drawn.
    image : float64 array, shape (height, width)
        Added to.
    """
    rows, columns = image.shape
    row_weight = np.empty(columns)
    for n in range(y.size):
        far = reach * math.sqrt(variance[n])
        top, bottom = max(int(y[n] - far), 0), min(int(y[n] + far) + 2, rows)
        left, right = max(int(x[n] - far), 0), min(int(x[n] + far) + 2, columns)
        for j in range(left, right):
            row_weight[j] = math.exp(-0.5 * (j - x[n]) ** 2 / variance[n])
        for i in range(top, bottom):
            level = height[n] * math.exp(-0.5 * (i - y[n]) ** 2 / variance[n])
            for j in range(left, right):
                image[i, j] += level * row_weight[j]


@kernel
def middle_of(
    rest: F64, y: float, x: float, variance: float, height: float
) -> tuple[float, float, float]:
    """Return the light under a window, and its first moments from the window's middle.

    Parameters
    ----------
    rest : float64 array, shape (height, width)
        Image with the spot taken off.
    y, x : float
        Middle of spot and window, pixels.
    variance, height : float
        Of the spot; the window is as wide.
    """
    rows, columns = rest.shape
    far = 2.0 * math.sqrt(variance)
    top, bottom = max(int(y - far), 0), min(int(y + far) + 2, rows)
    left, right = max(int(x - far), 0), min(int(x + far) + 2, columns)
    total = along_y = along_x = 0.0
    for i in range(top, bottom):
        for j in range(left, right):
            dy, dx = i - y, j - x
            window = math.exp(-0.5 * (dy * dy + dx * dx) / variance)
            light = window * (rest[i, j] + height * window)
            total += light
            along_y += light * dy
            along_x += light * dx
    return total, along_y, along_x


@kernel
def blurred_at(image: F64, y: F64, x: F64, sigma: float, radius: int, out: F64) -> None:
    """Write the values at some points of an image seen through a Gaussian.

    Parameters
    ----------
    image : float64 array, shape (height, width)
    y, x : float64 arrays, shape (points,)
    sigma : float
        Of the Gaussian, pixels, > 0.
    radius : int
        Pixels to each side of the nearest one that it is made of.
    out : float64 array, shape (points,)
        Overwritten.
    """
    size = 2 * radius + 1
    down, across = np.empty(size), np.empty(size)
    for n in range(y.size):
        top, left = round(y[n]) - radius, round(x[n]) - radius
        sums = np.zeros(2)
        for k in range(size):
            down[k] = math.exp(-0.5 * ((top + k - y[n]) / sigma) ** 2)
            across[k] = math.exp(-0.5 * ((left + k - x[n]) / sigma) ** 2)
            sums[0] += down[k]
            sums[1] += across[k]
        out[n] = _weighted(image, top, left, down, across) / (sums[0] * sums[1])


@kernel
def splined_at(image: F64, y: F64, x: F64, out: F64) -> None:
    """Write the values at some points of the cubic spline through an image's pixels.

    Parameters
    ----------
    image : float64 array, shape (height, width)
    y, x : float64 arrays, shape (points,)
    out : float64 array, shape (points,)
        Overwritten.
    """
    down, across = np.empty(2 * TAPS), np.empty(2 * TAPS)
    for n in range(y.size):
        top, left = math.floor(y[n]), math.floor(x[n])
        cardinal(y[n] - top, down)
        cardinal(x[n] - left, across)
        out[n] = _weighted(image, top - TAPS + 1, left - TAPS + 1, down, across)


@kernel
def cardinal(between: float, weights: F64) -> None:
    """Write what each pixel weighs at a point ``between`` (0 to 1) two of them.

    Weight ``TAPS - 1`` is of the pixel before the point.
    """
    for k in range(2 * TAPS):
        weight = 0.0
        for m in range(-1, 3):
            away = abs(between - m)
            if away < 1.0:
                basis = 2.0 / 3.0 - away**2 + 0.5 * away**3
            else:
                basis = max(2.0 - away, 0.0) ** 3 / 6.0
            weight += basis * POLE ** abs(k - TAPS + 1 - m)
        weights[k] = weight * -GAIN * POLE / (1.0 - POLE * POLE)


@kernel
def _weighted(image: F64, top: int, left: int, down: F64, across: F64) -> float:
    """Return the weighted sum of a window that may reach over the edge."""
    rows, columns = image.shape
    total = 0.0
    for k in range(down.size):
        i = min(max(top + k, 0), rows - 1)
        line = 0.0
        for m in range(across.size):
            line += across[m] * image[i, min(max(left + m, 0), columns - 1)]
        total += down[k] * line
    return total


@kernel
def prefilter(line: F64) -> None:
    """Turn the pixels of a line into its cubic spline's coefficients, in place."""
    last = line.size - 1
    end = line[last] / (1.0 - POLE)
    line[0] /= 1.0 - POLE
    for k in range(1, last + 1):
        line[k] += POLE * line[k - 1]
    # beyond the end the line goes on as its last pixel: the geometric sum of that
    line[last] = -POLE * (end / (1.0 - POLE) + (line[last] - end) / (1.0 - POLE * POLE))
    for k in range(last - 1, -1, -1):
        line[k] = POLE * (line[k + 1] - line[k])
    for k in range(last + 1):
        line[k] *= GAIN


@kernel
def double(line: F64, out: F64) -> None:
    """Write a line twice as fine: every pixel as its two halves' middles.

    Parameters
    ----------
    line : float64 array, shape (n,)
        Overwritten.
    out : float64 array, shape (2 n,)
        Overwritten.
    """
    last = line.size - 1
    before, after = line[0], line[last]
    prefilter(line)
    # the basis at a quarter pixel from its middle, and from its neighbours'
    own = 2.0 / 3.0 - 0.25**2 + 0.5 * 0.25**3
    near = 2.0 / 3.0 - 0.75**2 + 0.5 * 0.75**3
    far, farther = 0.75**3 / 6.0, 0.25**3 / 6.0
    for k in range(last + 1):
        for side in range(2):
            step = 2 * side - 1
            total = own * line[k]
            total += near * _beyond(line, k + step, before, after)
            total += far * _beyond(line, k - step, before, after)
            total += farther * _beyond(line, k + 2 * step, before, after)
            out[2 * k + side] = total


@kernel
def _beyond(line: F64, k: int, before: float, after: float) -> float:
    """Return a coefficient, those outside the line as of its last pixels repeated."""
    last = line.size - 1
    if k < 0:
        return before + (line[0] - before) * POLE ** (-k)
    if k > last:
        return after + (line[last] - after) * POLE ** (k - last)
    return line[k]


@kernel
def doubled(image: F64, out: F32) -> None:
    """Write an image twice as fine in both directions, by its cubic spline.

    Parameters
    ----------
    image : float64 array, shape (height, width)
    out : float32 array, shape (2 height, 2 width)
        Overwritten.
    """
    rows, columns = image.shape
    wide = np.empty((rows, 2 * columns))
    for i in range(rows):
        double(image[i].copy(), wide[i])
    high = np.empty(2 * rows)
    for j in range(2 * columns):
        double(wide[:, j].copy(), high)
        for i in range(2 * rows):
            out[i, j] = high[i]
