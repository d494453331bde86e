"""A second population of nuclei with more HER2: searched for, and counted apart.

Source of the rule: Wolff et al. 2018, J Clin Oncol 36:2105: cells with more HER2
signals that are more than 10 % of the tumour are counted separately.

In a section thinner than a nucleus the knife alone makes nuclei of many and of few
signals out of one population; where the rule of the section is used, the search knows
by how much (`her2sr_proc.scoring.cut`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
LEAST_SHARE = 0.1
LEAST_TIMES = 2.0
"""Means nearer than this are one population that scatters."""
LEAST_GAIN = 4.0
"""Twice the log-likelihood that a second mean must gain. One population gains more in
about 1 of 100 samples (measured in ``docs/scoring.md``)."""
LEAST_NUCLEI = 10
DISPERSIONS = np.array([0.0, 0.04, 0.09, 0.16, 0.25])
"""Squared relative scatter of copies between cells of one population. It ends at a half
of the mean: with more, one population could imitate any two."""
STEPS = 60
WHOLE = np.ones(1)
"""Nuclei that the knife spared, or whose cut nobody stated."""
CUTS = 40
"""Depths of the cut that the likelihood is averaged over."""


def relative_cuts(shares: F64) -> F64:
    """Return what a few even depths of the cut leave, over what it leaves on average.

    Parameters
    ----------
    shares : float64 array
        Of `her2sr_proc.scoring.cut.retained_shares`.
    """
    parts = np.sort(shares).reshape(CUTS, -1).mean(axis=1)
    return np.asarray(parts / parts.mean(), np.float64)


def second_population(her2: I64, cuts: F64 = WHOLE) -> Mask | None:
    """Return which nuclei are of a second population; None when there is none.

    One and two gamma-Poisson populations of a common dispersion are fitted by expected
    log-likelihood; a second must gain enough, be more than a tenth of the nuclei, and
    show at least twice the HER2.

    Parameters
    ----------
    her2 : int64 array, shape (nuclei,)
    cuts : float64 array
        Of `relative_cuts`: each as likely for any nucleus.
    """
    if len(her2) < LEAST_NUCLEI or int(np.ptp(her2)) == 0:
        return None
    counts = her2.astype(np.float64)
    laws = [_Law(dispersion, cuts) for dispersion in DISPERSIONS]
    one = max(law.of(counts, float(counts.mean())).sum() for law in laws)
    two, means, membership = max(
        (_mixture(counts, law) for law in laws), key=lambda fit: fit[0]
    )
    is_second = membership > 0.5
    if 2.0 * (two - one) < LEAST_GAIN or means[1] < LEAST_TIMES * means[0]:
        return None
    if is_second.sum() <= LEAST_SHARE * len(counts) or is_second.all():
        return None
    return np.asarray(is_second, bool)


@dataclass(frozen=True, slots=True)
class _Law:
    """How counts of one population scatter."""

    dispersion: float
    """Squared relative scatter of copies between cells."""
    cuts: F64
    """What the knife leaves of a nucleus, 1 on average."""

    def of(self, counts: F64, mean: float) -> F64:
        """Return the log-likelihood of each count."""
        kinds, place = np.unique(counts, return_inverse=True)
        means = np.maximum(mean * self.cuts[:, None], 1e-6)
        by_cut = _likelihood(kinds[None, :], self.dispersion, means)
        return np.asarray(
            (logsumexp(by_cut, axis=0) - math.log(len(self.cuts)))[place], np.float64
        )


def _likelihood(counts: F64, dispersion: float, mean: F64) -> F64:
    """Return the log-likelihood of each count, gamma-Poisson or Poisson."""
    if dispersion == 0.0:
        return np.asarray(counts * np.log(mean) - mean - gammaln(counts + 1))
    size = 1.0 / dispersion
    return np.asarray(
        gammaln(counts + size)
        - gammaln(size)
        - gammaln(counts + 1)
        + size * np.log(size / (size + mean))
        + counts * np.log(mean / (size + mean))
    )


def _mixture(counts: F64, law: _Law) -> tuple[float, tuple[float, float], F64]:
    """Return log-likelihood, both means, and each nucleus's chance of the higher."""
    split = float(np.quantile(counts, 0.75))
    high = (counts > min(split, float(counts.max()) - 0.5)).astype(np.float64)
    best = -math.inf
    low_mean = high_mean = 0.0
    for _ in range(STEPS):
        share = min(max(float(high.mean()), 1e-6), 1 - 1e-6)
        high_mean = float((high * counts).sum() / max(high.sum(), 1e-9))
        rest = 1.0 - high
        low_mean = float((rest * counts).sum() / max(rest.sum(), 1e-9))
        a = math.log(1 - share) + law.of(counts, low_mean)
        b = math.log(share) + law.of(counts, high_mean)
        both = np.logaddexp(a, b)
        high = np.exp(b - both)
        value = float(both.sum())
        if value - best < 1e-6:
            break
        best = value
    return max(best, value), (low_mean, high_mean), high
