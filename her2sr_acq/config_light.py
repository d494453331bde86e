"""What a device configuration may say of the light of one line on the sample."""

from __future__ import annotations

from pydantic import Field

from her2sr_proc.schema.model import Frozen

Range = tuple[float, float]


class SampleLight(Frozen):
    """Of one line: what it does to the pictures, and how much a place may get."""

    is_gated: bool = Field(
        default=False,
        description="light comes out during the camera's exposures alone; else the "
        "dose of a burst is that of all the time its line was on",
    )
    beam_margin_um: float = Field(
        default=0.0, ge=0, le=1000, description="half intensity beyond the frame"
    )
    step_adu: Range | None = Field(
        default=None,
        description="least and most mean counts that one percent of power adds to a "
        "picture of tissue in one millisecond, measured; none: a burst is not held "
        "against it",
    )
    ceiling_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds of full power that one place may get in a run",
    )
