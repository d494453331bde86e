"""A cohort: what is known of each sample, and what each arm counted in it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.results import ArmName

HerStatus = Literal["positive", "negative"]
GroupCell = Literal["1", "2", "3", "4", "5", "unevaluable"]
Kind = Literal["continuous", "ordinal", "nominal"]
SAMPLE = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class ArmFigures(Frozen):
    """What one arm counted in one sample; None where it is not known."""

    nuclei: int | None = Field(default=None, ge=0, description="counted in all")
    her2_nuclei: int | None = Field(default=None, ge=0, description="with signals")
    her2_ambiguous_nuclei: int | None = Field(default=None, ge=0)
    her2_signals: int | None = Field(default=None, ge=0)
    her2_per_nucleus: float | None = Field(default=None, ge=0)
    cep17_nuclei: int | None = Field(default=None, ge=0, description="with signals")
    cep17_ambiguous_nuclei: int | None = Field(default=None, ge=0)
    cep17_signals: int | None = Field(default=None, ge=0)
    cep17_per_nucleus: float | None = Field(default=None, ge=0)
    ratio: float | None = Field(default=None, ge=0)
    group: GroupCell | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for probe in ("her2", "cep17"):
            nuclei = getattr(self, f"{probe}_nuclei")
            if self.nuclei is not None and nuclei is not None and nuclei > self.nuclei:
                raise ValueError(
                    f"{nuclei} nuclei with {probe.upper()} signals are more than the "
                    f"{self.nuclei} counted"
                )
        return self


class Sample(Frozen):
    """One row of the cohort."""

    sample: str = Field(pattern=SAMPLE, description="a pseudonym, never a name")
    status: HerStatus = Field(description="HER2, by routine diagnosis")
    features: dict[str, float | str] = Field(
        default_factory=dict, description="characteristic -> value; absent: not known"
    )
    arms: dict[ArmName, ArmFigures] = Field(default_factory=dict)
    run: str | None = Field(default=None, description="run folder with its images")


class Feature(Frozen):
    """One characteristic of the samples, and how groups are compared on it."""

    name: str = Field(description="the column's name")
    title: str
    kind: Kind
    levels: tuple[str, ...] = Field(
        default=(), description="in order; empty: as found in the cohort"
    )
    level_titles: tuple[str, ...] = ()
    least: float | None = Field(default=None, description="of a number")


FEATURES: tuple[Feature, ...] = (
    Feature(name="age_years", title="Age, years", kind="continuous", least=0),
    Feature(
        name="pt",
        title="pT",
        kind="ordinal",
        levels=("1", "2", "3", "4"),
        level_titles=("pT1", "pT2", "pT3", "pT4"),
    ),
    Feature(name="size_mm", title="Tumour size, mm", kind="continuous", least=0),
    Feature(name="tumour_type", title="Tumour type", kind="nominal"),
    Feature(name="pn", title="pN", kind="nominal"),
    Feature(
        name="therapy",
        title="Systemic therapy",
        kind="nominal",
        levels=("response", "non-response"),
        level_titles=("Response", "Non-response"),
    ),
    Feature(
        name="follow_up",
        title="Follow-up status",
        kind="nominal",
        levels=("relapse", "death", "neither"),
        level_titles=("Relapse", "Death", "Neither"),
    ),
    Feature(
        name="ihc",
        title="HER2 status (IHC)",
        kind="nominal",
        levels=("0", "1", "2", "3"),
        level_titles=("0", "1+", "2+", "3+"),
    ),
    Feature(
        name="sr_status",
        title="HER2 status (super-resolution)",
        kind="nominal",
        levels=("positive", "negative"),
        level_titles=("Positive", "Negative"),
    ),
)
"""Characteristics with a column of their own; any other is named with its kind."""


class Cohort(Frozen):
    """All samples, with the characteristics that they have in common."""

    name: str
    features: tuple[Feature, ...]
    samples: tuple[Sample, ...] = Field(min_length=1)

    def arms(self) -> tuple[ArmName, ...]:
        """Return the arms of which any sample tells something, the headline first."""
        found = {arm for sample in self.samples for arm in sample.arms}
        order: tuple[ArmName, ...] = ("sr_merged", "sr", "conventional")
        return tuple(arm for arm in order if arm in found)


class ThresholdRow(Frozen):
    """Statistics of one image and the background threshold chosen for it."""

    mean_adu: float
    sd_adu: float = Field(ge=0)
    threshold_adu: float
    minimum_adu: float | None = None
    maximum_adu: float | None = None
    frame: int | None = Field(default=None, ge=0, description="from 0")
    channel: str = Field(default="", description="such as 488")
    label: str = ""


class ObserverRow(Frozen):
    """What one observer found in one case, such as a sample or a nucleus."""

    case: str = Field(pattern=SAMPLE, description="a pseudonym")
    observer: str = Field(pattern=SAMPLE, description="a pseudonym")
    her2: float | None = Field(default=None, ge=0, description="signals")
    cep17: float | None = Field(default=None, ge=0, description="signals")
    group: GroupCell | None = None
