"""The size of a pixel, from how far a picture moves with the stage. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError
from her2sr_proc.shifts import Shift

F64 = npt.NDArray[np.float64]

LEAST_MOVES = 4
MOST_RESIDUAL_PX = 1.0
MOST_SHEAR = 0.02
"""Of unlike scales and axes that are not square, over the scale."""


@dataclass(frozen=True, slots=True)
class PixelSize:
    """How stage and picture go together."""

    pixel_nm: float
    error_nm: float
    turn_deg: float
    """Of the camera against the stage."""
    x_is_mirrored: bool
    """Whether the picture moves with the stage along x, instead of against it."""
    y_is_mirrored: bool
    residual_px: float


def pixel_size(moves_um: F64, shifts: list[Shift]) -> PixelSize:
    """Return the size of a pixel.

    Parameters
    ----------
    moves_um : float64 array, shape (moves, 2)
        x, y of the stage as read back, over where the first picture was taken.
    shifts : list of Shift
        How far the picture moved, one a move.

    Raises
    ------
    DataError
        Too few pictures that could be matched, or moves that do not fit them.
    """
    sure = np.array([shift.is_sure for shift in shifts])
    if sure.sum() < LEAST_MOVES:
        raise DataError(
            f"{int(sure.sum())} of {len(shifts)} moves can be seen in the pictures and "
            f"{LEAST_MOVES} are needed; use a bead film or a ruler with more structure"
        )
    moves = moves_um[sure]
    seen = np.array([(s.x_px, s.y_px) for s in shifts])[sure]
    matrix = np.linalg.lstsq(moves, seen, rcond=None)[0].T  # pixels per um
    left = seen - moves @ matrix.T
    residual = float(np.sqrt((left**2).sum(axis=1).mean()))
    scales = np.linalg.norm(matrix, axis=0)
    scale = float(scales.mean())
    skew = float(abs(matrix[:, 0] @ matrix[:, 1])) / scale**2
    unlike = float(abs(scales[0] - scales[1])) / scale
    if residual > MOST_RESIDUAL_PX or max(skew, unlike) > MOST_SHEAR:
        raise DataError(
            f"the picture does not follow the stage: {residual:.2f} pixels are left "
            f"over, and the axes differ by {100 * max(skew, unlike):.1f} %; check the "
            f"stage, and hold the film fast"
        )
    span = float(np.sqrt((moves**2).sum()))
    pixel_nm = 1000.0 / scale
    signs = np.sign([matrix[0, 0], matrix[1, 1]])
    turn = np.arctan2(matrix[1, 0] * signs[0], abs(matrix[0, 0]))
    return PixelSize(
        pixel_nm=pixel_nm,
        error_nm=pixel_nm * max(residual, 0.01) / (scale * span),
        turn_deg=float(np.degrees(turn)),
        x_is_mirrored=bool(matrix[0, 0] > 0),
        y_is_mirrored=bool(matrix[1, 1] > 0),
        residual_px=residual,
    )
