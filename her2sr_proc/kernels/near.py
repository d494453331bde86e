"""Which of some points have no other one near. Knows points only."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

NOBODY = -1


@kernel
def are_alone(x: F64, y: F64, which: Index, reach: float, out: Flags) -> None:
    """Write whether points have no other one within their reach.

    Points are sorted into the squares of a grid, so that those of nine squares need to
    be looked at, where a tree would be built first.

    Parameters
    ----------
    x, y : float64 array, shape (points,)
        In any unit. Where one is not finite, no point is alone.
    which : intp array, shape (asked,)
        Indices of the points that are asked for.
    reach : float
        In the same unit, > 0; a point exactly so far away is near.
    out : bool array, shape (asked,)
        Overwritten.
    """
    if which.size == 0:
        return
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        out[:] = False
        return
    left, top = x.min(), y.min()
    extent = max(x.max() - left, y.max() - top)
    # far-flung points have larger squares, as many of them as there are points; and
    # rounding must not put a near one beyond the next square
    side = max(reach * (1.0 + 1e-9), extent / math.sqrt(x.size))
    wide = int((x.max() - left) / side) + 1
    high = int((y.max() - top) / side) + 1
    last = np.full(wide * high, NOBODY, np.intp)
    former = np.empty(x.size, np.intp)
    for n in range(x.size):
        square = int((y[n] - top) / side) * wide + int((x[n] - left) / side)
        former[n] = last[square]
        last[square] = n
    for k in range(which.size):
        n = which[k]
        row, column = int((y[n] - top) / side), int((x[n] - left) / side)
        out[k] = True
        for i in range(max(row - 1, 0), min(row + 2, high)):
            for j in range(max(column - 1, 0), min(column + 2, wide)):
                other = last[i * wide + j]
                while other != NOBODY and out[k]:
                    dx, dy = x[other] - x[n], y[other] - y[n]
                    is_near = dx * dx + dy * dy <= reach * reach
                    out[k] = other == n or not is_near
                    other = former[other]
