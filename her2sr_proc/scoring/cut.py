"""What the knife takes: how many nuclei lack a colour though the staining is good.

A section thinner than a nucleus holds a part of its copies. Of a cell with two copies
of each colour many a nucleus then shows none of one, and no rule on lacking colours
may blame the staining for that. Geometry tells it, and the nuclei that show a colour:
neither a probe that failed everywhere nor nuclei that none got into explain themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

VISIBLE = 0.62
"""Of half a nucleus's height: farther out of the section its centre leaves a cap so
thin that no stain shows a nucleus."""
DEPTHS = 2000
LEAST_COPIES, MOST_COPIES = 2, 60
"""Of a cell; fewer than two is not assumed, or a failed probe would pass for it."""


def retained_shares(section_um: float, nucleus_um: float) -> F64:
    """Return the share of a nucleus that is in the section, for even depths of it.

    Parameters
    ----------
    section_um : float
        Thickness of the cut.
    nucleus_um : float
        Height of a nucleus, a spheroid, across the section.
    """
    half = nucleus_um / 2.0
    reach = VISIBLE * half
    step = (np.arange(DEPTHS) + 0.5) / DEPTHS
    centre = -reach + step * (section_um + 2.0 * reach)
    return _below((section_um - centre) / half) - _below(-centre / half)


def copies_of(shown: F64 | npt.NDArray[np.int64], shares: F64) -> int:
    """Return how many copies a cell has, from the nuclei that show any.

    Parameters
    ----------
    shown : array, shape (nuclei,)
        Signals of one colour, 0 included; zeros are left out.
    shares : float64 array
        Of `retained_shares`.
    """
    positive = shown[shown > 0]
    if not positive.size:
        return LEAST_COPIES
    copies = np.arange(LEAST_COPIES, MOST_COPIES + 1)
    mean = copies * shares.mean() / (1.0 - _none_of(copies, shares))
    fitting = copies[mean <= positive.mean()]
    return int(fitting[-1]) if fitting.size else LEAST_COPIES


def lacking_by_cut(her2_copies: int, cep17_copies: int, shares: F64) -> float:
    """Return the share of such nuclei that show none of one colour, or of both."""
    her2, cep17 = (
        1.0 - (1.0 - shares) ** copies for copies in (her2_copies, cep17_copies)
    )
    return float(1.0 - np.mean(her2 * cep17))


def _none_of(copies: npt.NDArray[np.int64], shares: F64) -> F64:
    """Return the chance that none of some copies is in the section, for each number."""
    return np.asarray(np.mean((1.0 - shares) ** copies[:, None], axis=1), np.float64)


def _below(height: F64) -> F64:
    """Return the volume of a unit ball below a height, over that of the ball."""
    u = np.clip(height, -1.0, 1.0)
    return np.asarray((2.0 + 3.0 * u - u**3) / 4.0, np.float64)
