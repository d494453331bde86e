"""All tiles of all levels, on a few threads; and the contrast that fits them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_proc.pyramid.drawing import Drawing
from her2sr_proc.schema.levels import Tile

F32 = npt.NDArray[np.float32]

SAMPLED_TILES = 32
LIT_PERCENTILE = 97.0
"""Of the lit pixels of the finest level, as in the previews of single fields: signals
of a few pixels that differ a thousandfold must all be seen."""
BATCH = 128
"""Tiles in hand: what waits for a thread is a number, not a picture."""


class Writer(Protocol):
    """Takes tiles in any order, from any thread."""

    def put(self, tile: Tile, density: F32) -> None:
        """Keep one tile."""


def make(
    drawing: Drawing,
    writer: Writer,
    *,
    jobs: int,
    progress: Callable[[int, int], None],
) -> int:
    """Draw every tile that holds light and hand it to ``writer``.

    Returns
    -------
    int
        How many tiles were written. The tiles do not depend on ``jobs``.
    """
    total = sum(len(drawing.tiles(level)) for level in drawing.levels)

    def one(tile: Tile) -> bool:
        density = drawing.draw(tile)
        if density is None:
            return False
        writer.put(tile, density)
        return True

    done = written = 0
    tiles = _all(drawing)
    with ThreadPoolExecutor(jobs) as crew:
        while batch := list(islice(tiles, BATCH)):
            written += sum(crew.map(one, batch))
            done += len(batch)
            progress(done, total)
    return written


def _all(drawing: Drawing) -> Iterator[Tile]:
    for level in drawing.levels:
        yield from drawing.tiles(level)


def white_per_um2(drawing: Drawing) -> float:
    """Return the density that is to be shown in full, from a sample of the picture.

    The sample is spread evenly over the tiles of the finest level; the same table
    gives the same white. 1 for a picture without light.
    """
    tiles = drawing.bright_tiles()
    step = max(1, len(tiles) // SAMPLED_TILES)
    lit = [
        density[density > 0]
        for tile in tiles[step // 2 :: step]
        if (density := drawing.draw(tile)) is not None
    ]
    if not lit:
        return 1.0
    white = np.percentile(np.concatenate(lit), LIT_PERCENTILE)
    return float(f"{white:.2g}")
