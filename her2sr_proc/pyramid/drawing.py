"""Tiles of any level, each drawn from the localizations themselves.

A level is what `rendering.render` draws at that pixel size, cut to tiles: nothing is
made by shrinking a larger image. Arrays only; no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels import raster
from her2sr_proc.pyramid.points import Rows, column_of, row_of
from her2sr_proc.pyramid.shelf import Shelf
from her2sr_proc.rendering import draw_points, smooth
from her2sr_proc.schema.levels import Box, Levels, Tile
from her2sr_proc.schema.params import RenderParams

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


class Drawing:
    """A picture that is drawn tile by tile. Threads may share it."""

    def __init__(self, levels: Levels, shelf: Shelf, params: RenderParams) -> None:
        self.levels = levels
        self._shelf = shelf
        self._params = params
        self._margin_px = 1 if params.method == "ash" else 0
        is_wide = params.method == "gaussian"
        self._reach_nm = raster.REACH * shelf.widest_nm if is_wide else 0.0

    @property
    def cell_nm(self) -> float:
        """Side of the cells by which the localizations are sorted."""
        return cell_nm(self.levels)

    def tiles(self, level: int) -> list[Tile]:
        """Return the tiles that may hold light, neighbours near each other.

        Tiles far from every localization are not among them: they cost nothing.
        """
        around_px = self._reach_px(level) + self.levels.overlap_px
        ring = math.ceil(around_px / self.levels.tile_px)
        near = np.unique(self._places() >> level, axis=0)
        steps = np.arange(-ring, ring + 1)
        for axis in (0, 1):
            shift = np.zeros((steps.size, 2), np.int64)
            shift[:, axis] = steps
            near = np.unique((near[:, None] + shift).reshape(-1, 2), axis=0)
        return self._in_order(level, near)

    def bright_tiles(self) -> list[Tile]:
        """Return the tiles of the finest level in which a localization stands."""
        return self._in_order(0, self._places())

    def _places(self) -> I64:
        """Return row and column of the cells that hold a localization."""
        cells = self._shelf.cells
        return np.column_stack([row_of(cells), column_of(cells)])

    def _in_order(self, level: int, places: I64) -> list[Tile]:
        is_inside = (places >= 0) & (places < np.array(self.levels.grid_at(level)))
        places = places[is_inside.all(axis=1)]
        order = np.argsort(_interleaved(places), kind="stable")
        return [Tile(level, int(r), int(c)) for r, c in places[order]]

    def draw(self, tile: Tile) -> F32 | None:
        """Return the density in a tile with its overlap; None where it is dark.

        Returns
        -------
        float32 array, shape `Levels.box`
            Localizations a square micrometre, >= 0: the same measure at every level.
        """
        box, margin = self.levels.box(tile), self._margin_px
        wide = Box(
            box.top - margin, box.left - margin, box.bottom + margin, box.right + margin
        )
        image = np.zeros(wide.shape, np.float32)
        for rows in self._rows_near(tile.level, wide):
            self._add(rows, tile.level, wide, image)
        if not image.any():
            return None
        if margin:
            image = smooth(image)[margin:-margin, margin:-margin]
        pixel_um = self.levels.pixel_nm_at(tile.level) / 1000.0
        return np.ascontiguousarray(image / np.float32(pixel_um**2))

    def _add(self, rows: Rows, level: int, box: Box, image: F32) -> None:
        pixel_nm = self.levels.pixel_nm_at(level)
        # The picture's corner is the corner of pixel 0, whose centre is at 0.
        draw_points(
            rows.x_nm / pixel_nm - (0.5 + box.left),
            rows.y_nm / pixel_nm - (0.5 + box.top),
            rows.sigma_nm / pixel_nm,
            image,
            method=self._params.method,
        )

    def _rows_near(self, level: int, box: Box) -> Iterator[Rows]:
        pixel_nm = self.levels.pixel_nm_at(level)
        around = self._reach_px(level)
        sides = (
            (box.top - around) * pixel_nm,
            (box.left - around) * pixel_nm,
            (box.bottom + around) * pixel_nm,
            (box.right + around) * pixel_nm,
        )
        top, left, bottom, right = (math.floor(nm / self.cell_nm) for nm in sides)
        for number in self._shelf.touching(*sides):
            yield from self._shelf.take(number).within(
                range(max(top, 0), bottom + 1), range(max(left, 0), right + 1)
            )

    def _reach_px(self, level: int) -> float:
        """Return how far outside of a tile something may stand that shows in it."""
        return self._reach_nm / self.levels.pixel_nm_at(level) + self._margin_px + 1


def cell_nm(levels: Levels) -> float:
    """Return the side of a cell: a tile of the finest level."""
    return levels.tile_px * levels.pixel_nm


def _interleaved(places: I64) -> I64:
    """Return the Morton number of rows and columns below 2^24: near stays near."""
    number = np.zeros(len(places), np.int64)
    for bit in range(24):
        for axis in (0, 1):
            number |= ((places[:, axis] >> bit) & 1) << (2 * bit + 1 - axis)
    return number
