"""What the page *Start* shows of a protocol: its fields as a drawing, and its cost."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.engine.views import ProtocolView
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Grid
from her2sr_acq.plan.tiling import tiles

WIDTH = 320.0
"""Of the drawing, in its own units."""
NUMBERED = 144
"""Fields up to this many carry their number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field in the drawing."""

    name: str
    number: int
    x: float
    y: float
    side: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The fields of a plan in order of acquisition, to be drawn as SVG."""

    width: float
    height: float
    cells: tuple[Cell, ...]
    path: str
    is_numbered: bool
    rows: int
    columns: int


def plan_scene(
    protocols: list[ProtocolView], name: str, rows: int | None, columns: int | None
) -> dict[str, object]:
    """Return drawing and cost of a protocol with another grid.

    Raises `PlanRejectedError` when there is no such protocol.
    """
    found = next((p for p in protocols if p.name == name), None)
    if found is None:
        raise PlanRejectedError(f"there is no protocol '{name[:80]}'; choose another")
    grid = found.protocol.grid
    if not grid.positions:
        size = {"rows": rows or grid.rows, "columns": columns or grid.columns}
        grid = Grid.model_validate(grid.model_dump() | size)
    drawing = draw(grid)
    share = len(drawing.cells) / max(found.estimate.fields, 1)
    return {
        "drawing": drawing,
        "grid": grid,
        "fields": len(drawing.cells),
        "duration_s": found.estimate.duration_s * share,
        "bytes": round(found.estimate.bytes * share),
        "channels": found.protocol.channels,
    }


def draw(grid: Grid) -> Drawing:
    """Return the fields as squares that fill the width of the drawing."""
    # the unit is the side of a field; listed positions have no side of their own here
    unit_um = 1.0 if not grid.positions else _spacing(grid.positions)
    placed = tiles(grid, centre_um=(0.0, 0.0), size_um=(unit_um, unit_um))
    left = min(tile.x_um for tile in placed) - unit_um / 2
    top = min(tile.y_um for tile in placed) - unit_um / 2
    across = max(tile.x_um for tile in placed) + unit_um / 2 - left
    down = max(tile.y_um for tile in placed) + unit_um / 2 - top
    scale = WIDTH / max(across, down, 3 * unit_um)
    side = unit_um * scale
    cells = tuple(
        Cell(
            name=tile.name,
            number=number,
            x=(tile.x_um - left) * scale - side / 2,
            y=(tile.y_um - top) * scale - side / 2,
            side=side,
        )
        for number, tile in enumerate(placed, start=1)
    )
    points = (f"{c.x + side / 2:.2f},{c.y + side / 2:.2f}" for c in cells)
    return Drawing(
        width=across * scale,
        height=down * scale,
        cells=cells,
        path=" ".join(points),
        is_numbered=len(cells) <= NUMBERED,
        rows=1 + max(tile.row for tile in placed),
        columns=1 + max(tile.column for tile in placed),
    )


def _spacing(positions: tuple[tuple[float, float], ...]) -> float:
    """Return a side that keeps the drawing of listed places legible, in um."""
    across = max(x for x, _ in positions) - min(x for x, _ in positions)
    down = max(y for _, y in positions) - min(y for _, y in positions)
    return max(across, down) / 12 or 1.0
