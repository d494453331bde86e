"""How sharp a picture is, and where along the axis it is sharpest. Arrays and numbers.

The energy of what is as fine as the point spread function, less that of the noise, over
the square of the light: neither bleaching between two pictures nor a brighter field
changes it, and what is out of focus has less of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_acq.errors import FocusError
from her2sr_proc.schema.camera import CameraModel

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

FINE_PX, COARSE_PX = 1.0, 2.5
"""Of the two smoothings whose difference keeps spots and drops haze and gradients."""
LEAST_E = 2.0
"""Mean photo-electrons a pixel below which there was no light."""
LEAST_SHARE = 0.02
"""Of the greatest sharpness: duller pictures do not bear on the parabola."""
LEAST_POINTS = 3
LEAST_CONTRAST = 8.0
"""Standard deviations by which the sharpest picture must exceed the dullest."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Of one picture."""

    value: float
    noise: float
    """Standard deviation of `value` by chance alone."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture at one height."""

    z_um: float
    """From where the search began."""
    sharpness: Sharpness


def sharpness_of(adu: U16, camera: CameraModel) -> Sharpness:
    """Return how sharp a picture is.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts.
    camera : CameraModel
        What the counts mean.

    Raises
    ------
    FocusError
        There is no light in it.
    """
    electrons = (adu.astype(np.float64) - camera.offset_adu) * camera.e_per_adu
    light = float(electrons.mean())
    if not light > LEAST_E:
        raise FocusError(
            f"the picture to focus by is dark ({light:.1f} photo-electrons a pixel); "
            f"check the light, or raise focus.power_percent"
        )
    spots = _band(electrons)
    height, width = adu.shape
    pulse = np.zeros((41, 41))
    pulse[20, 20] = 1.0
    share = float((_band(pulse) ** 2).sum())
    noise = share * (light + camera.read_noise_e**2)
    # Neighbours of the filtered picture share the noise of this many pixels.
    cells = max(1.0, height * width / (4.0 * math.pi * FINE_PX**2))
    energy = float((spots**2).mean()) - noise
    return Sharpness(energy / light**2, noise * math.sqrt(2.0 / cells) / light**2)


def require_contrast(looks: Sequence[Look]) -> None:
    """Raise `FocusError` unless some pictures are sharper than others beyond chance."""
    values = [look.sharpness.value for look in looks]
    noise = max(look.sharpness.noise for look in looks)
    if not max(values) - min(values) >= LEAST_CONTRAST * noise:
        raise FocusError(
            "no picture is sharper than another: nothing is there to focus on, or the "
            "focus is further away; choose a field with tissue, or raise "
            "focus.search_um or focus.power_percent"
        )


def sharpest(looks: Sequence[Look]) -> float:
    """Return the height of the sharpest plane by a parabola, um from the start.

    In the inverse of the sharpness, since a spot's energy falls as its area grows, and
    that is a parabola of the distance. Raises `FocusError` when the sharpest picture is
    the outermost one, or no parabola opens between the pictures.
    """
    z_um = np.array([look.z_um for look in looks])
    value = np.array([look.sharpness.value for look in looks])
    best = float(z_um[value.argmax()])
    if best in (z_um.min(), z_um.max()):
        raise FocusError(
            f"the sharpest picture is the outermost one, {best:+.2f} um away; the "
            f"focus lies further out: raise focus.search_um, or level the slide"
        )
    # The inverse of a dull picture is mostly noise: each weighs by what its error is.
    is_sharp = value > LEAST_SHARE * value.max()
    if is_sharp.sum() < LEAST_POINTS:
        # Dull on both sides of one plane: its neighbours tell which way it leans.
        is_sharp = np.zeros(len(value), bool)
        is_sharp[np.argsort(np.abs(z_um - best))[:LEAST_POINTS]] = True
        value = np.maximum(value, LEAST_SHARE * value.max())
    z, s = z_um[is_sharp] - best, value[is_sharp]
    curve, slope, _ = np.polyfit(z, s.max() / s, 2, w=(s / s.max()) ** 2)
    vertex = -slope / (2.0 * curve) if curve > 0.0 else math.nan
    if not float(z.min()) <= vertex <= float(z.max()):
        raise FocusError(
            "the pictures have no sharpest plane between them; check that the drive "
            "moves and that the field shows tissue"
        )
    return best + float(vertex)


def _band(image: F64) -> F64:
    fine = ndimage.gaussian_filter(image, FINE_PX, mode="reflect")
    coarse = ndimage.gaussian_filter(image, COARSE_PX, mode="reflect")
    return np.asarray(fine - coarse)
