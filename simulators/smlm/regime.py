"""Movies as the instrument takes them: from glowing blobs to single blinks, in depth.

Nuclei with structured glow, loci that are blobs of many dyes, alone or in pairs, within
the depth of a section, stray dyes and hot pixels; every dye's place and light is known.
Its frames are fewer than those of a burst: what ends for good does so faster by
`RegimeRecipe.compression`, while a blink stays a blink.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr

from her2sr_proc.schema.camera import CameraMaps
from simulators.smlm.lives import Kinetics, light_of
from simulators.smlm.movie import CAMERA, expose
from simulators.smlm.scenes import Nucleus, glow
from simulators.smlm.sites import Dealing, Sites, place_nuclei, place_sites, scatter

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]

PUBLISHED_FRAMES = 5000
REACH = 4.5
"""Light is drawn to so many widths of a spot."""
BLOCK = 50
"""Frames that are drawn at once."""
STRAY = -1
"""The locus of a dye that belongs to none."""


@dataclass(frozen=True, slots=True)
class RegimeRecipe:
    """One kind of movie; everything that chance decides follows from a seed."""

    name: str
    sigma_px: float
    """Of a spot in focus."""
    frames: int = 1000
    side_px: int = 256
    pixel_nm: float = 130.0
    focal_depth_um: float = 0.38
    """A spot's width grows by sqrt(1 + (z / this)^2): 2.7 px at 1.5 um."""
    depth_um: float = 1.5
    """Loci lie so far above or below focus at most."""
    blob_nm: float = 85.0
    """Standard deviation of a locus' dyes, each axis."""
    dyes: float = 60.0
    """Of a locus, on average."""
    label_sd: float = 0.25
    """Of the logarithm of a locus' number of dyes."""
    photons: tuple[float, float, float] = (350.0, 150.0, 600.0)
    """Of a blink that fills a frame, photo-electrons: mean, least, most."""
    background: tuple[float, float] = (100.0, 450.0)
    distances_nm: tuple[float, ...] = (0, 0, 0, 0, 0, 150, 150, 250, 250, 400, 400)
    """Of each nucleus' sites; 0: a single locus."""
    apart_um: float = 1.3
    empty: float = 0.2
    """Fraction of nuclei without any locus."""
    strays_um2: float = 0.02
    """Single dyes off target in a nucleus."""
    hot: float = 1e-4
    """Fraction of pixels that are hot; half of them flicker."""
    hot_e: tuple[float, float] = (100.0, 1500.0)
    margin_px: float = 6.0
    kinetics: Kinetics = field(default_factory=Kinetics)

    @property
    def compression(self) -> float:
        """Published frames for one of this movie's."""
        return PUBLISHED_FRAMES / self.frames

    def width_px(self, z_um: F64) -> F64:
        """Return the width of a spot at a depth."""
        grown = np.sqrt(1.0 + (z_um / self.focal_depth_um) ** 2)
        return np.asarray(self.sigma_px * grown)


SPARSE = Kinetics(off_frames=90.0, life_frames=3500.0, bright_shape=1.7)
"""Dyes that leave the bright state for good and blink rarely enough to be seen alone;
the maximum of a movie falls by a fifth more than that of the real stack."""
RECIPES: dict[str, RegimeRecipe] = {
    recipe.name: recipe
    for recipe in (
        RegimeRecipe(name="regime_488", sigma_px=0.61, kinetics=SPARSE),
        RegimeRecipe(name="regime_561", sigma_px=0.71, kinetics=SPARSE),
        RegimeRecipe(name="regime_slow", sigma_px=0.66),
    )
}
"""`regime_slow` has the dyes of the simulated microscope, which stay crowded."""


@dataclass(frozen=True, slots=True)
class DyeTruth:
    """Every dye of a movie; arrays of shape (dyes,) but for the light."""

    x_px: F64
    y_px: F64
    z_um: F64
    locus: I64
    """Index of the locus; `STRAY`: none."""
    light: F32
    """Photo-electrons, shape (dyes, frames)."""


@dataclass(frozen=True, slots=True)
class RegimeMovie:
    """A movie that is drawn when asked for, and what is in it."""

    recipe: RegimeRecipe
    seed: int
    nuclei: list[Nucleus]
    sites: Sites
    locus_site: I64
    locus_um: F64
    """x, y, z of every locus; shape (loci, 3)."""
    dyes: DyeTruth
    background: F64
    """Photo-electrons a pixel, shape (side, side)."""
    hot_e: F64
    """Extra photo-electrons of hot pixels; negative: of one that flickers."""
    camera: CameraMaps

    def lit(self) -> I64:
        """Return how many dyes of every locus are lit, shape (loci, frames).

        A dye is lit in a frame of which it fills a quarter at least.
        """
        return self._per_locus(self.is_lit()).astype(np.int64)

    def purity(self) -> F64:
        """Return the share of a locus' brightest dye in its light; nan where dark."""
        light, locus = self.dyes.light, self.dyes.locus
        brightest = np.zeros((len(self.locus_um), light.shape[1]), np.float32)
        mine = locus >= 0
        np.maximum.at(brightest, locus[mine], light[mine])
        total = self._per_locus(light)
        with np.errstate(invalid="ignore"):
            return np.asarray(brightest / np.where(total > 0, total, np.nan))

    def is_lit(self) -> npt.NDArray[np.bool_]:
        """Return whether each dye is lit in each frame, shape (dyes, frames)."""
        full = self.dyes.light.max(axis=1, keepdims=True)
        return np.asarray(self.dyes.light > 0.25 * full / self.recipe.kinetics.excess)

    def _per_locus(self, values: F32 | npt.NDArray[np.bool_]) -> F32:
        found = np.zeros((len(self.locus_um), values.shape[1]), np.float32)
        mine = self.dyes.locus >= 0
        np.add.at(found, self.dyes.locus[mine], values[mine])
        return found

    def light(self) -> Iterator[tuple[int, F64]]:
        """Yield first frame and photo-electrons without noise or hot pixels."""
        spots = _spots(self.recipe, self.dyes)
        shape = self.background.shape
        for first in range(0, self.recipe.frames, BLOCK):
            light = self.dyes.light[:, first : first + BLOCK]
            mean = np.asarray(spots @ light).T.reshape(-1, *shape)
            yield first, mean + self.background

    def blocks(self) -> Iterator[tuple[int, U16]]:
        """Yield first frame and counts, shape (frames, side, side); always the same."""
        rng = np.random.default_rng([self.seed, 1])
        model = CAMERA.model_copy(update={"pixel_nm": self.recipe.pixel_nm})
        for first, mean in self.light():
            flickers = (self.hot_e < 0) & (rng.random(mean.shape) < 0.5)
            hot = np.where(flickers, 0.0, np.abs(self.hot_e))
            yield first, expose(mean + hot, model, rng)

    def adu(self) -> U16:
        """Return the whole movie."""
        return np.concatenate([block for _, block in self.blocks()])


def make(recipe: RegimeRecipe, *, seed: int) -> RegimeMovie:
    """Return the movie of a recipe and a seed."""
    rng = np.random.default_rng([seed, 0])
    nuclei = place_nuclei(recipe.side_px, recipe.pixel_nm, recipe.margin_px, rng)
    dealing = Dealing(
        recipe.distances_nm, recipe.apart_um, recipe.depth_um, recipe.empty
    )
    sites = place_sites(nuclei, pixel_nm=recipe.pixel_nm, dealing=dealing, rng=rng)
    locus_site, locus_um = sites.loci()
    shape = (recipe.side_px, recipe.side_px)
    is_hot = rng.random(shape) < recipe.hot
    hot_e = is_hot * rng.uniform(*recipe.hot_e, shape) * rng.choice([-1, 1], shape)
    model = CAMERA.model_copy(update={"pixel_nm": recipe.pixel_nm})
    return RegimeMovie(
        recipe=recipe,
        seed=seed,
        nuclei=nuclei,
        sites=sites,
        locus_site=locus_site,
        locus_um=locus_um,
        dyes=_dyes(recipe, nuclei, locus_um, rng),
        background=glow(recipe.side_px, recipe.background, nuclei, rng),
        hot_e=hot_e,
        camera=CameraMaps.uniform(model, shape),
    )


def _dyes(
    recipe: RegimeRecipe,
    nuclei: list[Nucleus],
    locus_um: F64,
    rng: np.random.Generator,
) -> DyeTruth:
    label = rng.lognormal(-0.5 * recipe.label_sd**2, recipe.label_sd, len(locus_um))
    count = rng.poisson(recipe.dyes * label)
    locus = np.repeat(np.arange(len(locus_um)), count)
    blob_um = recipe.blob_nm / 1000.0
    place = locus_um[locus] + rng.normal(0.0, blob_um, (locus.size, 3))
    um = recipe.pixel_nm / 1000.0
    strays = _strays(recipe, nuclei, rng)
    places = np.concatenate([place / [um, um, 1.0], strays])
    owner = np.concatenate([locus, np.full(len(strays), STRAY)])
    light = light_of(
        recipe.kinetics,
        dyes=len(places),
        frames=recipe.frames,
        compression=recipe.compression,
        photons=recipe.photons,
        rng=rng,
    )
    x, y, z = places.T
    return DyeTruth(x, y, z, locus=owner, light=light)


def _strays(
    recipe: RegimeRecipe, nuclei: list[Nucleus], rng: np.random.Generator
) -> F64:
    um = recipe.pixel_nm / 1000.0
    parts = [np.zeros((0, 3))]
    for nucleus in nuclei:
        area = np.pi * nucleus.a_px * nucleus.b_px * um * um
        points = scatter(nucleus, int(rng.poisson(recipe.strays_um2 * area)), rng)
        depth = rng.uniform(-recipe.depth_um, recipe.depth_um, len(points))
        parts.append(np.column_stack([points, depth]))
    return np.concatenate(parts)


def _spots(recipe: RegimeRecipe, dyes: DyeTruth) -> sparse.csr_array:
    """Return how each dye's light falls on pixels, shape (pixels, dyes)."""
    side = recipe.side_px
    width = recipe.width_px(dyes.z_um)
    rows, columns, shares = [], [], []
    for n, (y, x, s) in enumerate(zip(dyes.y_px, dyes.x_px, width, strict=True)):
        i, down = _share(y, s, side)
        j, across = _share(x, s, side)
        rows.append((i[:, None] * side + j).ravel())
        columns.append(np.full(i.size * j.size, n))
        shares.append(np.outer(down, across).ravel())
    entries = np.concatenate(shares).astype(np.float32)
    where = np.concatenate(rows), np.concatenate(columns)
    shape = (side * side, len(width))
    return sparse.csr_array(sparse.coo_array((entries, where), shape=shape))


def _share(centre: float, sigma: float, side: int) -> tuple[I64, F64]:
    """Return the pixels of an axis that see a spot, and what falls on each."""
    low = max(int(np.rint(centre - REACH * sigma)), 0)
    high = min(int(np.rint(centre + REACH * sigma)) + 1, side)
    edges = (np.arange(low, high + 1) - 0.5 - centre) / sigma
    return np.arange(low, high), np.diff(ndtr(edges))
