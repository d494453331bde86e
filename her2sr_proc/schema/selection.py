"""Which fields of a run were chosen from its grid, by whom or what, and why."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen

FIELD = r"^r\d{2,3}_c\d{2,3}$"


class TileScore(Frozen):
    """What an overview tells of one tile of the grid."""

    field: str = Field(pattern=FIELD)
    seen: bool = Field(description="whether its picture was taken")
    light_e: float = Field(default=0.0, description="mean photo-electrons a pixel")
    structure: float = Field(
        default=0.0,
        ge=0,
        description="relative contrast of what is as large as a nucleus",
    )
    nuclei: int | None = Field(
        default=None, ge=0, description="none: the localizer did not say"
    )
    nuclear_share: float | None = Field(
        default=None, ge=0, le=1, description="of the tile's area"
    )
    score: float = Field(
        default=0.0, ge=0, description="nuclear_share; without it, structure"
    )
    holds_tissue: bool
    why: str = Field(default="", description="why it does not, or what is not known")


class Overview(Frozen):
    """The tiles of a grid, looked at once; ``images/overview/overview.json``."""

    version: Literal[1] = 1
    run: str
    utc: str
    scored_by: Literal["nuclear area", "structure", "nothing"] = Field(
        description="nothing: there was no overview"
    )
    fall_back: str = Field(default="", description="why it is not the nuclear area")
    took_s: float = Field(default=0.0, ge=0, description="of the wall clock")
    tiles: tuple[TileScore, ...] = Field(description="in the order of the grid")

    def tile(self, field: str) -> TileScore:
        """Return one tile. Raises KeyError when there is none."""
        for tile in self.tiles:
            if tile.field == field:
                return tile
        raise KeyError(field)


class Selection(Frozen):
    """The choice, as it was made: what is not chosen is not taken."""

    choose: Literal["all", "person", "regions", "random"]
    by: str = Field(description="a person's name, or the rule")
    rule: str = Field(description="in one sentence")
    utc: str
    seed: int | None = Field(default=None, description="of a draw")
    areas: int = Field(ge=0, description="areas apart in which the chosen lie")
    chosen: tuple[str, ...] = Field(description="in order of acquisition")
    skipped: dict[str, str] = Field(description="every other field, and why")
    overview: Overview
