"""How much structure of the size of a nucleus a picture has. Arrays and numbers.

What tiles of an overview are compared by when the localizer does not say how much of
them is nucleus.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

F64 = npt.NDArray[np.float64]

CELL_UM = 0.5
FINE_UM, COARSE_UM = 1.2, 5.0
LEAST_E = 0.5
"""Mean photo-electrons a pixel below which a picture has no light to speak of."""


def structure_of(light_e: F64, *, pixel_um: float) -> float:
    """Return the contrast of what is as large as a nucleus, over the light.

    Parameters
    ----------
    light_e : float64 array, shape (height, width)
        Mean picture in photo-electrons, without the camera's offset.
    pixel_um : float
        Width of a pixel in the sample, > 0.

    Returns
    -------
    float
        0 for a picture without light. The finest, the signals, are taken out first.
    """
    mean = float(light_e.mean())
    if mean < LEAST_E:
        return 0.0
    factor = max(1, min(round(CELL_UM / pixel_um), *light_e.shape))
    height, width = (side // factor for side in light_e.shape)
    whole = light_e[: height * factor, : width * factor]
    cells = whole.reshape(height, factor, width, factor).mean(axis=(1, 3))
    calm = ndimage.median_filter(cells, 3, mode="nearest")
    cell_um = factor * pixel_um
    fine, coarse = (
        ndimage.gaussian_filter(calm, sigma_um / cell_um)
        for sigma_um in (FINE_UM, COARSE_UM)
    )
    return float((fine - coarse).std() / mean)
