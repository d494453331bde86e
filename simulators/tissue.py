"""What glows without being a signal: glass, tissue, loose probe, lipofuscin, DAPI.

Each is a map over a view, in photons per published frame at full excitation, with its
own excitation by the lasers and its own bleaching. Textures are functions of the place
on the slide, so that neighbouring fields fit together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from simulators._kernels import glow
from simulators._kernels import image as images
from simulators.cells import Nucleus
from simulators.optics import DAPI_NM, chromatic_um
from simulators.options import SimulationOptions
from simulators.photophysics import GREEN, RED, SPECIES
from simulators.specimen import Specimen, Tile

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

BLUR_UM = 0.3
"""Widefield blur of what fills the section, in focus."""
SPREAD = 0.31
"""More blur per defocus: how fast a dye's spot widens far from focus."""
BLUR_MOST_UM = 4.0


@dataclass(frozen=True, slots=True)
class Glow:
    """One source of background. Frames are published frames at full excitation."""

    photons: tuple[float, float, float, float]
    """By laser, per pixel and published frame where the map is 1."""
    fading: tuple[float, float, float, float]
    """How much a laser bleaches it, relative to its own."""
    frames: float
    """Its light falls as (1 + dose / frames) to the power of -shape."""
    shape: float


def _of_dye(species: int, photons: float) -> Glow:
    """Return the glow of a dye that stuck anywhere: it fades as its signals do."""
    dye = SPECIES[species]
    blue, green, yellow, red = (photons * e for e in dye.excitation)
    return Glow(
        photons=(blue, green, yellow, red),
        fading=dye.excitation,
        frames=dye.bright_frames,
        shape=dye.bright_shape,
    )


_GLASS = Glow(
    photons=(60.0, 45.0, 30.0, 15.0), fading=(0.0, 0.0, 0.0, 0.0), frames=1.0, shape=1.0
)
_TISSUE = Glow(
    photons=(260.0, 260.0, 130.0, 50.0),
    fading=(1.0, 1.0, 0.5, 0.2),
    frames=2500.0,
    shape=0.7,
)
_LIPOFUSCIN = Glow(
    photons=(1.0, 1.0, 0.8, 0.6),  # the map holds the photons
    fading=(1.0, 0.6, 0.3, 0.1),
    frames=20000.0,
    shape=1.0,
)
_DAPI = Glow(
    photons=(520.0, 0.6, 0.0, 0.0),  # per um of nucleus
    fading=(1.0, 0.02, 0.0, 0.0),
    frames=6000.0,
    shape=1.0,
)
GLOWS = (
    _GLASS,
    _TISSUE,
    _of_dye(GREEN, 180.0),
    _of_dye(RED, 180.0),
    _LIPOFUSCIN,
    _DAPI,
)
"""By number: the names below."""
GLASS, TISSUE, GREEN_HAZE, RED_HAZE, LIPOFUSCIN, DAPI = range(len(GLOWS))
LIPOFUSCIN_PHOTONS = (4000.0, 14000.0)
"""In a granule, per published frame of 488 light."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels of a view on the slide."""

    left_um: float
    """Slide x of pixel (0, 0)."""
    top_um: float
    height: int
    width: int
    pixel_um: float
    defocus_um: float = 0.0
    """Distance of the plane in focus from the middle of the section."""

    @property
    def centre_um(self) -> tuple[float, float]:
        """Slide point under the middle of the frame: x, y."""
        half = 0.5 * self.pixel_um
        return (
            self.left_um + half * (self.width - 1),
            self.top_um + half * (self.height - 1),
        )

    @property
    def blur_px(self) -> float:
        """Width of the blur of what fills the section."""
        wide = min(math.hypot(BLUR_UM, SPREAD * self.defocus_um), BLUR_MOST_UM)
        return wide / self.pixel_um


def maps(
    specimen: Specimen, tiles: Iterable[Tile], grid: Grid, options: SimulationOptions
) -> F32:
    """Return one map a glow, shape (glows, height, width)."""
    found = np.zeros((len(GLOWS), grid.height, grid.width), np.float32)
    tiles = list(tiles)
    sample, seed = options.sample, options.seed
    kind = specimen.kind_at(*grid.centre_um)
    nuclei = [n for t in tiles for n in t.nuclei]
    depth = _thickness(nuclei, grid, sample.section_um)
    chromatin = 0.75 + 0.5 * _noise(grid, 0.9, seed + 7)
    dapi = ndimage.gaussian_filter(depth[1] * chromatin, grid.blur_px)
    dapi *= options.sample.is_dapi_stained
    away = chromatic_um(options.optics, DAPI_NM)
    shift = away[1] / grid.pixel_um, away[0] / grid.pixel_um
    found[DAPI] = ndimage.shift(dapi, shift, order=1, mode="nearest")
    inside = ndimage.gaussian_filter(depth[0], grid.blur_px)
    found[GLASS] = 1.0
    tissue = ndimage.gaussian_filter(_tissue(grid, seed), grid.blur_px)
    found[TISSUE] = sample.autofluorescence * (tissue + 0.05 * inside)
    for layer, species in ((GREEN_HAZE, GREEN), (RED_HAZE, RED)):
        grain = _grains(grid, seed + 101 * (species + 1))
        haze = sample.haze * kind.haze
        found[layer] = haze * grain * (0.7 + 0.2 * inside)
    _add_granules(found[LIPOFUSCIN], tiles, grid, options)
    return found


def _noise(
    grid: Grid, scale_um: float, seed: int, turn_rad: float = 0.5, stretch: float = 1.0
) -> F32:
    """Return smooth noise in 0..1 with features of a size, stretched along a turn.

    The lattice is turned out of the axes of the frame, where an eye would find it.
    """
    out = np.zeros((grid.height, grid.width), np.float32)
    cos, sin = math.cos(turn_rad) / scale_um, math.sin(turn_rad) / scale_um
    step_x = (cos * grid.pixel_um / stretch, -sin * grid.pixel_um)
    step_y = (sin * grid.pixel_um / stretch, cos * grid.pixel_um)
    start = (
        (cos * grid.left_um + sin * grid.top_um) / stretch,
        cos * grid.top_um - sin * grid.left_um,
    )
    glow.add_noise(out, start, step_x, step_y, np.uint64(seed % 2**63), 1.0)
    return out


def _tissue(grid: Grid, seed: int) -> F32:
    """Return cytoplasm and fibres, about 1 on average."""
    broad, fine = _noise(grid, 9.0, seed + 1), _noise(grid, 1.4, seed + 2)
    smooth = 0.4 + 0.5 * broad + 0.7 * fine
    turn = seed % 628 / 100.0
    strands = _noise(grid, 1.1, seed + 3, turn, stretch=9.0)
    patches = _noise(grid, 23.0, seed + 4)
    ridge = np.clip(1.0 - np.abs(strands - 0.5) * 9.0, 0.0, 1.0)
    fibres = ridge * np.clip((patches - 0.68) * 5.0, 0.0, 1.0)
    return np.asarray(smooth + 0.5 * fibres, np.float32)


def _grains(grid: Grid, seed: int) -> F32:
    """Return a granular texture, 1 on average: probe that stuck anywhere."""
    fine = np.ones((grid.height, grid.width), np.float32)
    for part, turn in enumerate((0.3, 1.1, 2.3)):
        fine *= 0.4 + _noise(grid, 0.9 + 0.13 * part, seed + part, turn)
    return np.asarray(0.4 + 0.82 * fine, np.float32)


def _thickness(nuclei: Iterable[Nucleus], grid: Grid, section_um: float) -> F32:
    """Return um of nucleus in the section, plain and weighted by stain."""
    depth = np.zeros((2, grid.height, grid.width), np.float32)
    for nucleus in nuclei:
        box, inside = cut_of(nucleus, grid, section_um)
        depth[0][box] += inside
        depth[1][box] += inside * np.float32(nucleus.stain)
    return depth


def cut_of(
    nucleus: Nucleus, grid: Grid, section_um: float
) -> tuple[tuple[slice, slice], F32]:
    """Return where a nucleus is in the frame, and how thick it is there."""
    pixel, reach = grid.pixel_um, max(nucleus.a_um, nucleus.b_um)
    column = (nucleus.x_um - grid.left_um) / pixel
    row = (nucleus.y_um - grid.top_um) / pixel
    span = reach / pixel + 1.0
    columns = np.arange(max(0, int(column - span)), min(grid.width, int(column + span)))
    rows = np.arange(max(0, int(row - span)), min(grid.height, int(row + span)))
    if not (columns.size and rows.size):
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), np.float32)
    dx = (columns - column)[None, :] * pixel
    dy = (rows - row)[:, None] * pixel
    cos, sin = np.cos(nucleus.angle_rad), np.sin(nucleus.angle_rad)
    u, v = (dx * cos + dy * sin) / nucleus.a_um, (dy * cos - dx * sin) / nucleus.b_um
    half = nucleus.c_um * np.sqrt(np.clip(1.0 - u * u - v * v, 0.0, None))
    top = np.minimum(nucleus.z_um + half, section_um)
    inside = np.clip(top - np.maximum(nucleus.z_um - half, 0.0), 0.0, None)
    box = (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
    return box, inside.astype(np.float32)


def _add_granules(
    out: F32, tiles: Iterable[Tile], grid: Grid, options: SimulationOptions
) -> None:
    """Add lipofuscin: a few cells carry granules beside their nucleus."""
    weights = np.zeros((2, 256))
    for tile in tiles:
        key = np.array([options.seed, (2 << 32) + tile.number], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        for nucleus in tile.nuclei:
            if rng.random() > 0.07:
                continue
            for _ in range(int(rng.integers(2, 6))):
                turn, away = (
                    nucleus.angle_rad + rng.normal(0, 0.4),
                    rng.uniform(1.08, 1.3),
                )
                x = nucleus.x_um + nucleus.a_um * away * np.cos(turn)
                y = nucleus.y_um + nucleus.a_um * away * np.sin(turn)
                row = (y - grid.top_um) / grid.pixel_um
                column = (x - grid.left_um) / grid.pixel_um
                radius = rng.uniform(0.22, 0.5) / grid.pixel_um
                sigma = math.hypot(radius, grid.blur_px)
                light = rng.uniform(*LIPOFUSCIN_PHOTONS)
                images.add_spot(out, row, column, sigma, light, weights)
