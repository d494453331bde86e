"""What is asked and told of the choice of fields: control socket and REST."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.pseudonym import Pseudonym
from her2sr_proc.schema.selection import FIELD, TileScore


class SelectionRequest(Frozen):
    """The fields that a person chose from an overview."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"fields": ["r03_c04", "r07_c02"], "by": "op-2"}]
        }
    )

    fields: tuple[Annotated[str, Field(pattern=FIELD)], ...] = Field(
        min_length=1,
        max_length=1000,
        description="in the order they are taken",
        json_schema_extra={"uniqueItems": True},
    )
    by: Pseudonym = Field(description="who chose: a pseudonym or an account name")

    @field_validator("fields")
    @classmethod
    def _each_once(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in fields if fields.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice; name every field once")
        return fields


class OverviewTile(TileScore):
    """One tile of the grid as it is offered to choose from."""

    row: int
    column: int
    x_um: float = Field(description="stage x of its centre")
    y_um: float
    picture: str | None = Field(description="address of its PNG; none: not taken yet")
    chosen: bool | None = Field(description="none: not decided yet")


class SelectionView(Frozen):
    """What there is to choose from, and what was chosen."""

    run: str
    state: Literal["none", "looking", "open", "made", "ended"] = Field(
        description="none: the protocol takes every tile; looking: the overview is "
        "being taken; open: a person's choice is waited for; made; ended: the run is "
        "over without a choice"
    )
    choose: str = Field(default="", description="as the protocol says")
    until_utc: str | None = Field(default=None, description="open: it ends then")
    tile_height_um: float
    tile_width_um: float
    tiles: tuple[OverviewTile, ...]
    picture: str | None = Field(
        default=None, description="address of the PNG of the whole grid"
    )
    scored_by: str = Field(default="", description="what the scores are")
    fall_back: str = Field(default="", description="why they are not nuclear area")
    by: str = ""
    rule: str = ""
    seed: int | None = None
    chosen: tuple[str, ...] = Field(default=(), description="in order of acquisition")
    most: int | None = Field(
        default=None, description="open: how many fields may be chosen"
    )
    suggested: tuple[str, ...] = Field(
        default=(), description="open: what the seeded rule would take, in its order"
    )
    suggested_rule: str = Field(
        default="", description="how that was drawn, or why nothing is suggested"
    )
