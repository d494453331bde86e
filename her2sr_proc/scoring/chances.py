"""P(group): how sure the group is, with everything known to be unsure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from her2sr_proc.scoring.groups import GROUPS
from her2sr_proc.scoring.intervals import Spread

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
UNDECIDED = "none"
"""Key of the probability that there is no CEP17 signal, hence no group."""


def group_probabilities(
    found: Spread | None,
    *,
    relative_sd: tuple[float, float],
    draws: int,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Return the chance of each group for the specimen; empty below two nuclei.

    Means are drawn from Student's distribution around those counted, with the fields'
    covariance, then multiplied by errors common to all nuclei.

    Parameters
    ----------
    found : Spread or None
        Of the counted nuclei.
    relative_sd : (float, float)
        Common relative error of HER2 and of CEP17; 0: sampling only.
    draws : int
    generator : numpy Generator
    """
    if found is None:
        return {}
    h, c = _means(found, draws, generator)
    common = np.exp(generator.standard_normal((2, draws)) * np.array([relative_sd]).T)
    return _shares(h * common[0], c * common[1])


def _means(
    found: Spread, draws: int, generator: np.random.Generator
) -> tuple[F64, F64]:
    """Return draws of the two means; a colour without scatter stays as counted."""
    normal = generator.standard_normal((2, draws))
    scale = np.sqrt(found.degrees / generator.chisquare(found.degrees, draws))
    sd = found.her2_variance**0.5
    slope = found.covariance / sd if sd else 0.0
    rest = max(0.0, found.cep17_variance - slope**2) ** 0.5
    h = found.her2 + scale * sd * normal[0]
    c = found.cep17 + scale * (slope * normal[0] + rest * normal[1])
    return h, c


def totals_probabilities(
    her2: int, cep17: int, nuclei: int, *, draws: int, generator: np.random.Generator
) -> dict[str, float]:
    """Return the chance of each group when totals alone are known: Poisson counts.

    Typed totals have no scatter of their own. Poisson is wider than nuclei of equal
    cells, narrower than mixed ones. Gamma(count + 1/2) are draws of the mean under
    Jeffreys' prior.
    """
    if nuclei == 0:
        return {}
    h = generator.gamma(her2 + 0.5, 1.0 / nuclei, draws)
    c = generator.gamma(cep17 + 0.5, 1.0 / nuclei, draws)
    return _shares(h, c)


def _shares(h: F64, c: F64) -> dict[str, float]:
    high, four, six = h >= 2 * c, h >= 4, h >= 6
    group = np.where(high, np.where(four, 1, 2), np.where(six, 3, np.where(four, 4, 5)))
    group[c <= 0] = 0
    shares = np.bincount(group, minlength=6) / len(h)
    names = (UNDECIDED, *(str(g) for g in GROUPS))
    return {name: float(p) for name, p in zip(names, shares, strict=True) if p > 0}
