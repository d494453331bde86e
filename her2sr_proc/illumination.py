"""How evenly a field is lit, from frames of an even film. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from her2sr_proc.errors import DataError

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

SMOOTH_SHARE = 0.02
"""Of the frame's side: illumination has no finer structure than that."""
MOST_SATURATED = 0.001
LEAST_ADU = 50.0
"""Over the dark: below it the shape is that of the noise."""
MOST_GRAIN = 0.1
"""Structure finer than illumination: the film is torn, or it is no film."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Light over that of the frame's brightest place."""

    relative: F32
    """Shape (height, width), at most 1."""
    darkest: float
    """Its least value."""
    centre_x_px: float
    """Centre of the light, weighted."""
    centre_y_px: float


def profile_of(mean_adu: F64, offset_adu: F64, *, saturated: float) -> Profile:
    """Return how a field is lit.

    Parameters
    ----------
    mean_adu : float64 array, shape (height, width)
        Mean of frames of an even film.
    offset_adu : float64 array, same shape
        Mean of dark frames.
    saturated : float
        Share of pixels that were at the camera's ceiling in any of the frames.

    Raises
    ------
    DataError
        A saturated, a dark or a structured field: none shows the light.
    """
    if saturated > MOST_SATURATED:
        raise DataError(
            f"{100 * saturated:.1f} % of the flat field is saturated, so that it shows "
            f"the camera's ceiling and not the light; lower --percent or the exposure"
        )
    light = mean_adu - offset_adu
    if float(np.median(light)) < LEAST_ADU:
        raise DataError(
            f"the flat field is {np.median(light):.0f} counts over the dark and "
            f"{LEAST_ADU:.0f} are needed; put an even fluorescent film under the "
            f"objective, or raise --percent"
        )
    smooth = gaussian_filter(
        light, SMOOTH_SHARE * max(light.shape), mode="nearest", truncate=3.0
    )
    grain = float(np.median(np.abs(light / smooth - 1.0)))
    if grain > MOST_GRAIN:
        raise DataError(
            f"the film has structure of {100 * grain:.0f} %; use an even film, and "
            f"defocus it"
        )
    relative = smooth / smooth.max()
    rows, columns = np.indices(light.shape)
    weight = relative / relative.sum()
    return Profile(
        relative=relative.astype(np.float32),
        darkest=float(relative.min()),
        centre_x_px=float((weight * columns).sum()),
        centre_y_px=float((weight * rows).sum()),
    )
