"""What a protocol may say of light beside its bursts: activation, stacks. Pure."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen


class ActivationPlan(Frozen):
    """Violet light beside a burst, as much as keeps the emitters at a set density."""

    per_frame: float = Field(
        gt=0, le=100_000, description="localizations a frame that are aimed at"
    )
    laser_nm: Literal[405] = 405
    most_percent: float = Field(default=10.0, gt=0, le=100)
    least_percent: float = Field(
        default=0.1, gt=0, le=100, description="below this the line is off"
    )
    start_percent: float = Field(
        default=1.0, gt=0, le=100, description="the first power, once there are too few"
    )
    step_factor: float = Field(
        default=2.0, gt=1, le=4, description="the most that one step changes the power"
    )

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.least_percent <= self.start_percent <= self.most_percent:
            raise ValueError(
                "activation: 'start_percent' lies between 'least_percent' and "
                "'most_percent'"
            )
        return self


class StackPlan(Frozen):
    """Pictures through the focus before each signal burst."""

    planes: int = Field(default=7, ge=5, le=31)
    step_um: float = Field(default=0.5, gt=0, le=5)
    frames: int = Field(default=3, ge=1, le=20, description="a plane")
    power_percent: float | None = Field(
        default=None, gt=0, le=100, description="default: that of the burst"
    )

    @model_validator(mode="after")
    def _has_a_middle(self) -> Self:
        if self.planes % 2 == 0:
            raise ValueError("through_focus: 'planes' is odd, so that one is in focus")
        return self

    @property
    def heights_um(self) -> tuple[float, ...]:
        """From the focus, low to high."""
        half = self.planes // 2
        return tuple(self.step_um * n for n in range(-half, half + 1))
