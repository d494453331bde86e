"""What a threshold of cleaned frames follows from: their spread, a line, or time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen

Mode = Literal["tozero", "subtract"]
"""Above the threshold a value is kept as it is, or less the threshold; else it is 0."""
Feature = Literal["mean_adu", "sd_adu", "minimum_adu", "maximum_adu"]
PAPER_K: Mapping[str, float] = {"488": 4.84, "561": 3.50}
"""Standard deviations above the mean, by channel: 488 as trained by the paper's
authors, 561 as their program's default, since no trained one was published."""
LEAST_ROWS = 8
LEAST_R_SQUARED = 0.9


class FrameFigures(Frozen):
    """What a threshold may follow from: one frame's figures, of all its pixels."""

    mean_adu: float
    sd_adu: float = Field(ge=0, description="of the population, over all pixels")
    minimum_adu: float
    maximum_adu: float


class SigmaThreshold(Frozen):
    """Mean of the frame, plus k of its standard deviations."""

    kind: Literal["sigma"] = "sigma"
    k_by_channel: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        min_length=1, description="channel -> k; 'any' holds for all"
    )
    rows: int = Field(default=0, ge=0, description="labelled frames it was fitted to")
    rms_error_adu: float | None = Field(default=None, ge=0)


class LinearThreshold(Frozen):
    """A line through thresholds that were chosen, by the figures of their frames."""

    kind: Literal["linear"] = "linear"
    channel: str = ""
    intercept_adu: float
    factors: dict[Feature, float] = Field(min_length=2)
    r_squared: float = Field(le=1)
    left_out_rmse_adu: float = Field(
        ge=0, description="of each labelled frame, by a line through the others"
    )
    rows: int = Field(ge=LEAST_ROWS)
    is_formula: bool = Field(
        description="the labels were computed from the figures: R² is no evidence"
    )


class Anchor(Frozen):
    """A threshold that was chosen for one frame."""

    frame: int = Field(ge=0, description="from 0")
    threshold_adu: float


class ScheduleThreshold(Frozen):
    """Thresholds of some frames; straight lines between, level before and after."""

    kind: Literal["schedule"] = "schedule"
    channel: str = ""
    anchors: tuple[Anchor, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for a, b in pairwise(self.anchors):
            if b.frame <= a.frame:
                raise ValueError(
                    f"frame {b.frame} stands after frame {a.frame}; give every frame "
                    f"once, in order"
                )
        return self


ThresholdModel = Annotated[
    SigmaThreshold | LinearThreshold | ScheduleThreshold, Field(discriminator="kind")
]


class CleaningParams(Frozen):
    """How the paper cleans a frame before it is fitted."""

    radius_px: float = Field(default=15.0, gt=0, description="of the rolling ball")
    is_smoothed: bool = Field(
        default=True, description="the ball rolls under the mean of 3 x 3 pixels"
    )
    threshold: ThresholdModel = SigmaThreshold(k_by_channel=dict(PAPER_K))
    mode: Mode = "tozero"


class ThresholdFile(Frozen):
    """A threshold model as it stands on disk."""

    format: Literal["her2sr-threshold"] = "her2sr-threshold"
    version: Literal[1] = 1
    model: ThresholdModel
    labels_sha256: str = Field(default="", description="of the CSV it was fitted to")
    digest: str = Field(default="", description="of the model and the labels' digest")
    banner: str = BANNER

    def sealed(self) -> Self:
        """Return the file with its digest."""
        return self.model_copy(update={"digest": self.true_digest})

    @property
    def true_digest(self) -> str:
        """Return SHA-256 over what the file says of its model."""
        text = f"{self.model.model_dump_json()}{self.labels_sha256}{self.version}"
        return hashlib.sha256(text.encode()).hexdigest()
