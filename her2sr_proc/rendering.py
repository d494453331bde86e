"""From a table of localizations to a super-resolution image of the whole field.

Knows tables and arrays; no files. The image covers the frame from edge to edge: its
first pixel begins where the camera's first pixel begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from her2sr_proc.kernels import raster
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import Localizations

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Method = Literal["gaussian", "histogram", "ash"]

SHIFTED = np.array([0.25, 0.5, 0.25])
"""Weights of a pixel and its neighbours in the mean of two histograms whose bins are
two pixels wide and half a bin apart. Source: Scott 1985, doi:10.1214/aos/1176349654;
as ThunderSTORM's default of two lateral shifts."""


def rendered_shape(
    height_px: int, width_px: int, pixel_nm: float, params: RenderParams
) -> tuple[int, int]:
    """Return height and width of the image of a frame of that size."""
    zoom = pixel_nm / params.pixel_nm
    # Rounded first, so that 130 nm at 26 nm is 5 pixels and not 5.0000001, thus 6.
    return (
        math.ceil(round(height_px * zoom, 6)),
        math.ceil(round(width_px * zoom, 6)),
    )


def is_drawn(
    table: Localizations,
    *,
    height_px: int,
    width_px: int,
    pixel_nm: float,
    params: RenderParams,
) -> npt.NDArray[np.bool_]:
    """Return which rows stand in the image: certain enough, and inside the frame."""
    uncertainty, y, x = (
        table[name].astype(np.float64) for name in ("uncertainty_nm", "y_nm", "x_nm")
    )
    is_inside = (y >= -0.5 * pixel_nm) & (y < (height_px - 0.5) * pixel_nm)
    is_inside &= (x >= -0.5 * pixel_nm) & (x < (width_px - 0.5) * pixel_nm)
    return is_inside & (uncertainty <= params.maximum_uncertainty_nm)


def render(
    table: Localizations,
    *,
    height_px: int,
    width_px: int,
    pixel_nm: float,
    params: RenderParams,
) -> F32:
    """Return the density of localizations, one unit of volume each.

    Parameters
    ----------
    table : Localizations
        Rows of ``uncertainty_nm`` above ``params.maximum_uncertainty_nm`` are left
        out, as are those without a finite one.
    height_px, width_px : int
        Size of the camera's frame.
    pixel_nm : float
        The camera's pixel in the sample.
    params : RenderParams
        Pixel size of the image, method, and the narrowest Gaussian drawn.

    Returns
    -------
    float32 array, shape `rendered_shape`
        Localizations a pixel.
    """
    shape = rendered_shape(height_px, width_px, pixel_nm, params)
    return render_parts([table], shape, pixel_nm=pixel_nm, params=params)


def render_parts(
    parts: Iterable[Localizations],
    shape: tuple[int, int],
    *,
    pixel_nm: float,
    params: RenderParams,
) -> F32:
    """Return the same of a table in parts, bit for bit; ``shape``: `rendered_shape`.

    Of a part ``x_nm``, ``y_nm`` and ``uncertainty_nm`` are wanted.
    """
    image = np.zeros(shape, np.float32)
    for part in parts:
        _draw(part, image, pixel_nm, params)
    return smooth(image) if params.method == "ash" else image


def _draw(
    table: Localizations, image: F32, pixel_nm: float, params: RenderParams
) -> None:
    uncertainty = table["uncertainty_nm"].astype(np.float64)
    chosen = uncertainty <= params.maximum_uncertainty_nm
    to_px = 1.0 / params.pixel_nm
    shift = (0.5 * pixel_nm - 0.5 * params.pixel_nm) * to_px
    x = table["x_nm"][chosen].astype(np.float64) * to_px + shift
    y = table["y_nm"][chosen].astype(np.float64) * to_px + shift
    width = drawn_sigma_nm(uncertainty[chosen], params)
    draw_points(x, y, width * to_px, image, method=params.method)


def drawn_sigma_nm(uncertainty_nm: F64, params: RenderParams) -> F64:
    """Return how wide each localization is drawn.

    In nm; shape (localizations,).
    """
    if params.fixed_sigma_nm is not None:
        return np.full_like(uncertainty_nm, params.fixed_sigma_nm)
    return np.asarray(np.maximum(uncertainty_nm, params.minimum_sigma_nm))


def draw_points(
    x_px: F64, y_px: F64, sigma_px: F64, image: F32, *, method: Method
) -> None:
    """Add points to an image, as Gaussians of volume 1 or as counts.

    Parameters
    ----------
    x_px, y_px, sigma_px : float64 array, shape (points,)
        Pixels of ``image``; (0, 0) is the centre of its first.
    image : float32 array, shape (height, width)
        Added to; of ``ash`` the counts, which `smooth` then spreads.
    method : str
        As `RenderParams.method`.
    """
    if method == "gaussian":
        raster.draw_gaussians(x_px, y_px, sigma_px, image)
    else:
        raster.draw_counts(x_px, y_px, image)


def smooth(counts: F32) -> F32:
    """Return the averaged shifted histogram of counts a pixel.

    ``counts``: shape (height, width), localizations a pixel; so is what is returned.
    """
    for axis in (0, 1):
        counts = correlate1d(counts, SHIFTED, axis=axis, mode="constant")
    return counts
