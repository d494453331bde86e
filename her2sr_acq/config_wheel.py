"""What a device configuration may say of the wheel or turret of emission filters."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen

Position = Annotated[str, Field(min_length=1, max_length=64)]


class FilterWheelConfig(Frozen):
    """A state device of Micro-Manager with a filter in each of its positions.

    Positions are named by their labels in the ``.cfg``.
    """

    label: str
    lines: dict[int, Position] = Field(
        min_length=1,
        description="laser line in nm -> label of the position that its light is seen "
        "through, in bursts, overviews, searches for the focus and calibrations",
    )
    also: tuple[Position, ...] = Field(
        default=(),
        description="labels of other positions that a channel of a protocol may name",
    )
    timeout_s: float = Field(
        default=3.0, gt=0, le=30, description="until it stands still"
    )
    settle_ms: float = Field(
        default=0.0, ge=0, le=10_000, description="after it stands still, still dark"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_wheel(cls, given: object) -> object:
        if isinstance(given, list | tuple):
            raise ValueError(  # noqa: TRY004 - pydantic tells of no other one
                "one filter wheel is driven; name that one alone, and set another once "
                "by mmcore.settings"
            )
        return given

    @model_validator(mode="after")
    def _one_label_a_position(self) -> Self:
        if twice := {name for name in self.also if self.also.count(name) > 1}:
            raise ValueError(f"also: '{min(twice)}' stands twice; remove one")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Every position that may be asked for, each once."""
        return tuple(dict.fromkeys((*self.lines.values(), *self.also)))
