"""What the engine tells and is asked: the models of the control socket and of REST."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from her2sr_acq.engine.states import RunState
from her2sr_acq.plan.estimate import Estimate
from her2sr_acq.plan.models import Protocol
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.ledger import (
    ActivationStep,
    FocusRecord,
    Gap,
    StackRecord,
    UnitState,
)
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.selection import FIELD, TileScore
from her2sr_proc.schema.span import Span


class RunRequest(Frozen):
    """One measurement that somebody wants: a protocol by name, or a plan in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"protocol": "demo", "sample": "s-17", "operator": "op-2"}]
        }
    )

    protocol: str | None = Field(default=None, max_length=200)
    plan: Protocol | None = None
    sample: str = Field(
        description="a pseudonym, never a patient's name or number",
        json_schema_extra={"pattern": NAME},
    )
    operator: str = Field(
        description="a pseudonym or an account name",
        json_schema_extra={"pattern": NAME},
    )
    overrides: dict[str, JsonValue] = Field(
        default_factory=dict,
        max_length=100,
        description="dotted key -> value, e.g. 'grid.rows' or 'channels.561.frames'",
    )
    queue: bool = Field(
        default=False,
        strict=True,
        description="wait for the microscope instead of a 409",
    )
    not_before: AwareDatetime | None = Field(
        default=None, description="start at this time or later, with its offset"
    )

    @property
    def not_before_utc(self) -> str | None:
        """When it may start, as every stamp is written."""
        if self.not_before is None:
            return None
        moment = self.not_before.astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @field_validator("sample", "operator")
    @classmethod
    def _is_a_pseudonym(cls, value: str) -> str:
        if not re.fullmatch(NAME, value):  # `match` lets a final newline pass
            raise ValueError(
                f"'{value}' is no pseudonym: use 1 to 64 letters, digits, '-' and '_', "
                f"and never a patient's name or number"
            )
        return value

    @field_validator("not_before", mode="before")
    @classmethod
    def _is_no_count(cls, value: object) -> object:
        if not isinstance(value, int | float):
            return value
        raise ValueError("a time is text with its offset, as 2026-01-01T20:00:00+01:00")

    @field_validator("overrides")
    @classmethod
    def _is_json(cls, values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for key, value in values.items():
            try:
                json.dumps(value, allow_nan=False)
            except ValueError:
                raise ValueError(f"'{key}' holds a number that is not finite") from None
        return values

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.protocol is None) == (self.plan is None):
            raise ValueError("give either 'protocol' or 'plan', and not both")
        return self


class UnitView(Frozen):
    """One burst of a run: a field, a channel, an attempt."""

    field: str
    channel: str
    attempt: int
    state: UnitState
    requested: int = Field(description="frames")
    delivered: int = Field(default=0, description="frames the camera handed over")
    written: int = Field(default=0, description="frames on disk and verified")
    published: int = Field(default=0, description="frames the bus took")
    reason: str = ""
    started_utc: str | None = None
    ended_utc: str | None = None
    gaps: tuple[Gap, ...] = ()
    focus: FocusRecord | None = None
    not_scorable: str = Field(
        default="", description="why it may not be scored, however complete it is"
    )
    emission_filter: str = Field(
        default="", description="of the filter wheel, as read back before the light"
    )
    stack: StackRecord | None = None
    activation: tuple[ActivationStep, ...] = ()


class FieldView(Frozen):
    """One tile of a run and its units."""

    name: str
    row: int
    column: int
    x_um: float
    y_um: float
    units: tuple[UnitView, ...]


class RunView(Frozen):
    """A run as it stands."""

    id: str
    state: RunState
    phase: str = Field(description="what is being done, in a few words")
    protocol: str
    sample: str
    operator: str
    created_utc: str
    started_utc: str | None = None
    ended_utc: str | None = None
    frames_done: int = Field(default=0, description="frames on disk")
    frames_requested: int
    units_done: int = 0
    units_total: int
    current: str = Field(default="", description="unit in progress, e.g. r00_c01/561")
    reason: str = Field(default="", description="why it did not end as asked")
    folder: str = Field(description="name of its folder under DATA/runs")
    not_before_utc: str | None = Field(default=None, description="it waits for this")
    resumes: int = Field(
        default=0, description="how often it went on by itself after a crash"
    )
    boot: str = Field(default="", description="the boot of the host it last ran under")
    alarms: tuple[str, ...] = Field(
        default=(), description="what people should look at; ends no run by itself"
    )
    awaits: Literal["", "selection"] = Field(
        default="", description="selection: somebody is to choose its fields"
    )
    awaits_until_utc: str | None = Field(
        default=None, description="without a choice it ends then"
    )


class DeviceView(Frozen):
    """What one device says of itself."""

    label: str
    role: str
    adapter: str
    values: dict[str, str]


class DevicesView(Frozen):
    """Every device, read at one moment."""

    taken_utc: str = Field(description="read then; during a run the last reading stays")
    devices: tuple[DeviceView, ...]


class ProtocolView(Frozen):
    """A packaged protocol and what it would cost on this microscope."""

    name: str
    protocol: Protocol
    estimate: Estimate


class Check(Frozen):
    """One line of a pre-flight list."""

    subject: str
    ok: bool
    detail: str = Field(description="what was found, or the cure")


class Preflight(Frozen):
    """Whether a request could be run now, what it costs, when it would end."""

    ok: bool
    checks: tuple[Check, ...]
    estimate: Estimate | None = None
    finish_utc: str | None = Field(
        default=None, description="if it started now, or at its time"
    )


class Found(Frozen):
    """One thing that the doctor looked at."""

    subject: str
    state: Literal["good", "bad", "note"] = Field(
        description="note: nobody has checked it, or it could not be asked now"
    )
    detail: str = Field(description="what was found, or the cure")


class CheckupView(Frozen):
    """What the doctor found, as `her2sr doctor` tells it."""

    taken_utc: str
    found: tuple[Found, ...]


class StopRequest(Frozen):
    """How a run is ended early."""

    burst: Literal["drop", "finish"] = Field(
        default="drop", description="of the burst in progress"
    )


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


class RetakeRequest(Frozen):
    """Channels of a field that are to be taken again, deliberately."""

    channels: tuple[str, ...] | None = Field(
        default=None, description="default: every channel of the field"
    )


class SelectionRequest(Frozen):
    """The fields that a person chose from an overview."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"fields": ["r03_c04", "r07_c02"], "by": "op-2"}]
        }
    )

    fields: tuple[Annotated[str, Field(pattern=FIELD)], ...] = Field(
        min_length=1,
        max_length=1000,
        description="in the order they are taken",
        json_schema_extra={"uniqueItems": True},
    )
    by: str = Field(
        max_length=64,
        description="who chose: a pseudonym or an account name",
        json_schema_extra={"pattern": NAME},
    )

    @field_validator("by")
    @classmethod
    def _is_a_pseudonym(cls, value: str) -> str:
        if not re.fullmatch(NAME, value):
            raise ValueError(
                f"'{value}' is no pseudonym: use 1 to 64 letters, digits, '-' and '_'"
            )
        return value

    @field_validator("fields")
    @classmethod
    def _each_once(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in fields if fields.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice; name every field once")
        return fields


class OverviewTile(TileScore):
    """One tile of the grid as it is offered to choose from."""

    row: int
    column: int
    x_um: float = Field(description="stage x of its centre")
    y_um: float
    picture: str | None = Field(description="address of its PNG; none: not taken yet")
    chosen: bool | None = Field(description="none: not decided yet")


class SelectionView(Frozen):
    """What there is to choose from, and what was chosen."""

    run: str
    state: Literal["none", "looking", "open", "made", "ended"] = Field(
        description="none: the protocol takes every tile; looking: the overview is "
        "being taken; open: a person's choice is waited for; made; ended: the run is "
        "over without a choice"
    )
    choose: str = Field(default="", description="as the protocol says")
    until_utc: str | None = Field(default=None, description="open: it ends then")
    tile_height_um: float
    tile_width_um: float
    tiles: tuple[OverviewTile, ...]
    picture: str | None = Field(
        default=None, description="address of the PNG of the whole grid"
    )
    scored_by: str = Field(default="", description="what the scores are")
    fall_back: str = Field(default="", description="why they are not nuclear area")
    by: str = ""
    rule: str = ""
    seed: int | None = None
    chosen: tuple[str, ...] = Field(default=(), description="in order of acquisition")
    most: int | None = Field(
        default=None, description="open: how many fields may be chosen"
    )
    suggested: tuple[str, ...] = Field(
        default=(), description="open: what the seeded rule would take, in its order"
    )
    suggested_rule: str = Field(
        default="", description="how that was drawn, or why nothing is suggested"
    )


class Health(Frozen):
    """Whether the process that owns the hardware can take a run."""

    version: str
    pid: int
    configuration: str
    simulated: bool
    started_utc: str
    active_run: str | None
    latched: str = Field(default="", description="why no run may start; empty: may")
    free_bytes: int = Field(description="on the file system of the data folder")
    queued: int = Field(default=0, description="runs that wait")
    troubles: tuple[str, ...] = Field(
        default=(), description="interlocks and conditions that keep light off"
    )
