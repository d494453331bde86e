"""What a device configuration may say of the focus: the drive, and what holds it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen

Range = tuple[float, float]


class FocusLockConfig(Frozen):
    """A device that holds the focus by itself, in its adapter's own vocabulary."""

    label: str
    kind: Literal["property", "autofocus"] = Field(
        default="property",
        description="driven by its properties, or as MMCore's autofocus device",
    )
    state_property: str = Field(default="", description="kind property: read and set")
    ready_value: str | None = Field(
        default=None, description="set before the lock, where the device asks for it"
    )
    lock_value: str = "Lock"
    release_value: str = "Idle"
    locked_values: tuple[str, ...] = Field(
        default=("In Focus",), description="what it reads while the focus is held"
    )
    failed_values: tuple[str, ...] = Field(
        default=(), description="what it reads when it gave up: not waited for longer"
    )
    offset_property: str | None = Field(
        default=None, description="kind property: distance of the plane held, settable"
    )
    offset_unit_um: float = Field(
        default=1.0, gt=0, description="micrometres of one unit of the offset"
    )
    remembers_plane: bool = Field(
        default=True,
        description="it locks to the plane that its offset names; false: wherever it "
        "is, so that no other height is tried when it does not lock",
    )
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    poll_ms: float = Field(
        default=50.0, ge=1, le=1000, description="between two readings of its state"
    )
    step_um: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="of the search for a place where it locks; at most twice its range",
    )

    @model_validator(mode="after")
    def _property_is_named(self) -> Self:
        if self.kind == "property" and not self.state_property:
            raise ValueError("give 'state_property', or 'kind: autofocus'")
        return self


class FocusConfig(Frozen):
    """The focus drive and its soft limits."""

    label: str
    z_um: Range = (-100.0, 100.0)
    tolerance_um: float = Field(default=0.1, gt=0)
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    settle_ms: float = Field(default=0.0, ge=0, le=10_000)
    travel_z_um: float | None = Field(
        default=None,
        description="z at which the objective is clear of the slide and its holder",
    )
    lock: FocusLockConfig | None = Field(
        default=None, description="what holds the focus by itself, if there is one"
    )
