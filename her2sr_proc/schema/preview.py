"""A picture of the running burst: thinned, the newest only, not for counting."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen

LONGEST_PX = 1024


class PreviewHeader(Frozen):
    """Says which frame a preview shows. Its pixels are every ``step``-th, <u2."""

    version: Literal[1] = 1
    run: str = Field(pattern=NAME)
    field: str = Field(pattern=r"^r\d{2,3}_c\d{2,3}$")
    channel: str = Field(pattern=NAME)
    frame: int = Field(ge=0, description="index in the burst, from 0")
    height: int = Field(gt=0, le=LONGEST_PX)
    width: int = Field(gt=0, le=LONGEST_PX)
    step: int = Field(gt=0, description="of the thinning, in camera pixels")
    taken_s: float = Field(description="seconds since the epoch")
