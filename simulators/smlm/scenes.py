"""Where emitters lie and what glows beneath them: nuclei, loci, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from simulators.smlm.recipe import Recipe

F64 = npt.NDArray[np.float64]

NUCLEUS_UM = (2.6, 3.8)
"""Shortest and longest semi-axis of a nucleus."""
RIM_PX = 2.0
"""The rim of a nucleus is blurred by so much."""
GRAIN_PX = 6.0
"""Scale of the chromatin's texture."""
GRAIN = 0.15
"""Standard deviation of the texture, relative to the glow."""
GAP_UM = 0.4
"""Between two nuclei, at least."""
TRIES = 400


@dataclass(frozen=True, slots=True)
class Blinks:
    """Every blink of a movie, in order of frame."""

    frame: npt.NDArray[np.int64]
    """Shape (blinks,)."""
    x_px: F64
    y_px: F64
    photons: F64

    def until(self, frame: int) -> Blinks:
        """Return the blinks before a frame."""
        end = int(np.searchsorted(self.frame, frame))
        return Blinks(
            self.frame[:end], self.x_px[:end], self.y_px[:end], self.photons[:end]
        )


@dataclass(frozen=True, slots=True)
class Nucleus:
    """An ellipse, in pixels."""

    x_px: float
    y_px: float
    a_px: float
    b_px: float
    angle_rad: float

    def depth(self, x_px: F64, y_px: F64) -> F64:
        """Return how far outside points are: 0 in the middle, 1 on the rim.

        Any shape, that of the places; above 1 they are outside it.
        """
        dx, dy = x_px - self.x_px, y_px - self.y_px
        along = dx * np.cos(self.angle_rad) + dy * np.sin(self.angle_rad)
        across = dy * np.cos(self.angle_rad) - dx * np.sin(self.angle_rad)
        return np.asarray(np.hypot(along / self.a_px, across / self.b_px))


def everywhere(recipe: Recipe, rng: np.random.Generator) -> tuple[Blinks, F64]:
    """Return blinks at random places and a flat background."""
    counts = rng.poisson(recipe.density_um2 * recipe.area_um2, recipe.frames)
    frame = np.repeat(np.arange(recipe.frames), counts)
    low, high = recipe.margin_px, recipe.side_px - 1 - recipe.margin_px
    x, y = rng.uniform(low, high, (2, frame.size))
    background = np.full((recipe.side_px, recipe.side_px), recipe.background[0])
    return Blinks(frame, x, y, brightness(recipe, frame.size, rng)), background


def in_nuclei(recipe: Recipe, rng: np.random.Generator) -> tuple[Blinks, F64]:
    """Return blinks of loci in nuclei, and the glow of the nuclei."""
    nuclei = _nuclei(recipe, rng)
    places = np.concatenate([_loci(recipe, nucleus, rng) for nucleus in nuclei])
    is_on = rng.random((recipe.frames, len(places))) < recipe.on
    frame, locus = np.nonzero(is_on)
    spread = recipe.locus_sd_nm / recipe.pixel_nm
    where = places[locus] + rng.normal(0.0, spread, (locus.size, 2))
    light = brightness(recipe, locus.size, rng)
    ground = glow(recipe.side_px, recipe.background, nuclei, rng)
    return Blinks(frame, where[:, 0], where[:, 1], light), ground


def brightness(recipe: Recipe, blinks: int, rng: np.random.Generator) -> F64:
    """Return log-normal photons of the recipe's mean."""
    sd = recipe.photons_sd
    return rng.lognormal(np.log(recipe.photons) - sd * sd / 2.0, sd, blinks)


def _nuclei(recipe: Recipe, rng: np.random.Generator) -> list[Nucleus]:
    """Return ellipses that do not touch, as many as find room."""
    found: list[Nucleus] = []
    um = 1000.0 / recipe.pixel_nm
    for _ in range(TRIES):
        a, b = np.sort(rng.uniform(*NUCLEUS_UM, 2))[::-1] * um
        low, high = recipe.margin_px + a, recipe.side_px - 1 - recipe.margin_px - a
        x, y = rng.uniform(low, high, 2)
        apart = (a + other.a_px + GAP_UM * um for other in found)
        far = (np.hypot(x - other.x_px, y - other.y_px) for other in found)
        if all(f > d for f, d in zip(far, apart, strict=True)):
            found.append(Nucleus(x, y, a, b, rng.uniform(0.0, np.pi)))
    return found


def _loci(recipe: Recipe, nucleus: Nucleus, rng: np.random.Generator) -> F64:
    """Return x, y of the loci of a nucleus; shape (loci, 2)."""
    angle = rng.uniform(0.0, 2.0 * np.pi, recipe.loci)
    reach = 0.9 * np.sqrt(rng.random(recipe.loci))
    along = nucleus.a_px * reach * np.cos(angle)
    across = nucleus.b_px * reach * np.sin(angle)
    c, s = np.cos(nucleus.angle_rad), np.sin(nucleus.angle_rad)
    x = nucleus.x_px + along * c - across * s
    return np.column_stack([x, nucleus.y_px + along * s + across * c])


def glow(
    side_px: int,
    background: tuple[float, float],
    nuclei: list[Nucleus],
    rng: np.random.Generator,
) -> F64:
    """Return the glow of nuclei, photo-electrons a pixel, shape (side, side)."""
    shape = (side_px, side_px)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    inside = np.zeros(shape)
    for nucleus in nuclei:
        strength = rng.uniform(0.5, 1.0)
        inside = np.maximum(inside, strength * (nucleus.depth(columns, rows) <= 1.0))
    grain = gaussian_filter(rng.normal(size=shape), GRAIN_PX)
    grain *= GRAIN / grain.std()
    least, most = background
    light = least + (most - least) * gaussian_filter(inside, RIM_PX) * (1.0 + grain)
    return np.asarray(np.clip(light, least, most))
