"""What is asked and told of stage, focus and light by hand: control socket and REST."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, JsonValue

from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.span import Span

REACH_UM = 1e6
"""No stage of a microscope goes a metre; its own limits are the configuration's."""
FOCUS_REACH_UM = 1e5

StageUm = Annotated[float, Span(-REACH_UM, REACH_UM, "um")]


class StagePosition(Frozen):
    """A place of the stage, in the coordinates of the microscope."""

    x_um: StageUm
    y_um: StageUm


class Jog(Frozen):
    """A step of stage and focus from where they are."""

    dx_um: StageUm = 0.0
    dy_um: StageUm = 0.0
    dz_um: Annotated[float, Span(-FOCUS_REACH_UM, FOCUS_REACH_UM, "um")] = 0.0


class Travel(Frozen):
    """How far an axis may go."""

    low: float
    high: float

    @classmethod
    def of(cls, limits: tuple[float, float]) -> Travel:
        """Return the soft limits of an axis as a configuration holds them."""
        return cls(low=limits[0], high=limits[1])


class StageView(Frozen):
    """Where stage and focus stand."""

    x_um: float
    y_um: float
    z_um: float
    lock: str = Field(default="", description="the focus lock's own word, if any")
    x_limits_um: Travel | None = Field(
        default=None, description="soft limits, where the service tells them"
    )
    y_limits_um: Travel | None = None
    z_limits_um: Travel | None = None
    look_ceiling_s: float | None = Field(
        default=None, description="of full power, that looking may spend on one place"
    )


class Mark(Frozen):
    """A place that a person marked."""

    name: str = Field(pattern=NAME)
    x_um: float
    y_um: float
    z_um: float


CORNER, REGION = "corner-", "region-"
"""How the names of marks begin that make a grid, and that make a region."""


class Marks(Frozen):
    """The places marked, and the rectangle that holds them.

    The rectangle is that of the marks `corner-...` where there are two, else of all.
    """

    marks: tuple[Mark, ...]
    centre_um: tuple[float, float] | None = Field(
        default=None, description="of the rectangle, for grid.centre"
    )
    size_um: tuple[float, float] | None = Field(
        default=None, description="width and height of the rectangle"
    )
    rows: int | None = Field(
        default=None, description="of fields side by side that cover the rectangle"
    )
    columns: int | None = None
    region: dict[str, JsonValue] | None = Field(
        default=None,
        description="GeoJSON of the area through the marks region-... in their order, "
        "for select.regions; of three at least",
    )

    @classmethod
    def of(
        cls, marks: tuple[Mark, ...], *, tile_um: tuple[float, float] | None = None
    ) -> Marks:
        """Return marks with their rectangle; without a mark there is none.

        ``tile_um``: height and width of a field, where they are known.
        """
        if not marks:
            return cls(marks=())
        corners = [m for m in marks if m.name.startswith(CORNER)]
        held = corners if len(corners) > 1 else list(marks)
        x, y = ([m.x_um for m in held], [m.y_um for m in held])
        wide, high = max(x) - min(x), max(y) - min(y)
        rows = columns = None
        if tile_um is not None:
            rows = max(1, math.ceil(high / tile_um[0] - SLACK))
            columns = max(1, math.ceil(wide / tile_um[1] - SLACK))
        return cls(
            marks=marks,
            centre_um=((min(x) + max(x)) / 2.0, (min(y) + max(y)) / 2.0),
            size_um=(wide, high),
            rows=rows,
            columns=columns,
            region=_region([m for m in marks if m.name.startswith(REGION)]),
        )


SLACK = 0.02
"""Of a field: so little beyond its edge is not worth another row."""


def _region(points: list[Mark]) -> dict[str, JsonValue] | None:
    if len(points) < 3:
        return None
    ring: list[JsonValue] = [[m.x_um, m.y_um] for m in (*points, points[0])]
    return {
        "type": "Feature",
        "properties": {"name": "marked by hand"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


class SnapRequest(Frozen):
    """One picture that somebody wants to see."""

    laser_nm: Annotated[int, Span(200, 2000, "nm")] = 561
    power_percent: Annotated[float, Span(0, 100, "%", is_above=True)] = 2.0
    exposure_ms: Annotated[float, Span(0, 1000, "ms", is_above=True)] = 30.0


class Picture(Frozen):
    """A picture, and what it cost."""

    height: int
    width: int
    adu_base64: str = Field(description="uint16, little endian, row by row")
    dose_s: float = Field(description="of full power, on this place, by looking")
    ceiling_s: float = Field(description="at which looking there ends")
    stage: StageView
