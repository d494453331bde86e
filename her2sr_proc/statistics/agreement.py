"""How far two observers, or two ways of counting, agree. Numbers in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.checks import Counts, Numbers, differences, numbers, table
from her2sr_proc.statistics.summary import Proportion, clopper_pearson

F64 = npt.NDArray[np.float64]
ROUNDING = 1e-12
"""Of the largest rating: what differs by less does so in the last digits alone."""
Weights = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement on categories beyond chance."""

    kappa: float
    standard_error: float
    interval_95: tuple[float, float] | None
    """Asymptotic; None in full agreement, where it has no width."""
    agreement: Proportion
    """Of cases in the same category, with its own exact interval."""
    n: int
    weights: Weights


@dataclass(frozen=True, slots=True)
class Icc:
    """Agreement on numbers: ICC(2,1)."""

    icc: float
    interval_95: tuple[float, float]
    cases: int
    raters: int


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Differences of pairs, second - first, against their means."""

    n: int
    bias: float
    sd: float
    lower_limit: float
    upper_limit: float
    bias_interval_95: tuple[float, float]
    lower_limit_interval_95: tuple[float, float]
    upper_limit_interval_95: tuple[float, float]
    slope: float | None
    """Of the difference over the mean; None where all means are equal."""
    slope_p: float | None
    """None too for fewer than three pairs, and where all differences are equal."""


def kappa(counts: Counts, weights: Weights = "none") -> Kappa:
    """Return Cohen's kappa of a square table: first rater in rows, second in columns.

    Weights take near categories as partly agreed; they need an order. Raises
    `RequestError` for what is no square table, and where both raters used one and the
    same category alone, which leaves nothing for chance to disagree on.
    Source: Cohen 1960, Educ Psychol Meas 20:37; error: Fleiss, Cohen and Everitt 1969,
    Psychol Bull 72:323.
    """
    seen = table(counts, square=True)
    n = int(seen.sum())
    share: F64 = seen / n
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    credit = _credit(len(seen), weights)
    observed = float((credit * share).sum())
    expected = float(rows @ credit @ columns)
    if expected >= 1.0 - 1e-12:
        raise RequestError(
            "both raters used one category alone, so that kappa is not defined; "
            "report the agreement itself"
        )
    value = (observed - expected) / (1 - expected)
    mean = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    spread = float((share * (credit - mean * (1 - value)) ** 2).sum())
    spread -= (value - expected * (1 - value)) ** 2
    error = max(0.0, spread / n) ** 0.5 / (1 - expected)
    reach = float(stats.norm.ppf(0.975)) * error
    agreed = int(np.trace(seen))
    return Kappa(
        kappa=value,
        standard_error=error,
        interval_95=(max(-1.0, value - reach), min(1.0, value + reach))
        if agreed < n
        else None,
        agreement=clopper_pearson(agreed, n),
        n=n,
        weights=weights,
    )


def icc(ratings: npt.ArrayLike) -> Icc:
    """Return ICC(2,1): any rater of a kind, absolute agreement, a single rating.

    Parameters
    ----------
    ratings : numbers, shape (cases, raters)
        At least two of each, none missing.

    Raises `RequestError` for another shape, for what is no number, and where all
    ratings are equal.
    Source: Shrout and Fleiss 1979, Psychol Bull 86:420; interval: McGraw and Wong
    1996, Psychol Methods 1:30, case 2A.
    """
    try:
        x = np.asarray(ratings, np.float64)
    except ValueError as exc:
        raise RequestError(
            "the cases differ in how many ratings they have; leave out those that not "
            "all raters rated"
        ) from exc
    if x.ndim != 2 or min(x.shape) < 2:
        raise RequestError(
            f"ratings of shape {x.shape} show no agreement; give at least two cases "
            f"and two raters"
        )
    x = numbers(x.ravel(), "the ratings", 4).reshape(x.shape[0], x.shape[1])
    if np.ptp(x) == 0:
        raise RequestError(
            "all ratings are equal, so that cases cannot be told apart; ICC is not "
            "defined"
        )
    n, k = x.shape
    case, rater, rest = _mean_squares(x)
    if case == 0.0:
        raise RequestError(
            "every case has the same mean rating, so that cases cannot be told apart; "
            "ICC is not defined"
        )
    below = case + (k - 1) * rest + k * (rater - rest) / n
    if below <= 0:
        raise RequestError("the ratings vary too little for an ICC; add cases")
    value = (case - rest) / below
    return Icc(value, _icc_interval(case, rater, rest, (n, k), value), n, k)


def bland_altman(first: Numbers, second: Numbers) -> BlandAltman:
    """Return bias and limits of agreement of pairs, with their intervals.

    Raises `RequestError` for lists that differ in length, fewer than two pairs, or
    what is no number.
    Source: Bland and Altman 1986, Lancet 327:307; 1999, Stat Methods Med Res 8:135.
    """
    a = numbers(first, "the first of the pairs", 2)
    b = numbers(second, "the second of the pairs", 2)
    if len(a) != len(b):
        raise RequestError(
            f"{len(a)} and {len(b)} values are no pairs; give each case both values"
        )
    gaps, means, n = differences(a, b), (a + b) / 2, len(a)
    bias, sd = float(gaps.mean()), float(gaps.std(ddof=1))
    z, t = float(stats.norm.ppf(0.975)), float(stats.t.ppf(0.975, n - 1))
    half = t * sd / n**0.5
    reach = t * sd * (1 / n + z * z / (2 * (n - 1))) ** 0.5
    low, high = bias - z * sd, bias + z * sd
    slope, slope_p = _slope(means, gaps)
    return BlandAltman(
        n=n,
        bias=bias,
        sd=sd,
        lower_limit=low,
        upper_limit=high,
        bias_interval_95=(bias - half, bias + half),
        lower_limit_interval_95=(low - reach, low + reach),
        upper_limit_interval_95=(high - reach, high + reach),
        slope=slope,
        slope_p=slope_p,
    )


def _credit(categories: int, weights: Weights) -> F64:
    """Return how much of an agreement each pair of categories is, from 0 to 1."""
    place = np.arange(categories, dtype=np.float64)
    apart = np.abs(place[:, None] - place[None, :])
    if weights == "none":
        return np.asarray(apart == 0, np.float64)
    apart /= categories - 1
    return np.asarray(1 - (apart if weights == "linear" else apart**2), np.float64)


def _mean_squares(x: F64) -> tuple[float, float, float]:
    """Return mean squares of cases, of raters and of the rest."""
    n, k = x.shape
    grand = x.mean()
    cases, raters = x.mean(axis=1), x.mean(axis=0)
    rest = x - cases[:, None] - raters[None, :] + grand
    found = (
        float(k * ((cases - grand) ** 2).sum() / (n - 1)),
        float(n * ((raters - grand) ** 2).sum() / (k - 1)),
        float((rest**2).sum() / ((n - 1) * (k - 1))),
    )
    floor = (ROUNDING * float(np.abs(x).max())) ** 2
    case, rater, left = (square if square > floor else 0.0 for square in found)
    return case, rater, left


def _icc_interval(
    case: float, rater: float, rest: float, shape: tuple[int, int], value: float
) -> tuple[float, float]:
    n, k = shape
    if value >= 1.0 or (rest <= 0 and rater <= 0):
        return 1.0, 1.0
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    above = (a * rater + b * rest) ** 2
    below = (a * rater) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1))
    freedom = above / below
    f_low = float(stats.f.ppf(0.975, n - 1, freedom))
    f_high = float(stats.f.ppf(0.975, freedom, n - 1))
    spread = k * rater + (k * n - k - n) * rest
    low = n * (case - f_low * rest) / (f_low * spread + n * case)
    high = n * (f_high * case - rest) / (spread + n * f_high * case)
    if not (np.isfinite(low) and np.isfinite(high)):
        return min(value, -1.0 / (k - 1)), 1.0  # so few cases that nothing is excluded
    # Satterthwaite's degrees of freedom may miss an estimate far below 0
    return min(low, value), max(high, value)


def _slope(means: F64, gaps: F64) -> tuple[float | None, float | None]:
    if np.ptp(means) == 0:
        return None, None
    if np.ptp(gaps) == 0:
        return 0.0, None
    found = stats.linregress(means, gaps)
    return float(found.slope), float(found.pvalue) if len(means) > 2 else None
