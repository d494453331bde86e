"""How sure a ratio of sums is: Fieller's interval over fields, and a wider one.

Nuclei of one field share focus, thickness and hybridization, so that the field, not
the nucleus, is what was drawn at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Interval = tuple[float, float]
LEAST_FIELDS = 4
"""With fewer fields their spread says nothing: nuclei are taken as independent."""
CONFIDENCE = 0.95
AFTER_WIDTH = 0.965
"""Asked of an interval after a stop on its own width, so that it covers 95 %: such a
stop prefers samples whose scatter looks small (measured in ``docs/scoring.md``)."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Means of both colours a nucleus, and how they scatter between samples."""

    her2: float
    cep17: float
    her2_variance: float
    covariance: float
    cep17_variance: float
    degrees: float
    """Of freedom of the variances."""
    clusters: int
    """Fields that were drawn; 0 when nuclei were taken as independent."""


def spread(her2: I64, cep17: I64, field: I64 | None = None) -> Spread | None:
    """Return means and their covariance; None with fewer than two nuclei.

    Parameters
    ----------
    her2, cep17 : int64 arrays, shape (nuclei,)
    field : int64 array, shape (nuclei,), optional
        Code of each nucleus's field, at least 0.

    Source: variance of a mean between clusters, Cochran 1977, Sampling Techniques,
    chapter 9A, with the factor k / (k - 1) and k - 1 degrees of freedom. Departure: k
    is the effective number of fields, so that fields of unequal size do not make the
    interval too narrow.
    """
    n = len(her2)
    if n < 2:
        return None
    counts = np.stack([her2, cep17]).astype(np.float64)
    means = counts.mean(axis=1)
    residuals = counts - means[:, None]
    clusters = 0 if field is None else len(np.unique(field))
    if field is not None and clusters >= LEAST_FIELDS:
        residuals = np.stack([np.bincount(field, row) for row in residuals])
    else:
        clusters = 0
    drawn = _effective(np.bincount(field)) if clusters and field is not None else n
    (hh, hc), (_, cc) = residuals @ residuals.T * (drawn / (drawn - 1) / n**2)
    return Spread(
        her2=float(means[0]),
        cep17=float(means[1]),
        her2_variance=float(hh),
        covariance=float(hc),
        cep17_variance=float(cc),
        degrees=drawn - 1,
        clusters=clusters,
    )


def _effective(sizes: I64) -> float:
    """Return how many fields of one size would scatter as these (Kish 1965)."""
    return float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())


def fieller(found: Spread, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of the ratio of means; None when it is unbounded.

    Source: Fieller 1954, J R Stat Soc B 16:175; means of paired observations.
    """
    h, c = found.her2, found.cep17
    t2 = float(student.ppf(0.5 + confidence / 2, found.degrees)) ** 2
    a = c * c - t2 * found.cep17_variance
    if a <= 0:
        return None
    b = h * c - t2 * found.covariance
    root = math.sqrt(max(0.0, b * b - a * (h * h - t2 * found.her2_variance)))
    return max(0.0, (b - root) / a), (b + root) / a


def ratio_interval(
    her2: I64, cep17: I64, confidence: float = CONFIDENCE, field: I64 | None = None
) -> Interval | None:
    """Return Fieller's interval of the ratio of sums: sampling of nuclei only.

    None when it is unbounded (the mean CEP17 does not differ from nothing) or when
    fewer than two nuclei were counted.

    ``her2, cep17, field``: int64, shape (nuclei,); nuclei of one field vary together.
    """
    found = spread(her2, cep17, field)
    return None if found is None else fieller(found, confidence)


def mean_interval(
    her2: I64, field: I64 | None = None, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return Student's interval of the signals a nucleus; None below two nuclei.

    ``her2, field``: int64, shape (nuclei,); nuclei of one field vary together.
    """
    found = spread(her2, her2, field)
    if found is None:
        return None
    reach = float(student.ppf(0.5 + confidence / 2, found.degrees))
    reach *= math.sqrt(found.her2_variance)
    return max(0.0, found.her2 - reach), found.her2 + reach


def widened(
    interval: Interval, ratio: float, relative_sd: float, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval with an error common to all nuclei added.

    Half widths are added in squares on the scale of logarithms, where a common
    relative error is the same everywhere; a bound of 0 stays.
    """
    if ratio <= 0.0:
        return interval
    extra = float(norm.ppf(0.5 + confidence / 2)) * relative_sd
    low, high = interval
    below = math.hypot(math.log(ratio / low), extra) if low > 0 else math.inf
    above = math.hypot(math.log(high / ratio), extra)
    return ratio * math.exp(-below), ratio * math.exp(above)
