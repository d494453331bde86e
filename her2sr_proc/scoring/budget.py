"""Errors that all nuclei have in common, which counting more nuclei never shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.sample import Sample

I64 = npt.NDArray[np.int64]
WIDTH = 2 * 1.96
"""Low and high of a count enclose it as a 95 % interval would."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Relative standard deviations."""

    her2_counter: float
    cep17_counter: float
    focus: float
    """Of the ratio."""
    registration: float
    """Of the ratio."""

    @property
    def by_colour(self) -> tuple[float, float]:
        """Of HER2 and of CEP17; what is known of the ratio alone is halved."""
        shared = (self.focus**2 + self.registration**2) / 2
        return (
            math.sqrt(self.her2_counter**2 + shared),
            math.sqrt(self.cep17_counter**2 + shared),
        )

    @property
    def of_ratio(self) -> float:
        """Of HER2 over CEP17."""
        return math.hypot(*self.by_colour)


def budget(tumour: Sample, params: ScoreParams) -> Budget:
    """Return the common errors of a sample.

    The counter's has two parts: what it may err in common, a value of the device, and
    what its own low and high leave open, which nuclei share only by chance.
    """
    device = params.counter_relative_sd / math.sqrt(2)
    return Budget(
        her2_counter=math.hypot(
            device, _open(tumour.her2, tumour.her2_low, tumour.her2_high)
        ),
        cep17_counter=math.hypot(
            device, _open(tumour.cep17, tumour.cep17_low, tumour.cep17_high)
        ),
        focus=params.focus_relative_sd,
        registration=params.registration_relative_sd,
    )


def _open(count: I64, low: I64 | None, high: I64 | None) -> float:
    total = int(count.sum())
    if low is None or high is None or total == 0:
        return 0.0
    return float(np.sqrt((((high - low) / WIDTH) ** 2).sum())) / total
