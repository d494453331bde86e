"""What a picture at many scales says of itself, beside its tiles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen


class PyramidFacts(Frozen):
    """Scale, place and contrast: what a page needs to lay pictures over each other.

    Level 0 is the finest here; Deep Zoom counts its own levels from the coarsest.
    """

    version: Literal[1] = 1
    banner: str = BANNER
    kind: Literal["her2sr-pyramid"] = "her2sr-pyramid"
    source: str = Field(description="name of the table or run")
    channel: str | None = Field(description="of the run; none for a single table")
    method: str
    pixel_nm: float = Field(gt=0, description="of level 0; level n: times 2^n")
    levels: int = Field(ge=1)
    height_px: int = Field(gt=0, description="of level 0, with the filled-up border")
    width_px: int = Field(gt=0)
    space: Literal["table", "slide"] = Field(
        description="table: micrometres from the centre of the camera's first pixel; "
        "slide: stage coordinates"
    )
    left_um: float = Field(description="left edge of the picture in that space")
    top_um: float
    localizations: int = Field(ge=0, description="in the tables")
    drawn: int = Field(ge=0, description="certain enough, inside, and once each")
    white_per_um2: float = Field(
        gt=0, description="density that is shown in full, in every tile of every level"
    )
    gamma: float = Field(gt=0, description="of the picture, not of the numbers")
    colour: Literal["grey", "green", "red", "blue", "hot"]
