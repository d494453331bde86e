"""The line through background thresholds that the paper's figure 2 shows."""

from __future__ import annotations

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
    """``threshold = intercept + mean_factor * mean + sd_factor * sd``."""

    intercept_adu: float
    mean_factor: float
    sd_factor: float
    r_squared: float
    left_out_rmse_adu: float
    """Rms error of each row by a line through all the others."""
    fitted_adu: F64
    """Shape (rows,)."""

    @property
    def is_formula(self) -> bool:
        """Whether the thresholds follow from mean and SD, without a choice of theirs.

        The correlation is then no evidence: it compares a formula with itself.
        """
        return 1 - self.r_squared < 1e-10


def threshold_line(
    mean_adu: Numbers, sd_adu: Numbers, threshold_adu: Numbers
) -> ThresholdLine:
    """Fit thresholds on mean and standard deviation by ordinary least squares.

    Parameters
    ----------
    mean_adu, sd_adu, threshold_adu : numbers, shape (rows,)
        One row an image; at least four.

    Raises `RequestError` for too few rows, for what is no number, and where the rows
    do not tell mean and standard deviation apart.
    """
    m = numbers(mean_adu, "mean_adu", LEAST_ROWS)
    s = numbers(sd_adu, "sd_adu", LEAST_ROWS)
    t = numbers(threshold_adu, "threshold_adu", LEAST_ROWS)
    if not len(m) == len(s) == len(t):
        raise RequestError("the columns differ in length; give every image all three")
    design = np.column_stack([np.ones_like(m), m, s])
    basis, corner = np.linalg.qr(design)
    if np.abs(np.diag(corner)).min() < 1e-9 * np.abs(np.diag(corner)).max():
        raise RequestError(
            "mean and standard deviation rise together in all rows, so that they "
            "cannot be told apart; add images that differ"
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
        mean_factor=float(factors[1]),
        sd_factor=float(factors[2]),
        r_squared=float(1 - (rest**2).sum() / ((t - t.mean()) ** 2).sum()),
        left_out_rmse_adu=float(np.sqrt((left_out**2).mean())),
        fitted_adu=np.asarray(fitted, np.float64),
    )
