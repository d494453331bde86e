"""How counts become a group: the guideline's numbers, and what is asked before it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen


class ScoreParams(Frozen):
    """When a group may be called definite."""

    mode: Literal["guideline", "paper"] = Field(
        default="guideline",
        description="guideline: ratio and mean over the same nuclei; paper: the ratio "
        "over nuclei with CEP17, the mean over all",
    )
    minimum_nuclei: int = Field(
        default=20, ge=1, description="ASCO/CAP 2018: at least 20 invasive nuclei"
    )
    minimum_areas: int = Field(
        default=2, ge=1, description="ASCO/CAP: at least two areas of invasive tumour"
    )
    definite_probability: float = Field(
        default=0.95, gt=0.5, lt=1, description="of the group, with all known errors"
    )
    maximum_lacking: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="of nuclei that lack a colour; guideline",
    )
    lacking: Literal["guideline", "section"] = Field(
        default="guideline",
        description="what that share is of: guideline: all nuclei; section: those to "
        "which the cut leaves both colours of two copies each",
    )
    section_um: float = Field(
        default=3.0, gt=0, le=50, description="thickness of the laboratory's sections"
    )
    nucleus_um: float = Field(
        default=6.0,
        gt=0,
        le=50,
        description="height of a tumour nucleus across the section",
    )
    maximum_weak: float = Field(
        default=0.25, gt=0, le=1, description="of nuclei with weak signals; guideline"
    )
    minimum_her2_per_nucleus: float = Field(
        default=0.5, ge=0, description="fewer: the HER2 probe cannot be judged"
    )
    minimum_ratio: float = Field(
        default=0.6,
        ge=0,
        lt=2,
        description="rare in tissue below it, usual when channels are swapped",
    )
    maximum_cytoplasm: float = Field(
        default=0.1, gt=0, le=1, description="of signals over cytoplasm; guideline"
    )
    maximum_autofluorescence: float = Field(
        default=0.1, gt=0, le=1, description="of signals that shine in every channel"
    )
    maximum_crosstalk: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="of the rarer colour's signals on one of the other, beyond chance",
    )
    minimum_resolution: float = Field(
        default=0.3, ge=0, le=1, description="median quality of the nuclei"
    )
    maximum_ambiguous: float = Field(
        default=0.5, gt=0, le=1, description="of nuclei, above which nobody signs"
    )
    focus_relative_sd: float = Field(
        default=0.029,
        ge=0,
        le=1,
        description="of the ratio: colours focused 150 nm apart see 5 % of a 3 um "
        "section differently; uniform within that",
    )
    registration_relative_sd: float = Field(
        default=0.004,
        ge=0,
        le=1,
        description="of the ratio: colours 50 nm apart lose 0.7 % of a nucleus of "
        "9 um at its rim; uniform within that",
    )
    counter_relative_sd: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="of the ratio: what the counter may err in common for all nuclei",
    )
    trend_level: float = Field(
        default=0.01, gt=0, lt=0.5, description="p of a trend that blocks sign-off"
    )
    resamples: int = Field(default=4000, ge=100, le=1_000_000)
    seed: int = Field(
        default=2018, ge=0, description="of the resampling, so that a re-run matches"
    )
