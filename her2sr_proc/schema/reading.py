"""What people say about single nuclei: blind readings, and edits of machine counts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.results import ArmName

Picture = Literal["superresolution", "conventional"]
"""What a person counts on; `sr` and `sr_merged` are two counts of one picture."""
ReadingId = Annotated[str, Field(pattern=r"^reading-[1-9]\d{0,3}$")]
NucleusKey = Annotated[str, Field(pattern=r"^r\d{2,3}_c\d{2,3}/[1-9]\d{0,6}$")]
"""field/nucleus"""
Signals = Annotated[int, Field(ge=0, le=999)]
MOST_ITEMS = 1000


def require_counts(
    her2: int | None, cep17: int | None, *, is_excluded: bool, is_unsure: bool
) -> None:
    """Raise `ValueError` unless there are both counts, or an exclusion without any."""
    has = her2 is not None, cep17 is not None
    if is_excluded and (any(has) or is_unsure):
        raise ValueError("an excluded nucleus has no counts and no doubt; omit them")
    if not is_excluded and not all(has):
        raise ValueError("counts of both HER2 and CEP17 are asked for")


class ReadingItem(Frozen):
    """One picture of one nucleus, to be counted once."""

    nucleus: NucleusKey
    picture: Picture


class ReadingOpened(Frozen):
    """A person begins to count pictures in random order, blind to every other count."""

    kind: Literal["reading_opened"] = "reading_opened"
    reading: ReadingId
    seed: int = Field(ge=0, lt=2**63, description="of the order")
    items: tuple[ReadingItem, ...] = Field(
        min_length=1, max_length=MOST_ITEMS, description="in the order shown"
    )


class NucleusRead(Frozen):
    """What a person saw in one picture; a later line replaces it."""

    kind: Literal["read"] = "read"
    reading: ReadingId
    item: int = Field(ge=1, description="place in the order, from 1")
    her2: Signals | None = Field(description="None only where excluded")
    cep17: Signals | None
    is_unsure: bool = Field(default=False, description="counted, and doubted")
    is_excluded: bool = Field(default=False, description="not a nucleus to be counted")

    @model_validator(mode="after")
    def _has_counts_or_none(self) -> Self:
        require_counts(
            self.her2,
            self.cep17,
            is_excluded=self.is_excluded,
            is_unsure=self.is_unsure,
        )
        return self


class ReadWithdrawn(Frozen):
    """A person takes back what was said of one picture."""

    kind: Literal["read_withdrawn"] = "read_withdrawn"
    reading: ReadingId
    item: int = Field(ge=1)


class ReadingSigned(Frozen):
    """Nothing of a reading changes after this."""

    kind: Literal["reading_signed"] = "reading_signed"
    reading: ReadingId
    meaning: str = Field(min_length=1, max_length=200, description="of the signature")


class CountEdited(Frozen):
    """A person's count in place of the machine's, which stays readable here."""

    kind: Literal["count_edited"] = "count_edited"
    nucleus: NucleusKey
    arm: ArmName
    her2: Signals
    cep17: Signals
    machine_her2: int = Field(ge=0)
    machine_cep17: int = Field(ge=0)
    revision: int = Field(ge=0, description="edits of this nucleus that the person saw")


class InclusionEdited(Frozen):
    """A person takes a nucleus out of the count, or back into it."""

    kind: Literal["inclusion_edited"] = "inclusion_edited"
    nucleus: NucleusKey
    is_excluded: bool
    machine_excluded: bool
    machine_reason: str = Field(default="", max_length=500)
    revision: int = Field(ge=0)
