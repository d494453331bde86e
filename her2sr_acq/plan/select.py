"""What a protocol may say of the choice of fields. Pure.

An overview looks at every tile of the grid by a few pictures of low light; then all,
some of them by a rule, those of a region, or those that a person names are taken.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from her2sr_acq.plan.outline import Outline, read_outlines
from her2sr_proc.schema.model import Frozen

Choose = Literal["all", "person", "regions", "random"]
_ONLY: dict[str, tuple[Choose, ...]] = {
    "areas": ("random", "person"),
    "seed": ("random", "person"),
    "fields": ("random", "person"),
    "wait_min": ("person",),
    "regions": ("regions",),
}
"""Keys that mean something for some ways to choose alone."""
_OF_OVERVIEW = ("laser_nm", "power_percent", "exposure_ms", "frames")


def idle_keys(choose: object) -> list[str]:
    """Return the keys that mean nothing for a way to choose."""
    return [name for name, ways in _ONLY.items() if choose not in ways]


class SelectPlan(Frozen):
    """Which tiles of the grid are taken, who or what says so, and by what light."""

    overview: bool = Field(
        default=True, description="pictures of every tile before the first burst"
    )
    choose: Choose = Field(
        default="all",
        description="all: every tile that holds tissue; random: a seeded rule among "
        "them; regions: tiles that an area of a GeoJSON overlaps; person: somebody "
        "names them while the run waits",
    )
    areas: int = Field(
        default=2,
        ge=1,
        le=100,
        description="random: the fields lie in at least so many areas apart; person: "
        "those that are suggested",
    )
    seed: int = Field(
        default=1, ge=0, lt=2**63, description="of the draw, or of what is suggested"
    )
    fields: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="random: at most; person: at most, and so many are suggested",
    )
    wait_min: float = Field(
        default=60.0, gt=0, le=1440, description="person: then the run ends"
    )
    regions: dict[str, JsonValue] | None = Field(
        default=None,
        description="regions: GeoJSON of areas as QuPath exports them, in micrometres "
        "of the stage; `her2sr run` takes a path instead",
    )
    laser_nm: int = Field(default=561, gt=0, description="of the overview")
    power_percent: float = Field(default=5.0, gt=0, le=100)
    exposure_ms: float = Field(default=30.0, gt=0, le=1000)
    frames: int = Field(default=3, ge=1, le=10, description="of the overview, a tile")

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        for name in self._set_apart():
            if name in _ONLY and self.choose not in _ONLY[name]:
                raise ValueError(
                    f"'{name}' does nothing with 'choose: {self.choose}'; remove it, "
                    f"or choose '{_ONLY[name][0]}'"
                )
            if name in _OF_OVERVIEW and not self.overview:
                raise ValueError(
                    f"'{name}' does nothing without an overview; remove it"
                )
        if self.choose in ("random", "person") and self.fields < self.areas:
            raise ValueError(
                f"{self.fields} fields cannot lie in {self.areas} areas; raise fields, "
                f"or lower areas"
            )
        return self

    @model_validator(mode="after")
    def _regions_are_given(self) -> Self:
        if self.choose == "regions":
            if self.regions is None:
                raise ValueError(
                    "'choose: regions' needs 'regions', the GeoJSON of the areas"
                )
            read_outlines(self.regions)
        return self

    def outlines(self) -> tuple[Outline, ...]:
        """Return the areas of `regions`; none where there are none."""
        return () if self.regions is None else read_outlines(self.regions)

    def _set_apart(self) -> list[str]:
        """Return the keys that differ from what they are when nobody sets them."""
        default = SelectPlan.model_construct()
        names = type(self).model_fields
        return [n for n in names if getattr(self, n) != getattr(default, n)]
