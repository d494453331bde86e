"""What is asked and told of runs and their readiness: control socket and REST.

Hands, devices and the choice of fields have files of their own beside this one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal, Self

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
from her2sr_proc.schema.ledger import (
    ActivationStep,
    FocusRecord,
    Gap,
    StackRecord,
    UnitState,
)
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.pseudonym import Pseudonym

YEARS = 2000, 2100
"""When a run may be asked to start: what is near the ends of what a date can be cannot
be told in UTC, nor be followed by the end of a run."""


class RunRequest(Frozen):
    """One measurement that somebody wants: a protocol by name, or a plan in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"protocol": "demo", "sample": "s-17", "operator": "op-2"}]
        }
    )

    protocol: str | None = Field(default=None, max_length=200)
    plan: Protocol | None = None
    sample: Pseudonym = Field(
        description="a pseudonym, never a patient's name or number"
    )
    operator: Pseudonym = Field(description="a pseudonym or an account name")
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
        default=None,
        description="start at this time or later, with its offset; years 2000 to 2100",
    )

    @property
    def not_before_utc(self) -> str | None:
        """When it may start, as every stamp is written."""
        if self.not_before is None:
            return None
        moment = self.not_before.astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @field_validator("not_before", mode="before")
    @classmethod
    def _is_no_count(cls, value: object) -> object:
        if not isinstance(value, int | float):
            return value
        raise ValueError("a time is text with its offset, as 2026-01-01T20:00:00+01:00")

    @field_validator("not_before")
    @classmethod
    def _is_of_our_days(cls, value: datetime | None) -> datetime | None:
        first, last = YEARS
        if value is not None and not first <= value.year <= last:
            raise ValueError(
                f"no run can wait for the year {value.year}; name a time in the years "
                f"{first} to {last}"
            )
        return value

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


class StopRequest(Frozen):
    """How a run is ended early."""

    burst: Literal["drop", "finish"] = Field(
        default="drop", description="of the burst in progress"
    )


class RetakeRequest(Frozen):
    """Channels of a field that are to be taken again, deliberately."""

    channels: tuple[str, ...] | None = Field(
        default=None, description="default: every channel of the field"
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
