"""From counts of nuclei to an ASCO/CAP 2018 group. Knows neither files nor images.

Groups are decided on whole numbers: a ratio of 2.0 is two integers compared, never a
rounded quotient. Breast carcinoma only.
Source: Wolff et al. 2018, J Clin Oncol 36:2105, doi:10.1200/JCO.2018.77.8738.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from her2sr_proc.schema.params import ScoreParams
from her2sr_proc.schema.results import Arm, Status

I64 = npt.NDArray[np.int64]
Group = Literal[1, 2, 3, 4, 5]
GROUPS: tuple[Group, ...] = (1, 2, 3, 4, 5)
NEEDS_IHC: frozenset[Group] = frozenset({2, 3, 4})
UNDECIDED = "none"
"""Key of the probability that a resample has no CEP17 signal, hence no group."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the guideline's rules look at: sums over the counted nuclei."""

    her2: int
    cep17: int
    nuclei: int

    @property
    def ratio(self) -> float | None:
        """HER2 over CEP17; None without a CEP17 signal."""
        return self.her2 / self.cep17 if self.cep17 else None


def group_of(totals: Totals) -> Group | None:
    """Return the ISH group, or None when no ratio can be formed.

    Source: Wolff et al. 2018, figures 3 to 6; limits as exact fractions.
    """
    if totals.nuclei == 0 or totals.cep17 == 0:
        return None
    ratio_high = totals.her2 >= 2 * totals.cep17
    at_least_four = totals.her2 >= 4 * totals.nuclei
    at_least_six = totals.her2 >= 6 * totals.nuclei
    if ratio_high:
        return 1 if at_least_four else 2
    if at_least_six:
        return 3
    return 4 if at_least_four else 5


def score(
    her2: I64, cep17: I64, *, params: ScoreParams, generator: np.random.Generator
) -> Arm:
    """Score one arm.

    Parameters
    ----------
    her2, cep17 : int64 arrays, shape (nuclei,)
        Signals of the same nuclei in the same order.
    params : ScoreParams
        Number of resamples, limits of the status.
    generator : numpy Generator
        Draws the resamples of the group's probabilities.
    """
    totals = Totals(int(her2.sum()), int(cep17.sum()), len(her2))
    group = group_of(totals)
    probabilities = group_probabilities(her2, cep17, params.resamples, generator)
    status, reasons = _status(totals, group, probabilities, params)
    return Arm(
        her2_signals=totals.her2,
        cep17_signals=totals.cep17,
        nuclei=totals.nuclei,
        her2_per_nucleus=_per_nucleus(totals.her2, totals.nuclei),
        cep17_per_nucleus=_per_nucleus(totals.cep17, totals.nuclei),
        ratio=totals.ratio,
        ratio_interval_95=ratio_interval(her2, cep17),
        group=group,
        group_probabilities=probabilities,
        status=status,
        reasons=reasons,
    )


def ratio_interval(
    her2: I64, cep17: I64, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return Fieller's interval of the ratio of sums: sampling of nuclei only.

    None when it is unbounded (the mean CEP17 does not differ from nothing) or when
    fewer than two nuclei were counted.
    Source: Fieller 1954, J R Stat Soc B 16:175; means of paired observations.
    """
    n = len(her2)
    if n < 2:
        return None
    h, c = float(her2.mean()), float(cep17.mean())
    (hh, hc), (_, cc) = np.cov(her2, cep17) / n
    t2 = float(student.ppf(0.5 + confidence / 2, n - 1)) ** 2
    a = c * c - t2 * cc
    if a <= 0:
        return None
    b = h * c - t2 * hc
    root = max(0.0, b * b - a * (h * h - t2 * hh)) ** 0.5
    return max(0.0, float((b - root) / a)), float((b + root) / a)


def group_probabilities(
    her2: I64, cep17: I64, resamples: int, generator: np.random.Generator
) -> dict[str, float]:
    """Return how often nuclei drawn anew fall into each group; empty without nuclei."""
    n = len(her2)
    if n == 0:
        return {}
    drawn = generator.integers(0, n, (resamples, n))
    h, c = her2[drawn].sum(axis=1), cep17[drawn].sum(axis=1)
    high, four, six = h >= 2 * c, h >= 4 * n, h >= 6 * n
    group = np.where(high, np.where(four, 1, 2), np.where(six, 3, np.where(four, 4, 5)))
    group[c == 0] = 0
    shares = np.bincount(group, minlength=6) / resamples
    names = (UNDECIDED, *(str(g) for g in GROUPS))
    return {name: float(p) for name, p in zip(names, shares, strict=True) if p > 0}


def _per_nucleus(signals: int, nuclei: int) -> float | None:
    return signals / nuclei if nuclei else None


def _status(
    totals: Totals,
    group: Group | None,
    probabilities: dict[str, float],
    params: ScoreParams,
) -> tuple[Status, tuple[str, ...]]:
    """Return what may be said with this group, and every reason against more."""
    blocking = _no_answer(totals)
    if group is None or blocking:
        return "indeterminate", blocking
    few = _too_little(totals, group, probabilities, params)
    ihc = (f"group {group} needs IHC on the same tissue",) if group in NEEDS_IHC else ()
    reasons = (*few, *ihc, *_rounding(totals))
    if totals.nuclei < params.minimum_nuclei:
        return "insufficient", reasons
    if ihc:
        return "needs_ihc", reasons
    return ("insufficient" if few else "definite"), reasons


def _no_answer(totals: Totals) -> tuple[str, ...]:
    if totals.nuclei == 0:
        return ("no nucleus was accepted",)
    reasons = []
    if totals.cep17 == 0:
        reasons.append("no CEP17 signal: there is no ratio")
    if totals.her2 == 0:
        reasons.append("no HER2 signal: the hybridization cannot be judged")
    return tuple(reasons)


def _too_little(
    totals: Totals,
    group: Group,
    probabilities: dict[str, float],
    params: ScoreParams,
) -> tuple[str, ...]:
    reasons = []
    if totals.nuclei < params.minimum_nuclei:
        reasons.append(
            f"{totals.nuclei} nuclei counted, {params.minimum_nuclei} are required"
        )
    chance = probabilities.get(str(group), 0.0)
    if chance < params.definite_probability:
        reasons.append(
            f"sampling alone leaves group {group} at P = {chance:.2f}, below "
            f"{params.definite_probability:.2f}: count more nuclei"
        )
    return tuple(reasons)


def _rounding(totals: Totals) -> tuple[str, ...]:
    """Return a reason for each limit that two printed decimals would cross."""
    limits = (
        ("ratio", totals.her2, totals.cep17, 2),
        ("HER2 per nucleus", totals.her2, totals.nuclei, 4),
        ("HER2 per nucleus", totals.her2, totals.nuclei, 6),
    )
    return tuple(
        f"the {name} prints as {limit}.00 but lies below it"
        for name, above, below, limit in limits
        if above < limit * below and round(above / below, 2) >= limit
    )
