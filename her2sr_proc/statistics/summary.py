"""Numbers that describe a group: quartiles, shares and their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.checks import Numbers, numbers


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of values."""

    n: int
    median: float
    minimum: float
    maximum: float
    q1: float
    q3: float
    mean: float
    sd: float | None
    """With n - 1; None of a single value."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share with its interval."""

    successes: int
    n: int
    low: float
    high: float
    confidence: float
    method: str = "Clopper-Pearson (exact)"

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.successes / self.n


def summarize(values: Numbers) -> Summary:
    """Describe one group; quartiles at (n + 1) p, between neighbours by line.

    That is numpy's ``weibull``, the rule of NCSS, and the only one under which the
    paper's quartiles come out. Raises `RequestError` for no value, or what is none.
    Source: Hyndman and Fan 1996, Am Stat 50:361, definition 6.
    """
    array = numbers(values, "the group", 1)
    q1, median, q3 = np.percentile(array, [25, 50, 75], method="weibull")
    return Summary(
        n=len(array),
        median=float(median),
        minimum=float(array.min()),
        maximum=float(array.max()),
        q1=float(q1),
        q3=float(q3),
        mean=float(array.mean()),
        sd=float(array.std(ddof=1)) if len(array) > 1 else None,
    )


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Proportion:
    """Return a share with its exact interval.

    Raises `RequestError` where ``successes`` of ``n`` is no share.
    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    if n < 1 or not 0 <= successes <= n:
        raise RequestError(
            f"{successes} of {n} is no share; give 0 to n of at least one sample"
        )
    if not 0 < confidence < 1:
        raise RequestError(f"a confidence of {confidence} is none; give 0 to 1")
    found = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    return Proportion(successes, n, float(found.low), float(found.high), confidence)
