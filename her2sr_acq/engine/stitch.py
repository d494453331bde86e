"""The tiles of an overview as one picture. Arrays and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.manifest import FieldFacts

F32 = npt.NDArray[np.float32]

THUMB_PX = 200
"""Longest side of a tile in the picture of the whole grid."""
LONGEST_PX = 4096


def thumb_of(light_e: npt.NDArray[np.floating]) -> F32:
    """Return a picture reduced by averaging, its longest side about `THUMB_PX`.

    Shape (height, width), photo-electrons a pixel; sides that do not divide lose their
    rest at the far edge.
    """
    factor = max(1, -(-max(light_e.shape) // THUMB_PX))
    factor = min(factor, *light_e.shape)
    height, width = (side // factor for side in light_e.shape)
    whole = light_e[: height * factor, : width * factor]
    blocks = whole.reshape(height, factor, width, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def stitched(
    thumbs: Mapping[str, F32],
    tiles: Sequence[FieldFacts],
    size_um: tuple[float, float],
) -> tuple[F32, float]:
    """Return one picture of all tiles where they lie, and the um of its pixels.

    Parameters
    ----------
    thumbs : mapping of float32 arrays, shape (height, width)
        By field; a tile without one stays 0.
    tiles : sequence of FieldFacts
        Where each lies.
    size_um : tuple of float
        Height and width of a tile.
    """
    height_um, width_um = size_um
    left = min(tile.x_um for tile in tiles) - width_um / 2
    top = min(tile.y_um for tile in tiles) - height_um / 2
    wide = max(tile.x_um for tile in tiles) + width_um / 2 - left
    high = max(tile.y_um for tile in tiles) + height_um / 2 - top
    pixel_um = max(max(size_um) / THUMB_PX, max(wide, high) / LONGEST_PX)
    shape = max(1, round(high / pixel_um)), max(1, round(wide / pixel_um))
    out = np.zeros(shape, np.float32)
    for tile in tiles:
        if (thumb := thumbs.get(tile.name)) is None:
            continue
        y = round((tile.y_um - height_um / 2 - top) / pixel_um)
        x = round((tile.x_um - width_um / 2 - left) / pixel_um)
        rows = max(1, round(height_um / pixel_um))
        columns = max(1, round(width_um / pixel_um))
        place = out[y : y + rows, x : x + columns]
        place[:] = _sampled(thumb, rows, columns)[: place.shape[0], : place.shape[1]]
    return out, pixel_um


def _sampled(thumb: F32, rows: int, columns: int) -> F32:
    y = np.arange(rows) * thumb.shape[0] // rows
    x = np.arange(columns) * thumb.shape[1] // columns
    return thumb[np.ix_(y, x)]
