"""What a protocol may say of the focus. Pure."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen

FocusMethod = Literal["none", "hardware", "image", "map"]
SEARCH_UM: dict[FocusMethod, float] = {
    "none": 0.0,
    "hardware": 30.0,
    "image": 3.0,
    "map": 3.0,
}
"""How far up and down is looked for the focus unless the protocol says."""


class FocusPlan(Frozen):
    """How the focus is found, how often, and what if it is not."""

    method: FocusMethod = Field(
        default="none",
        description="none: where the operator put it; hardware: held by the focus "
        "lock; image: the sharpest of a few pictures; map: a surface through fields "
        "measured by pictures before the first burst",
    )
    every: Literal["field"] | Annotated[int, Field(ge=1, le=1000)] = Field(
        default="field",
        description="hardware: how often the lock is engaged anew (it is read at "
        "every field); image: how often pictures are taken; map: every n-th is "
        "measured",
    )
    search_um: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="up and down from where it is; default 30 for hardware, else 3",
    )
    on_failure: Literal["skip", "pause"] = Field(
        default="skip", description="of a field that cannot be focused"
    )
    laser_nm: int = Field(default=561, gt=0, description="image, map: of the pictures")
    power_percent: float = Field(default=5.0, gt=0, le=100)
    exposure_ms: float = Field(default=30.0, gt=0, le=1000)
    frames: int = Field(
        default=10, ge=7, le=10, description="image, map: the most pictures a field"
    )

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        kept = {"method"}
        if self.method == "hardware":
            kept |= {"every", "search_um", "on_failure"}
        if self.method in ("image", "map"):
            return self
        default = FocusPlan.model_construct()
        idle = [
            name
            for name in type(self).model_fields
            if name not in kept and getattr(self, name) != getattr(default, name)
        ]
        if idle:
            raise ValueError(
                f"'{idle[0]}' does nothing with 'method: {self.method}'; remove it, or "
                f"choose another method"
            )
        return self

    @property
    def reach_um(self) -> float:
        """How far up and down the focus is looked for."""
        return SEARCH_UM[self.method] if self.search_um is None else self.search_um

    @property
    def takes_pictures(self) -> bool:
        """Whether light is spent on the focus."""
        return self.method in ("image", "map")

    def is_due(self, place: int) -> bool:
        """Return whether the field at that place of the order, from 0, has its turn."""
        return self.every == "field" or place % self.every == 0
