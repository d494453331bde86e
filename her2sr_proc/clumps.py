"""Where localizations lie dense at the scale of a probe: the places worth a look.

Knows tables; neither what a locus is nor how many there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.table import Localizations, require_places

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CELLS = 4.0
"""Cells of the density map in the width of a blob."""
NONE = -1
MOST_CELLS = 2**28
TILE_NM = 20_000.0
"""Side of the squares that a wide table is looked at by: a few nuclei."""


@dataclass(frozen=True, slots=True)
class Clumps:
    """Dense places of a table."""

    of_row: I64
    """The clump of each row; `NONE`: between clumps."""
    area_nm2: F64
    """Shape (clumps,)."""

    def __len__(self) -> int:
        return len(self.area_nm2)


def find_clumps(table: Localizations, *, blob_nm: float, least: float) -> Clumps:
    """Return where localizations lie as dense as in a blob of so many, or denser.

    Parameters
    ----------
    table : Localizations
        Of one channel and field.
    blob_nm : float
        Standard deviation of a probe's blob.
    least : float
        Localizations of the faintest blob that is seen.

    Raises
    ------
    TableError
        For a row without a position.
    RequestError
        For a table too wide for the map.
    """
    require_places(table)
    if not len(table):
        return Clumps(np.zeros(0, np.int64), np.zeros(0))
    cell = blob_nm / CELLS
    where = np.column_stack([table["y_nm"], table["x_nm"]]).astype(np.float64)
    low = where.min(axis=0) - 4.0 * blob_nm
    extent = (where.max(axis=0) + 4.0 * blob_nm - low) / cell
    if math.prod(extent) > MOST_CELLS:
        raise RequestError(
            f"the table spans {extent[1] * cell / 1e3:.0f} x "
            f"{extent[0] * cell / 1e3:.0f} um, too much for one map of cells of "
            f"{cell:.0f} nm; take one field at a time, or filter stray rows away"
        )
    at = ((where - low) / cell).astype(np.int64)
    rows, columns = (int(n) + 1 for n in extent)
    counts = np.bincount(at[:, 0] * columns + at[:, 1], minlength=rows * columns)
    image = counts.reshape(rows, columns).astype(np.float32)
    density = ndimage.gaussian_filter(image, CELLS, truncate=4.0)
    # a blob seen through a kernel of its own size has twice its variance
    peak = least / (4.0 * math.pi * CELLS**2)
    dense, _ = ndimage.label(density > peak)
    labels, count = _grown(dense, int(CELLS))
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:] * (cell * cell)
    return Clumps(
        labels[at[:, 0], at[:, 1]].astype(np.int64) - 1, area.astype(np.float64)
    )


def find_clumps_by_tile(
    table: Localizations, *, blob_nm: float, least: float
) -> Clumps:
    """Return the clumps of a table of any extent, square by square.

    A clump across the border of two squares becomes two: no harm where clumps are
    only witnesses. Memory is that of one square.
    """
    require_places(table)
    of_row = np.full(len(table), NONE, np.int64)
    areas: list[F64] = []
    if len(table):
        where = np.column_stack([table["y_nm"], table["x_nm"]]).astype(np.float64)
        tile = np.floor(where / TILE_NM).astype(np.int64)
        _, number = np.unique(tile, axis=0, return_inverse=True)
        order = np.argsort(number.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(number.ravel()))[:-1]
        for rows in np.split(order, ends):
            if len(rows) < least:
                continue
            part = find_clumps(table.take(rows), blob_nm=blob_nm, least=least)
            known = sum(len(area) for area in areas)
            mine = part.of_row != NONE
            of_row[rows[mine]] = part.of_row[mine] + known
            areas.append(part.area_nm2)
    return Clumps(of_row, np.concatenate(areas) if areas else np.zeros(0))


def _grown(
    labels: npt.NDArray[np.int32], cells: int
) -> tuple[npt.NDArray[np.int32], int]:
    """Return labels grown by some cells, without growing into each other."""
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown = np.where(distance <= cells, labels[tuple(nearest)], 0)
    return grown.astype(np.int32), int(labels.max())
