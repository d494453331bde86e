"""Maxima that stand out of noise, placed between pixels. Knows one image, no spots.

Only where the image rises are pixels made finer and flooded: most of a field is empty,
and this step is most of the time that counting takes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.kernels.peaks import find_peaks
from her2sr_proc.kernels.points import doubled

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

ZOOM = 2
"""Maxima are looked for on a grid this much finer than the camera's."""
FLOOD = 0.5
"""Deviations of noise down to which a hill is followed; below, hills are islands."""
BETWEEN = 0.8
"""Of a maximum's height, that the nearest pixel shows at least."""
MARGIN_PX = 4
"""Around a hill, so that a spline through it is as through the whole image."""
HILL = np.ones((3, 3), np.int8)


def prominent_maxima(image: F64, least: float) -> tuple[F64, F64, F64]:
    """Return y, x and prominence of the maxima that stand ``least`` above a saddle.

    Parameters
    ----------
    image : float64 array, shape (height, width)
        Over its noise: 0 on average where there is nothing.
    least : float
        Prominence, > `FLOOD`. That of a hill alone counts from 0.
    """
    hills, count = ndimage.label(image > FLOOD, HILL)
    high = np.zeros(count + 1, np.int32)
    high[hills[image >= BETWEEN * least]] = 1
    high *= np.cumsum(high, dtype=np.int32)
    hills = high[hills]
    found = [
        _of_hill(image, hills, number, box, least)
        for number, box in enumerate(ndimage.find_objects(hills), start=1)
    ]
    if not found:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    y, x, prominence = np.concatenate(found, axis=1)
    return y, x, prominence


def _of_hill(
    image: F64, hills: I32, number: int, box: tuple[slice, slice], least: float
) -> F64:
    """Return the same of one hill, shape (3, maxima)."""
    around = tuple(
        slice(max(side.start - MARGIN_PX, 0), min(side.stop + MARGIN_PX, size))
        for side, size in zip(box, image.shape, strict=True)
    )
    part, own = image[around], hills[around] == number
    fine = np.empty((ZOOM * part.shape[0], ZOOM * part.shape[1]), np.float32)
    doubled(part, fine)
    lit = np.flatnonzero(fine > FLOOD)
    order = lit[np.argsort(-fine.ravel()[lit])]
    room = fine.size // 4 + 1
    rows, columns = np.zeros(room, np.int32), np.zeros(room, np.int32)
    saddles, basins = np.zeros(room), np.zeros(fine.shape, np.int32)
    many = find_peaks(fine, order, 0.0, least, rows, columns, saddles, basins)
    rows, columns = rows[:many], columns[:many]
    prominence = fine[rows, columns] - saddles[:many]
    is_own = own[rows // ZOOM, columns // ZOOM] & (prominence >= least)
    y = (rows + 0.5) / ZOOM - 0.5 + around[0].start
    x = (columns + 0.5) / ZOOM - 0.5 + around[1].start
    return np.stack([y, x, prominence])[:, is_own]
