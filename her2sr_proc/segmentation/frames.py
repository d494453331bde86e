"""How an image is brought before the network: level, scale and planes.

The network knows one size of nucleus. An image is resized so that a usual nucleus is
`DIAMETER_PX` across, whatever the microscope; training does the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

DIAMETER_PX = 24.0
"""Of a usual nucleus, where the network looks."""
REACH_PX = 24.0
"""Farthest way to the centre that the network can tell, where it looks."""
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
_FAINT = 50.0


def require_image(image: npt.NDArray[np.generic]) -> None:
    """Raise `DataError` unless nuclei can be looked for in an image.

    A single value that is no number would otherwise make every other one dark.
    """
    if image.ndim != 2 or min(image.shape) < 2:
        raise DataError(
            f"the DAPI image has shape {image.shape}; one plane of pixels is wanted"
        )
    wrong = int(np.count_nonzero(~np.isfinite(image)))
    if wrong:
        raise DataError(
            f"the DAPI image holds {wrong} pixels that are no numbers; "
            f"give the image as the camera took it, or its mean"
        )


def normalised(image: npt.NDArray[np.generic]) -> F64:
    """Return the image with its darkest percent at 0 and its brightest parts at 1.

    Shape (height, width), any unit and offset in; float64 out.
    """
    values = image.astype(np.float64)
    low, high = np.percentile(values, (LOW_PERCENTILE, HIGH_PERCENTILE))
    return np.asarray((values - low) / max(float(high - low), 1e-12), np.float64)


def planes(level: F64) -> F32:
    """Return the two planes of a normalised image, shape (2, height, width).

    The first as it is, the second by its logarithm, in which faint nuclei stand out.
    """
    clipped = np.clip(level, 0.0, 1.5)
    faint = np.log1p(_FAINT * clipped) / np.log1p(_FAINT)
    return np.stack([clipped, faint]).astype(np.float32)
