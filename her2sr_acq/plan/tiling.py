"""Where the tiles of a grid stand, and in which order they are taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from her2sr_acq.plan.models import Grid
from her2sr_proc.schema.manifest import FieldFacts


def frame_um(*, height: int, width: int, pixel_nm: float) -> tuple[float, float]:
    """Return the height and width of one frame in the sample, in um."""
    return height * pixel_nm / 1000.0, width * pixel_nm / 1000.0


def middle_um(places_um: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return x and y of the middle of a grid by its fields, one or more."""
    x_um, y_um = zip(*places_um, strict=True)
    return (min(x_um) + max(x_um)) / 2, (min(y_um) + max(y_um)) / 2


def tiles(
    grid: Grid, *, centre_um: tuple[float, float], size_um: tuple[float, float]
) -> tuple[FieldFacts, ...]:
    """Return the tiles in order of acquisition: rows in turn, every second backwards.

    Parameters
    ----------
    grid : Grid
        Rows, columns and overlap.
    centre_um : tuple of float
        Stage x and y under the middle of the grid.
    size_um : tuple of float
        Height and width of one tile.

    Returns
    -------
    tuple of FieldFacts
        The tile of the smallest x and y, top left in the mosaic, is ``r00_c00``.
    """
    if grid.positions:
        return tuple(
            FieldFacts(name=f"r00_c{n:02d}", row=0, column=n, x_um=x, y_um=y)
            for n, (x, y) in enumerate(grid.positions)
        )
    step = 1.0 - grid.overlap_percent / 100.0
    return tuple(
        FieldFacts(
            name=f"r{row:02d}_c{column:02d}",
            row=row,
            column=column,
            x_um=centre_um[0] + (column - (grid.columns - 1) / 2) * step * size_um[1],
            y_um=centre_um[1] + (row - (grid.rows - 1) / 2) * step * size_um[0],
        )
        for row in range(grid.rows)
        for column in _along(row, grid.columns)
    )


def _along(row: int, columns: int) -> range:
    return range(columns) if row % 2 == 0 else range(columns - 1, -1, -1)
