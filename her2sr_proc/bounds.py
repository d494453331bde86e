"""What no method can beat: the bound of a blink's position, and of telling two loci.

Arithmetic of models only; knows neither frames nor tables.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, norm

from her2sr_proc.errors import RequestError

F64 = npt.NDArray[np.float64]

STEP = 1e-4
"""Pixels, or parts of a parameter, of the finite differences."""
NULL_SCALE = 1.08
"""What the test between one and two blobs of known size gives by chance, over
chi-squared of two degrees of freedom: 10 to 100 molecules, p of 0.1 to 0.002."""
GRID = np.linspace(-14.0, 14.0, 2801)
FARTHEST = 12.0
"""Widths of a blob: the farthest pair that is asked about."""


def position_bound_px(
    at_px: tuple[float, float],
    *,
    photons: float,
    sigma_px: float,
    ground_e: F64,
    read_noise_e: float,
    unknown: Literal["nothing", "level", "plane"] = "level",
) -> tuple[float, float]:
    """Return the Cramer-Rao bound of y and x of one blink, in pixels.

    Source: Smith et al. 2010, doi:10.1038/nmeth.1449: inverse Fisher information of the
    pixel-integrated Gaussian; here on any ground, of which a level or a plane may have
    to be told from the same pixels. Read noise adds to the variance of every pixel.

    Parameters
    ----------
    at_px : two floats
        y, x in the patch.
    photons : float
        Of the blink, photo-electrons.
    sigma_px : float
        Width of the spot, known.
    ground_e : float64 array, shape (height, width)
        Photo-electrons a pixel of all else.
    read_noise_e : float
        Of every pixel.
    unknown : str
        What of the ground is not known before.
    """
    if photons <= 0.0 or sigma_px <= 0.0 or not np.all(ground_e >= 0.0):
        raise RequestError(
            f"no bound for {photons} photons of width {sigma_px} px on a ground of "
            f"{np.min(ground_e)}; give positive ones, and a ground of 0 or more"
        )
    y, x = at_px
    shape = ground_e.shape
    image = _spot(y, x, sigma_px, shape)
    half = photons / (2.0 * STEP)
    down, up = (_spot(y + step, x, sigma_px, shape) for step in (STEP, -STEP))
    right, left = (_spot(y, x + step, sigma_px, shape) for step in (STEP, -STEP))
    slopes = [half * (down - up), half * (right - left), image]
    rows, columns = np.indices(image.shape).astype(np.float64)
    if unknown != "nothing":
        slopes.append(np.ones(image.shape))
    if unknown == "plane":
        slopes += [np.asarray(rows - y), np.asarray(columns - x)]
    variance = photons * image + ground_e + read_noise_e**2
    flat = np.array([slope.ravel() for slope in slopes])
    fisher = (flat / variance.ravel()) @ flat.T
    sd = np.sqrt(np.diag(np.linalg.inv(fisher)))
    return float(sd[0]), float(sd[1])


def split_p_value(statistic: float) -> float:
    """Return the chance that one blob gives such a likelihood ratio of two to one.

    ``statistic``: twice the gain in log-likelihood, of independent dyes. The positions
    merge where there is one blob, so the theorem that would make this chi-squared does
    not hold; the law was simulated (`tests/study/study_split_law.py`).
    """
    return float(chi2.sf(max(statistic, 0.0) / NULL_SCALE, 2))


def split_probability(
    distance_nm: float,
    *,
    molecules: float,
    blob_nm: float,
    precision_nm: float,
    p_value: float,
) -> float:
    """Return the chance that two loci of equal strength are told from one.

    The likelihood-ratio test at ``p_value`` knows all that is in the positions of
    independent dyes of Gaussian blobs: no test of these positions tells more (Neyman
    and Pearson, but for the unknown centres). Normal approximation of the ratio.

    Parameters
    ----------
    distance_nm : float
        Of the loci.
    molecules : float
        Independent dyes of both together.
    blob_nm : float
        Standard deviation of each blob.
    precision_nm : float
        Standard deviation of each dye's localization.
    p_value : float
        Of a false split.
    """
    if molecules <= 0.0 or blob_nm <= 0.0 or not 0.0 < p_value < 1.0:
        raise RequestError(
            f"no test for {molecules} molecules of blobs of {blob_nm} nm at p "
            f"{p_value}; give positive ones and p between 0 and 1"
        )
    size = distance_nm / math.hypot(blob_nm, precision_nm)
    mean, variance = _gain(size)
    needed = 0.5 * NULL_SCALE * float(chi2.isf(p_value, 2))
    if variance <= 1e-12:
        return p_value
    # of two parameters that are fitted, not known, each gains one half
    excess = molecules * mean + 1.0 - needed
    told = float(norm.cdf(excess / math.sqrt(molecules * variance + 1.0)))
    return max(told, p_value)


def resolvable_nm(
    *,
    molecules: float,
    blob_nm: float,
    precision_nm: float,
    p_value: float,
    power: float,
) -> float:
    """Return the distance from which two equal loci are told apart so often.

    Infinite where so few dyes tell no distance. Parameters as `split_probability`.
    """

    def short(distance_nm: float) -> float:
        told = split_probability(
            distance_nm,
            molecules=molecules,
            blob_nm=blob_nm,
            precision_nm=precision_nm,
            p_value=p_value,
        )
        return told - power

    farthest = FARTHEST * math.hypot(blob_nm, precision_nm)
    if short(farthest) < 0.0:
        return math.inf
    return float(brentq(short, 1e-3 * blob_nm, farthest, xtol=0.1))


def _gain(size: float) -> tuple[float, float]:
    """Return mean and variance, a dye, of the log-likelihood ratio of two to one.

    Across the pair nothing differs; along it, with deviations as unit, the ratio of
    half N(-size / 2, 1) and half N(size / 2, 1) to N(0, 1) at x is
    exp(-size^2 / 8) cosh(x size / 2).
    """
    half = size / 2.0
    weight = (norm.pdf(GRID - half) + norm.pdf(GRID + half)) / 2.0
    weight /= weight.sum()
    ratio = np.logaddexp(GRID * half, -GRID * half) - math.log(2.0) - half * half / 2.0
    mean = float((weight * ratio).sum())
    return mean, float((weight * np.square(ratio - mean)).sum())


def _spot(y: float, x: float, sigma_px: float, shape: tuple[int, ...]) -> F64:
    shares = [
        np.diff(ndtr((np.arange(size + 1) - 0.5 - centre) / sigma_px))
        for centre, size in zip((y, x), shape, strict=True)
    ]
    return np.outer(*shares)
