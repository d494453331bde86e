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
from scipy.optimize import least_squares

from her2sr_acq.errors import FocusError
from her2sr_proc.schema.camera import CameraModel

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Scale:
    """Two smoothings whose difference keeps spots, and drops haze and gradients."""

    fine_px: float
    coarse_px: float


NEAR = Scale(1.6, 4.0)
"""Of spots near the focus: tells heights of a tenth of a micrometre apart."""
FAR = Scale(2.5, 6.0)
"""Of spots a micrometre out of focus: shows the way from far away."""
LEAST_E = 2.0
"""Mean photo-electrons a pixel below which there was no light."""
THIN_UM, THICK_UM = 0.2, 1.3
"""Half thicknesses of a section from which the fit sets out."""
DEPTH_UM = 0.4
TRUST = 0.05
"""Relative error of a sharpness by what blinks between two pictures."""
LEAST_CONTRAST = 8.0
"""Standard deviations by which the sharpest picture must exceed the dullest."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Of one picture."""

    value: float
    noise: float
    """Standard deviation of `value` by chance alone."""


@dataclass(frozen=True, slots=True)
class Energies:
    """Of the parts of one picture, each of shape (side, side)."""

    value: F64
    noise: F64
    """Standard deviation of `value` by chance alone."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture at one height."""

    z_um: float
    """From where the search began."""
    sharpness: Sharpness


@dataclass(frozen=True, slots=True)
class Slab:
    """What the pictures of a field as a whole say of its section."""

    middle_um: float
    half_um: float
    """Half its thickness, tilt of the field included."""


def sharpness_of(adu: U16, camera: CameraModel, scale: Scale = NEAR) -> Sharpness:
    """Return how sharp a picture is.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts.
    camera : CameraModel
        What the counts mean.
    scale : Scale
        How fine what is looked for is.

    Raises
    ------
    FocusError
        There is no light in it.
    """
    found = energies(adu, camera, scale, side=1)
    return Sharpness(float(found.value[0, 0]), float(found.noise[0, 0]))


def energies(adu: U16, camera: CameraModel, scale: Scale, *, side: int) -> Energies:
    """Return how sharp every one of ``side`` by ``side`` parts of a picture is.

    What is left over at the far edges belongs to no part. Raises as `sharpness_of`.

    ``adu``: uint16, shape (height, width), camera counts.
    """
    electrons = (adu.astype(np.float64) - camera.offset_adu) * camera.e_per_adu
    light = float(electrons.mean())
    if not light > LEAST_E:
        raise FocusError(
            f"the picture to focus by is dark ({light:.1f} photo-electrons a pixel); "
            f"check the light, or raise focus.power_percent"
        )
    height, width = adu.shape[0] // side, adu.shape[1] // side

    def mean(image: F64) -> F64:
        whole = image[: side * height, : side * width]
        return np.asarray(whole.reshape(side, height, side, width).mean((1, 3)))

    pulse = np.zeros((81, 81))
    pulse[40, 40] = 1.0
    share = float((_band(pulse, scale) ** 2).sum())
    noise = share * (np.maximum(mean(electrons), 0.0) + camera.read_noise_e**2)
    # Neighbours of the filtered picture share the noise of this many pixels.
    cells = max(1.0, height * width / (4.0 * math.pi * scale.fine_px**2))
    energy = mean(_band(electrons, scale) ** 2) - noise
    return Energies(energy / light**2, noise * math.sqrt(2.0 / cells) / light**2)


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


def about(looks: Sequence[Look]) -> float:
    """Return roughly where the sharpest plane is: the middle of what is sharp.

    Raises `FocusError` when the sharpest picture is the outermost one.
    """
    z_um = np.array([look.z_um for look in looks])
    value = np.array([look.sharpness.value for look in looks])
    best = float(z_um[value.argmax()])
    if best in (z_um.min(), z_um.max()):
        raise FocusError(
            f"the sharpest picture is the outermost one, {best:+.2f} um away; the "
            f"focus lies further out: raise focus.search_um, or level the slide"
        )
    above = value - value.min()
    return float((above * z_um).sum() / above.sum())


def middle(looks: Sequence[Look], start_um: float) -> float:
    """Return the height of the middle of the section; as `slab`."""
    return slab(looks, start_um).middle_um


def slab(looks: Sequence[Look], start_um: float) -> Slab:
    """Return where the section lies, um from the start of the search.

    Fits what a slab of spots does: a spot's energy falls as one over one plus the
    square of its distance over the depth of focus, and the slab adds up its planes. Of
    a thin one the top is a parabola; of a thick one it is flat, and only the flanks
    tell where its middle is. Raises `FocusError` when nothing of the kind fits.
    """
    z_um = np.array([look.z_um for look in looks])
    value = np.array([look.sharpness.value for look in looks])
    if not value.max() > 0.0:
        raise FocusError("no picture shows spots; raise focus.power_percent")
    noise = max(look.sharpness.noise for look in looks) / value.max()
    seen = np.maximum(value / value.max(), -0.05)
    start_um = min(max(start_um, float(z_um.min()) + 0.01), float(z_um.max()) - 0.01)
    error = np.hypot(noise, TRUST * seen) + 0.01
    least = float(seen.min())
    bounds = (
        [z_um.min(), 0.05, 0.1, 0.2, -0.1],
        [z_um.max(), 3.0, 2.0, 2.0, 0.95],
    )
    fits = [
        least_squares(
            lambda p: (_slab(z_um, p) - seen) / error,
            [
                start_um,
                half_um,
                DEPTH_UM,
                max(0.3, 1.0 - least),
                min(max(least, 0.0), 0.9),
            ],
            bounds=bounds,
        )
        for half_um in (THIN_UM, THICK_UM)
    ]
    best = min(fits, key=lambda fit: float(fit.cost))
    found, half_um = float(best.x[0]), float(best.x[1])
    gap_um = float(np.diff(np.sort(z_um)).max())
    if abs(found - float(z_um[value.argmax()])) > gap_um + half_um:
        raise FocusError(
            "the pictures have no sharpest plane between them; check that the drive "
            "moves and that the field shows tissue"
        )
    return Slab(found, half_um)


def _slab(z_um: F64, p: F64) -> F64:
    """Return the sharpness of a slab: middle, half thickness, depth, height, ground."""
    middle_um, half_um, depth_um, height, ground = p
    upper = np.arctan((z_um - middle_um + half_um) / depth_um)
    lower = np.arctan((z_um - middle_um - half_um) / depth_um)
    return np.asarray(
        ground + height * (upper - lower) / (2.0 * np.arctan(half_um / depth_um))
    )


def _band(image: F64, scale: Scale) -> F64:
    fine = ndimage.gaussian_filter(image, scale.fine_px, mode="reflect")
    coarse = ndimage.gaussian_filter(image, scale.coarse_px, mode="reflect")
    return np.asarray(fine - coarse)
