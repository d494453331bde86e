"""How an image is brought before the network: level, scale and planes.

The network knows one size of nucleus. An image is resized so that a usual nucleus is
`DIAMETER_PX` across, whatever the microscope; training does the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

DIAMETER_PX = 24.0
"""Of a usual nucleus, where the network looks."""
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
_FAINT = 50.0


def normalised(image: npt.NDArray[np.generic]) -> F64:
    """Return the image with its darkest percent at 0 and its brightest parts at 1."""
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
