"""What a person asks of a review: marks, changes, readings and acts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.case import Outcome
from her2sr_proc.schema.counts import Region
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.reading import (
    MOST_ITEMS,
    NucleusKey,
    ReadingId,
    Signals,
    require_counts,
)
from her2sr_proc.schema.results import ArmName

Reason = Annotated[str, Field(max_length=500)]
Pictures = Literal["both", "superresolution", "conventional"]
AreaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,39}$")]
Coordinate = Annotated[float, Field(ge=-1e7, le=1e7)]
DrawnRegion = Literal["invasive", "normal", "other"]


class AreaDrawn(Frozen):
    """An area drawn by a person."""

    name: AreaName
    region: DrawnRegion
    outline: tuple[tuple[Coordinate, Coordinate], ...] = Field(
        min_length=3, max_length=2000, description="x, y on the slide, micrometres"
    )


class RegionsRequest(Frozen):
    """Areas and nuclei that a person marks; of areas that overlap the last holds."""

    areas: tuple[AreaDrawn, ...] = Field(default=(), max_length=100)
    marks: dict[NucleusKey, Region] = Field(
        default_factory=dict, max_length=20_000, description="clicked one by one"
    )
    reason: Reason = ""


class CountRequest(Frozen):
    """A person's count in place of the machine's."""

    arm: ArmName
    her2: Signals
    cep17: Signals
    revision: int = Field(ge=0)
    reason: Reason = Field(min_length=1)


class InclusionRequest(Frozen):
    """A nucleus is taken out of the count, or back into it."""

    is_excluded: bool
    revision: int = Field(ge=0)
    reason: Reason = Field(min_length=1)


class ReadingRequest(Frozen):
    """Nuclei to be drawn for a blind reading, or those of an earlier one."""

    nuclei: int | None = Field(default=None, ge=1, le=MOST_ITEMS // 2)
    pictures: Pictures | None = None
    same_as: ReadingId | None = Field(
        default=None, description="the same pictures, in an order of their own"
    )


class AnswerRequest(Frozen):
    """What a person saw in one picture."""

    her2: Signals | None = None
    cep17: Signals | None = None
    is_unsure: bool = False
    is_excluded: bool = False
    reason: Reason = ""

    @model_validator(mode="after")
    def _has_counts_or_none(self) -> Self:
        require_counts(
            self.her2,
            self.cep17,
            is_excluded=self.is_excluded,
            is_unsure=self.is_unsure,
        )
        return self


class SignatureRequest(Frozen):
    """What a signature under a reading means."""

    meaning: str = Field(min_length=1, max_length=200)
    in_ihc_2_area: bool = Field(
        default=False, description="said of a recount: it counts as one only then"
    )


class Accept(Frozen):
    """Stand for the first count, as it stands now."""

    kind: Literal["accept"]
    arm: ArmName


class EnterIhc(Frozen):
    """IHC of the same tissue, read together with the slide."""

    kind: Literal["ihc"]
    value: Literal[0, 1, 2, 3]
    same_tissue: Literal[True]


class Adjudicate(Frozen):
    """What the laboratory's own procedure decided, with its grounds."""

    kind: Literal["adjudicate"]
    outcome: Outcome
    reason: Reason = Field(min_length=1)


class Sign(Frozen):
    """Sign the answer."""

    kind: Literal["sign"]
    meaning: str = Field(min_length=1, max_length=200)


class Reopen(Frozen):
    """Count the case anew."""

    kind: Literal["reopen"]
    reason: Reason = Field(min_length=1)


ActRequest = Annotated[
    Accept | EnterIhc | Adjudicate | Sign | Reopen, Field(discriminator="kind")
]
