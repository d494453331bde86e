"""How far one picture lies from another: phase cross-correlation, with a doubt.

A peak counts only where it stands out of the correlation of the same two pictures at
all other shifts. Arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

F64 = npt.NDArray[np.float64]

FINE_PX = 1.0
COARSE_PX = 5.0
CLIP = 6.0
"""Robust deviations at which a picture is cut, so that no spot speaks alone."""
NEAR_PX = 3.0
LEAST_PX = 32
"""Of what two pictures share, for a second look."""
SURE = 12.0
"""Deviations by which the peak must stand out of the correlation elsewhere; pictures
that have nothing in common reach 8."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the second picture's content lies from where it is in the first."""

    x_px: float
    y_px: float
    significance: float
    """Height of the peak over the scatter of the correlation elsewhere."""

    @property
    def is_sure(self) -> bool:
        """Whether the two pictures show the same thing at all."""
        return self.significance >= SURE


def shift_between(first: F64, second: F64, *, reach_px: float | None = None) -> Shift:
    """Return the shift of what both pictures show.

    Parameters
    ----------
    first, second : float64 array, shape (height, width)
        Of the same size.
    reach_px : float or None
        Farthest shift that is looked at; None: a third of the frame.
    """
    coarse = _correlated(first, second, reach_px)
    row, column = round(coarse.y_px), round(coarse.x_px)
    height, width = first.shape
    if not coarse.is_sure or min(height - abs(row), width - abs(column)) < LEAST_PX:
        return coarse
    # once more over what both pictures show: content that only one of them has, and
    # a window that is not the same for both, draw the shift towards zero
    again = _correlated(
        first[max(0, -row) : height - max(0, row), :][
            :, max(0, -column) : width - max(0, column)
        ],
        second[max(0, row) : height - max(0, -row), :][
            :, max(0, column) : width - max(0, -column)
        ],
        NEAR_PX,
    )
    return Shift(column + again.x_px, row + again.y_px, coarse.significance)


def _correlated(first: F64, second: F64, reach_px: float | None) -> Shift:
    height, width = first.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectra = [np.fft.rfft2(window * _flat(image)) for image in (first, second)]
    cross = np.conj(spectra[0]) * spectra[1]
    # halfway to pure phase: noise beyond the optics' band is not blown up
    cross /= np.sqrt(np.abs(cross)) + 1e-12
    field = np.fft.fftshift(np.fft.irfft2(cross, (height, width)))
    y0, x0 = height // 2, width // 2
    reach = reach_px if reach_px is not None else min(height, width) / 3.0
    rows, columns = np.ogrid[:height, :width]
    within = (np.abs(rows - y0) <= reach) & (np.abs(columns - x0) <= reach)
    peak = int(np.argmax(np.where(within, field, -np.inf)))
    y, x = divmod(peak, width)
    far = (np.abs(rows - y) > 3 * FINE_PX + 2) | (np.abs(columns - x) > 3 * FINE_PX + 2)
    noise = float(field[far].std()) or 1.0
    dy, dx = _finer(field, y, x)
    return Shift(
        x_px=float(x - x0 + dx),
        y_px=float(y - y0 + dy),
        significance=float(field[y, x] - field[far].mean()) / noise,
    )


def _flat(image: F64) -> F64:
    image = image.astype(np.float64)
    fine = gaussian_filter(image, FINE_PX, mode="nearest")
    found = fine - gaussian_filter(image, COARSE_PX, mode="nearest")
    spread = 1.4826 * float(np.median(np.abs(found - np.median(found)))) + 1e-12
    return np.asarray(np.clip(found / spread, -CLIP, CLIP))


def _finer(field: F64, y: int, x: int) -> tuple[float, float]:
    """Return the peak's place within its pixel, by a paraboloid through 3 x 3."""
    if not (0 < y < field.shape[0] - 1 and 0 < x < field.shape[1] - 1):
        return 0.0, 0.0
    box = field[y - 1 : y + 2, x - 1 : x + 2]
    gradient = np.array([(box[2] - box[0]).sum(), (box[:, 2] - box[:, 0]).sum()]) / 6.0
    yy = (box[2] - 2 * box[1] + box[0]).sum() / 3.0
    xx = (box[:, 2] - 2 * box[:, 1] + box[:, 0]).sum() / 3.0
    yx = (box[2, 2] - box[2, 0] - box[0, 2] + box[0, 0]) / 4.0
    hessian = np.array([[yy, yx], [yx, xx]])
    if np.linalg.det(hessian) <= 0.0 or yy >= 0.0:
        return 0.0, 0.0
    dy, dx = np.clip(-np.linalg.solve(hessian, gradient), -1.0, 1.0)
    return float(dy), float(dx)
