"""What the page *Start* shows of a protocol: its fields as a drawing, and its cost."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.engine.views import ProtocolView
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Grid, Protocol
from her2sr_acq.plan.select import Choose
from her2sr_acq.plan.tiling import tiles
from her2sr_acq.service.sight import Sight

WIDTH = 320.0
"""Of the drawing, in its own units."""
NUMBERED = 144
"""Fields up to this many carry their number."""
AROUND_UM = 1.0
"""A drawing without a place has fields of this side."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the form says of a plan so far; None: as the protocol says."""

    protocol: str
    rows: int | None = None
    columns: int | None = None
    sample: str = ""
    centre_um: Point | None = None
    choose: Choose | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan is drawn over: an overview, and where the plan's middle lies."""

    sight: Sight
    centre_um: Point


@dataclass(frozen=True, slots=True)
class Cell:
    """One field in the drawing."""

    name: str
    number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """An overview in the drawing."""

    address: str
    x: float
    y: float
    width: float
    height: float


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
    picture: Picture | None = None


def plan_scene(
    found: Protocol, cost: ProtocolView, wish: Wish, ground: Ground | None
) -> dict[str, object]:
    """Return drawing and cost of a protocol with another grid.

    ``found``: as `wished` returns it.
    """
    drawing = draw(found.grid, ground)
    count = _taken(found, wish, len(drawing.cells))
    share = count / max(cost.estimate.fields, 1)
    select = found.select
    return {
        "drawing": drawing,
        "grid": found.grid,
        "sight": ground.sight if ground else None,
        "select": select.choose if select else "",
        "most": select.fields if select else 0,
        "fields": count,
        "looked_at": len(drawing.cells) if select and select.overview else 0,
        "duration_s": cost.estimate.duration_s * share,
        "bytes": round(cost.estimate.bytes * share),
        "channels": found.channels,
    }


def wished(protocols: list[ProtocolView], wish: Wish) -> tuple[Protocol, ProtocolView]:
    """Return a protocol with the grid of the form, and what it costs as it stands.

    Raises `PlanRejectedError` when there is no such protocol.
    """
    cost = next((p for p in protocols if p.name == wish.protocol), None)
    if cost is None:
        raise PlanRejectedError(
            f"there is no protocol '{wish.protocol[:80]}'; choose another"
        )
    grid = cost.protocol.grid
    if not grid.positions:
        size = {
            "rows": wish.rows or grid.rows,
            "columns": wish.columns or grid.columns,
            "centre": wish.centre_um or grid.centre,
        }
        grid = Grid.model_validate(grid.model_dump() | size)
    return cost.protocol.model_copy(update={"grid": grid}), cost


def _taken(protocol: Protocol, wish: Wish, cells: int) -> int:
    """Return how many fields are taken at most, as far as anybody can tell before."""
    if protocol.select is None:
        return cells
    choose = wish.choose or protocol.select.choose
    if choose not in ("random", "person"):
        return cells
    return min(wish.most or protocol.select.fields, cells)


def draw(grid: Grid, ground: Ground | None = None) -> Drawing:
    """Return the fields as rectangles that fill the width of the drawing."""
    if ground is not None and not grid.positions:
        centre = ground.centre_um
        size = ground.sight.tile.height_um, ground.sight.tile.width_um
    else:
        # the unit is the side of a field; listed positions have no side of their own
        side = AROUND_UM if not grid.positions else _spacing(grid.positions)
        centre, size, ground = (0.0, 0.0), (side, side), None
    high, wide = size
    placed = tiles(grid, centre_um=centre, size_um=size)
    left = min(tile.x_um for tile in placed) - wide / 2
    top = min(tile.y_um for tile in placed) - high / 2
    right = max(tile.x_um for tile in placed) + wide / 2
    bottom = max(tile.y_um for tile in placed) + high / 2
    if ground is not None:
        seen = ground.sight.frame
        left, top = min(left, seen.left_um), min(top, seen.top_um)
        right = max(right, seen.left_um + seen.width_um)
        bottom = max(bottom, seen.top_um + seen.height_um)
    scale = WIDTH / max(right - left, bottom - top, 3 * wide)
    cells = tuple(
        Cell(
            name=tile.name,
            number=number,
            x=(tile.x_um - wide / 2 - left) * scale,
            y=(tile.y_um - high / 2 - top) * scale,
            width=wide * scale,
            height=high * scale,
        )
        for number, tile in enumerate(placed, start=1)
    )
    points = (f"{c.x + c.width / 2:.2f},{c.y + c.height / 2:.2f}" for c in cells)
    return Drawing(
        width=(right - left) * scale,
        height=(bottom - top) * scale,
        cells=cells,
        path=" ".join(points),
        is_numbered=len(cells) <= NUMBERED,
        rows=1 + max(tile.row for tile in placed),
        columns=1 + max(tile.column for tile in placed),
        picture=_picture(ground, (left, top), scale),
    )


def _picture(ground: Ground | None, corner: Point, scale: float) -> Picture | None:
    if ground is None:
        return None
    seen = ground.sight.frame
    return Picture(
        address=ground.sight.address,
        x=(seen.left_um - corner[0]) * scale,
        y=(seen.top_um - corner[1]) * scale,
        width=seen.width_um * scale,
        height=seen.height_um * scale,
    )


def _spacing(positions: tuple[Point, ...]) -> float:
    """Return a side that keeps the drawing of listed places legible, in um."""
    across = max(x for x, _ in positions) - min(x for x, _ in positions)
    down = max(y for _, y in positions) - min(y for _, y in positions)
    return max(across, down) / 12 or 1.0
