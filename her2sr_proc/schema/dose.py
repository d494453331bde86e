"""The lines of ``dose.jsonl``: every exposure of the slide in a run, whatever for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, TypeAdapter

from her2sr_proc.schema.model import Frozen

Purpose = Literal["burst", "focus", "live", "overview", "stack", "activation"]


class DoseRecord(Frozen):
    """One exposure, or a burst of them, on one place."""

    utc: str = Field(description="of its end")
    field: str
    channel: str
    purpose: Purpose
    nm: int
    power_percent: float
    x_um: float
    y_um: float
    light_s: float = Field(ge=0, description="seconds with light on the sample")
    frames: int = Field(ge=0, description="handed over")

    @property
    def full_power_s(self) -> float:
        """The dose, in seconds of the line's full power."""
        return self.light_s * self.power_percent / 100.0


DOSE_LINE: TypeAdapter[DoseRecord] = TypeAdapter(DoseRecord)
