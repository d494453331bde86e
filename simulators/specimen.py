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


@dataclass(frozen=True, slots=True)
class Mount:
    """A section of one kind where it lies."""

    seed: int
    kind: Kind
    x_um: float
    y_um: float

    def is_invasive(self, x_um: float, y_um: float) -> bool:
        """Return whether a point lies in the tumour; the section's centre does."""
        if not self.kind.tumour:
            return False
        x, y = x_um - self.x_um, y_um - self.y_um
        phase = (self.seed % 1009) / 1009.0 * 2.0 * math.pi
        wave = math.sin(x / 170.0 + phase) * math.cos(y / 210.0 - phase)
        ripple = 0.4 * math.sin((x + 1.7 * y) / 61.0 + 3.0 * phase)
        centre = 2.0 * math.exp(-(x**2 + y**2) / 150.0**2)
        return wave + ripple + centre > -0.35


class Specimen:
    """A slide of one kind, or several sections side by side."""

    def __init__(self, options: SimulationOptions) -> None:
        self._mounts = [
            Mount(m.seed, KINDS[m.specimen], m.x_um, m.y_um) for m in options.mounts
        ] or [Mount(options.seed, KINDS[options.specimen], 0.0, 0.0)]
        self._section_um = options.sample.section_um
        self._tiles: dict[tuple[int, int], Tile] = {}

    def kind_at(self, x_um: float, y_um: float) -> Kind:
        """Return what the cells around a place carry."""
        return self._mount_at(x_um, y_um).kind

    def kind_of(self, tile: Tile) -> Kind:
        """Return what the cells of a tile carry."""
        row, column = divmod(tile.number, 2 * TILES)
        return self._mount_of(column - TILES, row - TILES).kind

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
        """Return whether a point lies in a tumour."""
        return self._mount_at(x_um, y_um).is_invasive(x_um, y_um)

    def _mount_at(self, x_um: float, y_um: float) -> Mount:
        return min(
            self._mounts, key=lambda m: (m.x_um - x_um) ** 2 + (m.y_um - y_um) ** 2
        )

    def _mount_of(self, i: int, j: int) -> Mount:
        """Return the section that a tile is of, as a whole."""
        return self._mount_at((i + 0.5) * TILE_X_UM, (j + 0.5) * TILE_Y_UM)

    def _grow(self, i: int, j: int) -> Tile:
        mount = self._mount_of(i, j)
        tissue = Tissue(mount.kind, self._section_um, mount.is_invasive)
        number = (j + TILES) * 2 * TILES + (i + TILES)
        key = np.array([mount.seed, number], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        nuclei = nuclei_of(tissue, (i, j), number * SITES * SITES, rng)
        parts = [loci_of(n, mount.kind, self._section_um, rng) for n in nuclei]
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
