"""The slide: nuclei in a section, and the loci inside them.

Generated tile by tile from the seed, so that a slide of any size costs only what is
looked at, and a tile is the same whoever asks for it first. Knows no dye and no light.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulators.cells import PITCH_UM, ROW_UM, SITES, Nucleus, Tissue, nuclei_of
from simulators.kinds import KINDS, Kind
from simulators.loci import Loci, joined, loci_of
from simulators.options import SimulationOptions

TILE_X_UM = SITES * PITCH_UM
TILE_Y_UM = SITES * ROW_UM
TILES = 256
"""Tiles lie from -TILES to TILES - 1 in both directions; beyond is bare glass."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A patch of slide."""

    number: int
    nuclei: tuple[Nucleus, ...]
    loci: Loci


class Specimen:
    """A slide of one kind."""

    def __init__(self, options: SimulationOptions) -> None:
        self._seed = options.seed
        self._kind = KINDS[options.specimen]
        self._tissue = Tissue(self._kind, options.sample.section_um, self.is_invasive)
        self._tiles: dict[tuple[int, int], Tile] = {}

    @property
    def kind(self) -> Kind:
        """What the cells carry."""
        return self._kind

    def near(
        self, x_um: float, y_um: float, reach_um: tuple[float, float]
    ) -> list[Tile]:
        """Return the tiles that may hold something within ``reach_um`` (x, y)."""
        return [self.tile(i, j) for i, j in _indices(x_um, y_um, reach_um)]

    def tile(self, i: int, j: int) -> Tile:
        """Return the tile of column ``i`` and row ``j``, the same at every call."""
        if (i, j) not in self._tiles:
            self._tiles[i, j] = self._grow(i, j)
        return self._tiles[i, j]

    def seen(self) -> Iterator[Tile]:
        """Yield the tiles that were looked at so far, row by row."""
        for key in sorted(self._tiles, key=lambda ij: (ij[1], ij[0])):
            yield self._tiles[key]

    def is_invasive(self, x_um: float, y_um: float) -> bool:
        """Return whether a point lies in the tumour; the origin of the slide does."""
        if not self._kind.tumour:
            return False
        phase = (self._seed % 1009) / 1009.0 * 2.0 * math.pi
        wave = math.sin(x_um / 170.0 + phase) * math.cos(y_um / 210.0 - phase)
        ripple = 0.4 * math.sin((x_um + 1.7 * y_um) / 61.0 + 3.0 * phase)
        centre = 2.0 * math.exp(-(x_um**2 + y_um**2) / 150.0**2)
        return wave + ripple + centre > -0.35

    def _grow(self, i: int, j: int) -> Tile:
        number = (j + TILES) * 2 * TILES + (i + TILES)
        key = np.array([self._seed, number], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        nuclei = nuclei_of(self._tissue, (i, j), number * SITES * SITES, rng)
        section = self._tissue.section_um
        parts = [loci_of(n, self._kind, section, rng) for n in nuclei]
        return Tile(number, tuple(nuclei), joined(parts))


def _indices(
    x_um: float, y_um: float, reach_um: tuple[float, float]
) -> Iterator[tuple[int, int]]:
    margin = PITCH_UM  # a nucleus may reach this far out of its tile
    columns = _span(x_um, reach_um[0] + margin, TILE_X_UM)
    rows = _span(y_um, reach_um[1] + margin, TILE_Y_UM)
    for j in rows:
        for i in columns:
            yield i, j


def _span(centre_um: float, reach_um: float, size_um: float) -> range:
    first = math.floor((centre_um - reach_um) / size_um)
    last = math.floor((centre_um + reach_um) / size_um)
    return range(max(first, -TILES), min(last, TILES - 1) + 1)
