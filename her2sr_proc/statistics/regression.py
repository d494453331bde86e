"""The line through background thresholds that the paper's figure 2 shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.checks import Numbers, numbers

F64 = npt.NDArray[np.float64]
LEAST_ROWS = 4
"""One more than the coefficients, so that something is left to judge the fit by."""


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """``threshold = intercept + sum of factor * figure``."""

    intercept_adu: float
    factors: Mapping[str, float]
    """By figure: mean_adu, sd_adu, and minimum_adu, maximum_adu where these were given.
    """
    r_squared: float
    left_out_rmse_adu: float
    """Rms error of each row by a line through all the others."""
    fitted_adu: F64
    """Shape (rows,)."""

    @property
    def mean_factor(self) -> float:
        """Return what a count more of the mean adds to the threshold."""
        return self.factors["mean_adu"]

    @property
    def sd_factor(self) -> float:
        """Return what a count more of the standard deviation adds."""
        return self.factors["sd_adu"]

    @property
    def is_formula(self) -> bool:
        """Whether the thresholds follow from the figures, without a choice of theirs.

        The correlation is then no evidence: it compares a formula with itself.
        """
        return 1 - self.r_squared < 1e-10


def threshold_line(
    mean_adu: Numbers,
    sd_adu: Numbers,
    threshold_adu: Numbers,
    *,
    minimum_adu: Numbers | None = None,
    maximum_adu: Numbers | None = None,
) -> ThresholdLine:
    """Fit thresholds on mean and standard deviation by ordinary least squares.

    Parameters
    ----------
    mean_adu, sd_adu, threshold_adu : numbers, shape (rows,)
        One row an image; at least four.
    minimum_adu, maximum_adu : numbers, shape (rows,), optional
        Fitted on too where given; each asks for a row more.

    Raises `RequestError` for too few rows, for what is no number, and where the rows
    do not tell the figures apart.
    """
    given = {
        "mean_adu": mean_adu,
        "sd_adu": sd_adu,
        "minimum_adu": minimum_adu,
        "maximum_adu": maximum_adu,
    }
    named = {name: values for name, values in given.items() if values is not None}
    least = LEAST_ROWS - 2 + len(named)
    columns = {name: numbers(values, name, least) for name, values in named.items()}
    t = numbers(threshold_adu, "threshold_adu", least)
    if {len(column) for column in columns.values()} != {len(t)}:
        raise RequestError("the columns differ in length; give every image all of them")
    design = np.column_stack([np.ones_like(t), *columns.values()])
    basis, corner = np.linalg.qr(design)
    if np.abs(np.diag(corner)).min() < 1e-9 * np.abs(np.diag(corner)).max():
        raise RequestError(
            f"{_listed(columns)} rise together in all rows, so that they cannot be "
            f"told apart; add images that differ"
        )
    if np.ptp(t) == 0:
        raise RequestError("all thresholds are equal; there is no line to fit")
    factors = np.linalg.solve(corner, basis.T @ t)
    fitted = design @ factors
    rest = t - fitted
    leverage = (basis**2).sum(axis=1)
    left_out = rest / np.maximum(1 - leverage, 1e-12)
    return ThresholdLine(
        intercept_adu=float(factors[0]),
        factors=dict(zip(columns, map(float, factors[1:]), strict=True)),
        r_squared=float(1 - (rest**2).sum() / ((t - t.mean()) ** 2).sum()),
        left_out_rmse_adu=float(np.sqrt((left_out**2).mean())),
        fitted_adu=np.asarray(fitted, np.float64),
    )


def _listed(names: Iterable[str]) -> str:
    """Return figures as people call them."""
    words = {"mean_adu": "mean", "sd_adu": "standard deviation"}
    *front, last = (words.get(n, n.removesuffix("_adu")) for n in names)
    return f"{', '.join(front)} and {last}"
