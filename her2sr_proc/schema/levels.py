"""Sizes of one picture at scales that halve, and how each is cut into tiles. Pure.

Level 0 is the finest. Every level begins at the same edges, not at the same pixel
centres: pixel (0, 0) of level n covers the first 2^n x 2^n pixels of level 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from her2sr_proc.errors import RequestError

WIDEST_PX = 2**24
"""Pixels are placed exactly by float32 viewers up to here: 335 mm at 20 nm."""


class Tile(NamedTuple):
    """One tile of a level, by its place in the grid."""

    level: int
    row: int
    column: int


class Box(NamedTuple):
    """Pixels of a level: from top and left up to, without, bottom and right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


class Tiling(NamedTuple):
    """How a format cuts a level."""

    tile_px: int
    overlap_px: int


@dataclass(frozen=True, slots=True)
class Levels:
    """A picture at ``count`` scales, the coarsest of which fits one tile.

    Its sides are whole pixels of the coarsest level, so that a level is exactly half
    as wide as the next finer one and no viewer has to round.
    """

    pixel_nm: float
    """Pixel of level 0."""
    height_px: int
    """Of level 0, as are all lengths without a level."""
    width_px: int
    count: int
    tile_px: int
    """What a tile adds to the picture, at any level."""
    overlap_px: int
    """What it shows of each neighbour beside that."""

    @classmethod
    def covering(
        cls, height_nm: float, width_nm: float, *, pixel_nm: float, tiling: Tiling
    ) -> Self:
        """Return the levels of a picture that covers at least that much.

        Raises `RequestError` when it would have more than `WIDEST_PX` pixels a side.
        """
        # Rounded first, so that 130 nm at 26 nm is 5 pixels and not 5.0000001, thus 6.
        height, width = (
            max(1, math.ceil(round(side_nm / pixel_nm, 6)))
            for side_nm in (height_nm, width_nm)
        )
        if max(height, width) > WIDEST_PX:
            raise RequestError(
                f"{height} x {width} pixels of {pixel_nm:g} nm are more than viewers "
                f"can place exactly ({WIDEST_PX} a side); choose a larger --pixel-nm"
            )
        halvings = 0
        while max(height, width) > tiling.tile_px << halvings:
            halvings += 1
        height, width = (-(-side >> halvings) << halvings for side in (height, width))
        return cls(
            pixel_nm, height, width, halvings + 1, tiling.tile_px, tiling.overlap_px
        )

    def pixel_nm_at(self, level: int) -> float:
        """Return the pixel of a level."""
        return self.pixel_nm * (1 << level)

    def shape_at(self, level: int) -> tuple[int, int]:
        """Return height and width of a level in its own pixels."""
        return self.height_px >> level, self.width_px >> level

    def grid_at(self, level: int) -> tuple[int, int]:
        """Return rows and columns of tiles of a level."""
        height, width = self.shape_at(level)
        return -(-height // self.tile_px), -(-width // self.tile_px)

    def core(self, tile: Tile) -> Box:
        """Return the pixels that a tile adds, in pixels of its level."""
        height, width = self.shape_at(tile.level)
        top, left = tile.row * self.tile_px, tile.column * self.tile_px
        return Box(
            top, left, min(top + self.tile_px, height), min(left + self.tile_px, width)
        )

    def box(self, tile: Tile) -> Box:
        """Return the pixels that a tile shows: its own, and the overlap inside."""
        height, width = self.shape_at(tile.level)
        core, over = self.core(tile), self.overlap_px
        return Box(
            max(core.top - over, 0),
            max(core.left - over, 0),
            min(core.bottom + over, height),
            min(core.right + over, width),
        )

    def __iter__(self) -> Iterator[int]:
        """Yield the levels from the finest on."""
        yield from range(self.count)
