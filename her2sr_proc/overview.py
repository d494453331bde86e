"""How much of an overview picture is nucleus: a signal channel's haze shows them.

Loose probe stays in nuclei, so that low light of a signal channel shows them as patches
of their size, a little brighter than the tissue. What is finer, the signals themselves,
is taken out first: fields must not be chosen by the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

F64 = npt.NDArray[np.float64]

CELL_UM = 0.5
"""Pixels are gathered to cells of this width; a median of 3 x 3 takes spots out."""
FINE_UM, COARSE_UM = 1.2, 5.0
"""Two smoothings whose difference keeps what is as large as a nucleus."""
AROUND_UM = 12.0
"""The light nearby, over which a patch stands out."""
RAISED = 0.05
"""By this share of the light nearby a nucleus is brighter, at least."""
SIGMAS = 4.0
"""And by so many standard deviations of the picture's noise."""
OPENING_UM = 1.5
"""Thinner strands are fibres."""


@dataclass(frozen=True, slots=True)
class OverviewNuclei:
    """What of a picture is nucleus."""

    nuclei: int
    """Patches; nuclei that touch are one."""
    share: float
    """Of the area, 0 to 1."""


def nuclei_in_overview(
    picture: npt.NDArray[np.generic], *, pixel_um: float
) -> OverviewNuclei:
    """Return how much of a picture is nucleus.

    Parameters
    ----------
    picture : array, shape (height, width)
        Mean of some frames, in photo-electrons, without the camera's offset.
    pixel_um : float
        Width of a pixel in the sample, > 0.
    """
    gathered, cell_um = _gathered(np.asarray(picture, np.float64), pixel_um)
    cells = ndimage.median_filter(gathered, 3, mode="nearest")
    around = ndimage.gaussian_filter(cells, AROUND_UM / cell_um)
    fine = ndimage.gaussian_filter(cells, FINE_UM / cell_um)
    coarse = ndimage.gaussian_filter(cells, COARSE_UM / cell_um)
    level = np.maximum(RAISED * around, SIGMAS * _noise(gathered, FINE_UM / cell_um))
    rounds = max(1, round(OPENING_UM / cell_um))
    patches = ndimage.binary_opening(fine - coarse > level, iterations=rounds)
    _, count = ndimage.label(patches)
    return OverviewNuclei(nuclei=int(count), share=float(patches.mean()))


def _gathered(picture: F64, pixel_um: float) -> tuple[F64, float]:
    """Return means over square cells, and the width of a cell in um."""
    factor = max(1, min(round(CELL_UM / pixel_um), *picture.shape))
    height, width = (side // factor for side in picture.shape)
    whole = picture[: height * factor, : width * factor]
    cells = whole.reshape(height, factor, width, factor).mean(axis=(1, 3))
    return cells, factor * pixel_um


def _noise(cells: F64, sigma_cells: float) -> float:
    """Return the standard deviation that chance leaves after a smoothing."""
    steps = np.diff(cells, axis=0)
    if not steps.size:
        return 0.0
    sd = 1.4826 * float(np.median(np.abs(steps))) / math.sqrt(2.0)
    return sd / (2.0 * math.sqrt(math.pi) * max(sigma_cells, 0.5))
