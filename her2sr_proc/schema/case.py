"""What people say about a case: lines of an append-only, hash-chained record."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import Region
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.reading import (
    CountEdited,
    InclusionEdited,
    NucleusRead,
    ReadingOpened,
    ReadingSigned,
    ReadWithdrawn,
)

Observer = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A pseudonym: who stands behind it is known to the laboratory alone."""
Outcome = Literal["positive", "negative"]
Identity = Literal["named by the person, not authenticated", "account"]
"""How the program came to know who acts."""
NAMED: Identity = "named by the person, not authenticated"
ACCOUNT: Identity = "account"
UNNAMED = "not-logged-in"
"""Stands for whoever was shown counts where nobody logs in."""
Point = tuple[float, float]


class Counted(Frozen):
    """Totals that one observer stands for."""

    her2: int = Field(ge=0)
    cep17: int = Field(ge=0)
    nuclei: int = Field(ge=0)


class RegionsMarked(Frozen):
    """Nuclei that a named person called tumour or not."""

    kind: Literal["regions"] = "regions"
    marks: dict[str, Region] = Field(description="field/nucleus -> region")
    areas: dict[str, str] = Field(
        default_factory=dict, description="field/nucleus -> name of the marked area"
    )
    outlines: dict[str, tuple[Point, ...]] = Field(
        default_factory=dict,
        description="name of an area -> its corners as drawn, x and y on the slide in "
        "micrometres",
    )
    classes: dict[str, Region] = Field(
        default_factory=dict, description="name of a drawn area -> region"
    )


class CountAccepted(Frozen):
    """The first count, as the scorer assessed it."""

    kind: Literal["counted"] = "counted"
    arm: str
    totals: Counted
    group: Literal[1, 2, 3, 4, 5] | None = Field(description="None: nothing to answer")
    counts_sha256: str = Field(description="of the table; empty for typed totals")
    blockers: tuple[str, ...] = ()


class Viewed(Frozen):
    """Somebody saw counts; who did is not blind any more."""

    kind: Literal["viewed"] = "viewed"


class IhcEntered(Frozen):
    """IHC of the same tissue, read together with the ISH slide."""

    kind: Literal["ihc"] = "ihc"
    value: Literal[0, 1, 2, 3]
    same_tissue: Literal[True]


class Recounted(Frozen):
    """Count of a second observer, blind to the first, in the area of IHC 2+."""

    kind: Literal["recounted"] = "recounted"
    totals: Counted
    in_ihc_2_area: Literal[True]


class Adjudicated(Frozen):
    """What the laboratory's own procedure decided."""

    kind: Literal["adjudicated"] = "adjudicated"
    outcome: Outcome


class Signed(Frozen):
    """Sign-off of the answer."""

    kind: Literal["signed"] = "signed"
    meaning: str = Field(min_length=1, max_length=200, description="of the signature")
    outcome: Outcome


class Reopened(Frozen):
    """The case is counted anew; what was said stays readable."""

    kind: Literal["reopened"] = "reopened"


Act = Annotated[
    RegionsMarked
    | CountAccepted
    | Viewed
    | IhcEntered
    | Recounted
    | Adjudicated
    | Signed
    | Reopened
    | ReadingOpened
    | NucleusRead
    | ReadWithdrawn
    | ReadingSigned
    | CountEdited
    | InclusionEdited,
    Field(discriminator="kind"),
]


class Entry(Frozen):
    """One line of the record."""

    version: Literal[1] = 1
    sequence: int = Field(ge=0)
    utc: str
    by: Observer
    identity: Identity = NAMED
    act: Act
    reason: str = Field(default="", max_length=500)
    banner: str = BANNER
    previous: str = Field(description="SHA-256 of the line before; empty in the first")
