"""Where each bead is sharpest: widths of a stack through the focus. Arrays only.

A width follows sigma^2 = s^2 (1 + (z - z0)^2 / d^2), a parabola in z, so the fit is
linear. Widths far out of focus follow other laws and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError

F64 = npt.NDArray[np.float64]

LEAST_PLANES = 5
WIDEST = 2.6
"""Times a bead's narrowest width: beyond it a spot's shape is no Gaussian."""
LEAST_BEADS = 8


@dataclass(frozen=True, slots=True)
class FocusCurve:
    """The focus of one colour, over its beads."""

    z_um: F64
    """Of every bead; nan where its widths make no curve. Shape (beads,)."""
    sigma_nm: float
    """Median width in focus."""
    depth_um: float
    """Median of d."""


def focus_curve(z_um: F64, sigma_nm: F64) -> FocusCurve:
    """Return where the beads of one colour are sharpest.

    Parameters
    ----------
    z_um : float64 array, shape (planes,)
        Of the focus drive, as read back.
    sigma_nm : float64 array, shape (beads, planes)
        Widths; nan where a bead was not seen.

    Raises
    ------
    DataError
        Fewer than `LEAST_BEADS` beads come into focus within the stack.
    """
    middle = float(z_um.mean())
    z_um = z_um - middle
    fits = [_parabola(z_um, widths) for widths in sigma_nm]
    found = np.array(fits) if fits else np.zeros((0, 3))
    good = np.isfinite(found).all(axis=1)
    if good.sum() < LEAST_BEADS:
        raise DataError(
            f"{int(good.sum())} beads come into focus within the stack and "
            f"{LEAST_BEADS} are needed; start nearer to the focus, or use a denser "
            f"film",
            beads=int(good.sum()),
        )
    return FocusCurve(
        z_um=np.where(good, found[:, 0] + middle, np.nan),
        sigma_nm=float(np.median(found[good, 1])),
        depth_um=float(np.median(found[good, 2])),
    )


def offset_um(own: F64, reference: F64) -> tuple[float, float]:
    """Return how far one colour's focus lies from another's, and its error.

    Parameters
    ----------
    own, reference : float64 array, shape (beads,)
        Focus of the same beads in both colours; nan where unknown.
    """
    both = np.isfinite(own) & np.isfinite(reference)
    if both.sum() < LEAST_BEADS:
        raise DataError(
            f"{int(both.sum())} beads come into focus in both colours and "
            f"{LEAST_BEADS} are needed; widen the stack or use a denser film",
            beads=int(both.sum()),
        )
    away = own[both] - reference[both]
    centre = float(np.median(away))
    spread = 1.4826 * float(np.median(np.abs(away - centre)))
    return centre, 1.2533 * spread / float(np.sqrt(both.sum()))


def _parabola(z_um: F64, sigma_nm: F64) -> tuple[float, float, float]:
    """Return focus, width there and depth of one bead, nan where there are none."""
    nothing = (np.nan, np.nan, np.nan)
    seen = np.isfinite(sigma_nm)
    if seen.sum() < LEAST_PLANES:
        return nothing
    seen &= sigma_nm <= WIDEST * np.nanmin(sigma_nm)
    if seen.sum() < LEAST_PLANES:
        return nothing
    z, square = z_um[seen], sigma_nm[seen] ** 2
    # errors of a width grow with it: wide ones weigh less
    c, b, a = np.polynomial.polynomial.polyfit(z, square, 2, w=1.0 / square)
    if a <= 0.0:
        return nothing
    focus = -b / (2.0 * a)
    least = c - b * b / (4.0 * a)
    if least <= 0.0 or not z.min() < focus < z.max():
        return nothing
    return float(focus), float(np.sqrt(least)), float(np.sqrt(least / a))
