"""Squared steps from frame to frame, summed over a movie: where molecules switch.

Knows counts and pixels; neither camera models, files nor nanometres.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@kernel
def smooth(image: F32, taps: F32, along: F32, out: F32) -> None:
    """Convolve an image with ``taps`` along both axes; edge pixels are repeated.

    Parameters
    ----------
    image, along, out : float32 arrays, shape (height, width)
        ``along`` is scratch; ``out`` is overwritten.
    taps : float32 array, shape (2 * radius + 1,)
        Symmetric, sum 1.
    """
    height, width = image.shape
    radius = taps.size // 2
    for i in range(height):
        for j in range(width):
            total = np.float32(0.0)
            for k in range(taps.size):
                x = min(max(j + k - radius, 0), width - 1)
                total += taps[k] * image[i, x]
            along[i, j] = total
    for i in range(height):
        for j in range(width):
            out[i, j] = np.float32(0.0)
        for k in range(taps.size):
            y = min(max(i + k - radius, 0), height - 1)
            weight = taps[k]
            for j in range(width):
                out[i, j] += weight * along[y, j]


@kernel
def add_steps(
    adu: U16,
    offset: F32,
    gain: F32,
    taps: F32,
    done: int,
    window: int,
    first: F32,
    previous: F32,
    steps: F64,
    total: F64,
) -> int:
    """Add the squared steps of smoothed successive frames to ``steps``.

    Every ``window`` steps, what a straight trend over them adds is taken off again.

    Parameters
    ----------
    adu : uint16 array, shape (frames, height, width)
        Camera counts, in order and without a gap.
    offset, gain : float32 arrays, shape (height, width)
        ADU, and photo-electrons per ADU.
    taps : float32 array, shape (2 * radius + 1,)
        Of the smoothing along each axis; symmetric, sum 1.
    done : int
        Steps of the present window so far; -1: there is no frame before ``adu[0]``.
    window : int
        Steps in a window, >= 1.
    first, previous : float32 arrays, shape (height, width)
        Smoothed frames, in photo-electrons: where the window began, and the last.
        Overwritten.
    steps : float64 array, shape (height, width)
        Added to: photo-electrons squared.
    total : float64 array, shape (height, width)
        Added to: photo-electrons of the frames as they are.

    Returns
    -------
    int
        ``done`` for the next call.
    """
    frames, height, width = adu.shape
    photons = np.empty((height, width), np.float32)
    along = np.empty((height, width), np.float32)
    smoothed = np.empty((height, width), np.float32)
    for n in range(frames):
        for i in range(height):
            for j in range(width):
                photons[i, j] = (np.float32(adu[n, i, j]) - offset[i, j]) * gain[i, j]
                total[i, j] += photons[i, j]
        smooth(photons, taps, along, smoothed)
        if done >= 0:
            for i in range(height):
                for j in range(width):
                    step = smoothed[i, j] - previous[i, j]
                    steps[i, j] += step * step
        previous[:] = smoothed
        done += 1
        if done == window:
            take_trend(first, previous, window, steps)
            done = 0
        if done == 0:
            first[:] = smoothed
    return done


@kernel
def take_trend(first: F32, last: F32, count: int, steps: F64) -> None:
    """Subtract from ``steps`` what a straight line adds over ``count`` steps."""
    for i in range(steps.shape[0]):
        for j in range(steps.shape[1]):
            rise = last[i, j] - first[i, j]
            steps[i, j] -= rise * rise / count
