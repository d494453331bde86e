"""Movies from recipes: emitters on pixels, shot noise, the camera; and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from her2sr_proc.schema.camera import CameraMaps, CameraModel
from simulators.smlm.recipe import Recipe
from simulators.smlm.scenes import Blinks, everywhere, in_nuclei

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

REACH = 6.0
"""Light is drawn to so many widths of a spot."""
CAMERA = CameraModel(offset_adu=100, e_per_adu=0.46, read_noise_e=1.6)


@dataclass(frozen=True, slots=True)
class Movie:
    """Frames and what is in them."""

    recipe: Recipe
    adu: U16
    """Shape (frames, side, side)."""
    truth: Blinks
    background: F64
    """Photo-electrons a pixel, shape (side, side)."""
    camera: CameraMaps


def make(recipe: Recipe, *, seed: int, frames: int | None = None) -> Movie:
    """Return the movie of a recipe and a seed, of so many frames or the recipe's."""
    rng = np.random.default_rng(seed)
    blinks, background = (everywhere if recipe.scene == "uniform" else in_nuclei)(
        recipe, rng
    )
    count = recipe.frames if frames is None else min(frames, recipe.frames)
    truth = blinks.until(count)
    model = CAMERA.model_copy(update={"pixel_nm": recipe.pixel_nm})
    camera = CameraMaps.uniform(model, background.shape)
    adu = np.empty((count, *background.shape), np.uint16)
    starts = np.searchsorted(truth.frame, np.arange(count + 1))
    for number, frame in enumerate(adu):
        mean = background.copy()
        own = slice(starts[number], starts[number + 1])
        add_spots(
            mean, truth.x_px[own], truth.y_px[own], truth.photons[own], recipe.sigma_px
        )
        frame[:] = expose(mean, model, rng)
    return Movie(recipe, adu, truth, background, camera)


def add_spots(mean: F64, x_px: F64, y_px: F64, photons: F64, sigma_px: float) -> None:
    """Add pixel-integrated Gaussians to an image, each within `REACH` widths.

    ``mean``: float64, shape (height, width), photo-electrons, added to in place; places
    and photo-electrons have shape (spots,). Parts outside the image are lost.
    """
    reach = int(np.ceil(REACH * sigma_px))
    offsets = np.arange(-reach, reach + 2) - 0.5
    shares = []
    for centre in (y_px, x_px):
        whole = np.rint(centre)
        edges = (offsets + (whole - centre)[:, None]) / sigma_px
        shares.append(np.diff(ndtr(edges), axis=1))
    for n, light in enumerate(photons):
        i, j = int(np.rint(y_px[n])) - reach, int(np.rint(x_px[n])) - reach
        rows = slice(max(i, 0), max(min(i + 2 * reach + 1, mean.shape[0]), 0))
        columns = slice(max(j, 0), max(min(j + 2 * reach + 1, mean.shape[1]), 0))
        down = shares[0][n, rows.start - i : rows.stop - i]
        across = shares[1][n, columns.start - j : columns.stop - j]
        mean[rows, columns] += light * np.outer(down, across)


def expose(mean: F64, camera: CameraModel, rng: np.random.Generator) -> U16:
    """Return the counts that a camera without electron multiplication gives."""
    electrons = rng.poisson(mean) + rng.normal(0.0, camera.read_noise_e, mean.shape)
    adu = np.rint(electrons / camera.e_per_adu + camera.offset_adu)
    return np.clip(adu, 0, camera.saturation_adu).astype(np.uint16)
