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
    offset_device: str | None = Field(
        default=None,
        description="a stage device whose position is that distance, such as the "
        "offset of Nikon's PFS, in place of the property or of MMCore's own offset",
    )
    offset_unit_um: float | None = Field(
        default=None,
        description="micrometres by which the plane goes up with one unit of the "
        "offset, as measured on this microscope; negative: it goes down. Default 1 "
        "for a property; kind autofocus, whose unit MMCore leaves open, and a device "
        "need it said",
    )
    offset_um: Range | None = Field(
        default=None, description="the least and the largest offset that is set"
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
        if self.offset_unit_um == 0.0:
            raise ValueError("'offset_unit_um' is not 0: the plane moves by it")
        if self.offset_device is not None and self.offset_property is not None:
            raise ValueError("give 'offset_device' or 'offset_property', not both")
        if self.offset_device is not None and self.offset_unit_um is None:
            raise ValueError("'offset_device' needs 'offset_unit_um'")
        if self.offset_um is not None and not self.offset_um[0] < self.offset_um[1]:
            raise ValueError("'offset_um' goes from low to high")
        return self

    @property
    def chooses_plane(self) -> bool:
        """Whether another plane can be asked for in micrometres."""
        if self.kind == "autofocus":
            return self.offset_unit_um is not None
        return self.offset_device is not None or self.offset_property is not None

    @property
    def unit_um(self) -> float:
        """Micrometres of one unit of the offset."""
        return 1.0 if self.offset_unit_um is None else self.offset_unit_um


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
