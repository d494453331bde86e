"""What stands beside a group: which nuclei, which checks, what blocks sign-off."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen

Verdict = Literal["met", "broken", "unknown"]
Interval = tuple[float, float]


class Subset(Frozen):
    """Sums over one set of nuclei, with its n."""

    nuclei: int = Field(ge=0)
    her2_signals: int = Field(ge=0)
    cep17_signals: int = Field(ge=0)
    her2_per_nucleus: float | None = None
    ratio: float | None = Field(default=None, description="None without CEP17 signals")
    ratio_interval_95: Interval | None = Field(
        default=None, description="sampling only, clustered by field"
    )
    group: Literal[1, 2, 3, 4, 5] | None = None


class Criterion(Frozen):
    """One rule of the guideline against which a test is accepted or rejected."""

    name: str
    verdict: Verdict = Field(description="unknown: nobody measured it")
    value: float | None = None
    limit: float
    words: str


class Trend(Frozen):
    """Counts of one colour against something they must not depend on."""

    probe: Literal["HER2", "CEP17"]
    against: Literal["visit order", "distance from the field's centre"]
    correlation: float | None = Field(
        description="of ranks; None: too few fields or nuclei to test"
    )
    p_value: float | None = Field(description="two-sided, by permutation")
    blocks: bool


class Control(Frozen):
    """Normal nuclei of the same slide: two copies of everything."""

    normal: Subset
    is_within: bool | None = Field(
        description="ratio within its range; None: no normal nuclei with CEP17"
    )
    tumour_cep17_copies: float | None = Field(
        default=None,
        description="2 x CEP17 of tumour over CEP17 of normal nuclei, cut alike",
    )
    tumour_cep17_copies_95: Interval | None = None


class Evidence(Frozen):
    """What was measured on the slide elsewhere; None: not measured."""

    cytoplasm_share: float | None = Field(
        default=None, ge=0, le=1, description="of signals that lie outside nuclei"
    )
    autofluorescence_share: float | None = Field(
        default=None, ge=0, le=1, description="of signals that shine in every channel"
    )
    crosstalk_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of the rarer colour's signals that lie on one of the other, "
        "beyond chance",
    )
    nuclear_resolution: float | None = Field(
        default=None, ge=0, le=1, description="median quality of the nuclei found"
    )
    external_controls_passed: bool | None = None


class Assessment(Frozen):
    """All that stands beside the group of one arm."""

    version: Literal[1] = 1
    mode: Literal["guideline", "paper"]
    accepted: Subset = Field(description="invasive nuclei; all accepted when unmarked")
    both_colours: Subset = Field(description="those with a signal of each colour")
    ratio_set: Subset = Field(description="the nuclei that the group's ratio is from")
    is_marked: bool
    areas: int | None = Field(description="of invasive tumour; None: not known")
    criteria: tuple[Criterion, ...]
    trends: tuple[Trend, ...]
    second_population: Subset | None = None
    control: Control
    sampling_probabilities: dict[str, float] = Field(
        description="of the groups, sampling only"
    )
    error_budget: dict[str, float] = Field(
        description="relative standard deviations of errors common to all nuclei"
    )
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    blockers: tuple[str, ...] = Field(
        default=(), description="why nobody can sign this as final"
    )
