"""ThunderSTORM 1.3 at its defaults, written down again from formulas alone.

Slow and plain, numpy and scipy only: it shares no line with the chain that it judges.
Sources: Ovesny et al. 2014, doi:10.1093/bioinformatics/btu202, and its supplement;
Izeddin et al. 2012, doi:10.1364/OE.20.002081 (wavelet); Thompson et al. 2002,
doi:10.1016/S0006-3495(02)75618-X, in the form of version 1.3 (uncertainty).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d, maximum_filter
from scipy.optimize import leastsq
from scipy.special import ndtr

RADIUS, SIGMA0 = 3, 1.6
TAPS = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
"""The B-spline of order 3 and scale 2, at the whole pixels of its support."""


@dataclass(frozen=True)
class Row:
    """A molecule: pixels, centre of the first pixel at 0; photo-electrons."""

    x: float
    y: float
    sigma: float
    intensity: float
    offset: float
    noise: float
    uncertainty: float
    at: tuple[int, int]
    """Row and column of its maximum."""


def smoothed(image, step):
    """Smooth by the kernel with ``step`` - 1 zeros between its taps, edges repeated."""
    taps = np.zeros(4 * step + 1)
    taps[::step] = TAPS
    for axis in (0, 1):
        image = correlate1d(image, taps, axis=axis, mode="nearest")
    return image


def planes(image):
    """Return F, in which spots are looked for, and F1, which tells the noise."""
    first = smoothed(image, 1)
    return first - smoothed(first, 2), image - first


def maxima(image):
    """Return the pixels at or above std(Wave.F1) that no neighbour exceeds."""
    wave, finest = planes(image)
    highest = maximum_filter(wave, size=3, mode="constant", cval=-np.inf)
    return np.argwhere((wave >= highest) & (wave >= finest.std()))


def spot(theta, ticks):
    """Return an integrated Gaussian; intensity and offset are squares of theirs."""
    x, y, sigma, root_i, root_b = theta
    across, down = (np.diff(ndtr((ticks - c) / sigma)) for c in (x, y))
    return root_b**2 + root_i**2 * np.outer(down, across)


def slopes(theta, ticks):
    """Return how a spot changes with each of its parameters; shape (7, 7, 5)."""
    x, y, sigma, root_i, root_b = theta
    lines = []
    for centre in (x, y):
        z = (ticks - centre) / sigma
        bell = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) / sigma
        lines.append((np.diff(ndtr(z)), np.diff(-bell), np.diff(-z * bell)))
    (across, by_x, wide_x), (down, by_y, wide_y) = lines
    widths = np.outer(down, wide_x) + np.outer(wide_y, across)
    ground = np.full((len(down), len(across)), 2 * root_b)
    spots = [root_i**2 * np.outer(down, by_x), root_i**2 * np.outer(by_y, across)]
    spots += [root_i**2 * widths, 2 * root_i * np.outer(down, across), ground]
    return np.stack(spots, axis=-1)


def fitted(box, *, weighted=True):
    """Return the parameters at which the weighted squares are least.

    By MINPACK's lmder, of which the program calls a translation, with its tolerances:
    where a box has several minima, the way there decides.
    """
    ticks = np.arange(-RADIUS, RADIUS + 2) - 0.5
    weight = np.ones_like(box)
    if weighted:
        with np.errstate(divide="ignore"):
            weight = np.minimum(1.0 / box, 1000.0 / box.max())
    height = box.max() - box.min()
    start = [0.0, 0.0, SIGMA0, np.sqrt(height * 2 * np.pi) * SIGMA0, box.min() ** 0.5]
    root = np.sqrt(weight)

    def residuals(theta):
        return (root * (box - spot(theta, ticks))).ravel()

    def jacobian(theta):
        return -(root[..., None] * slopes(theta, ticks)).reshape(-1, 5)

    found, *_ = leastsq(
        residuals, start, Dfun=jacobian, xtol=1e-10, ftol=1e-10, gtol=1e-10,
        maxfev=1000, full_output=True,
    )  # fmt: skip
    return found, box - spot(found, ticks)


def localize(adu, *, offset_adu, e_per_adu, pixel_nm, weighted=True):
    """Return the rows of one frame, as the program would export them."""
    image = adu.astype(np.float64) - offset_adu
    if image.min() < 0:  # the program shifts such a frame up by its least value
        image -= image.min()
    height, width = image.shape
    rows = []
    for i, j in maxima(image).tolist():
        if not (RADIUS <= i < height - RADIUS and RADIUS <= j < width - RADIUS):
            continue
        box = image[i - RADIUS : i + RADIUS + 1, j - RADIUS : j + RADIUS + 1]
        if box.max() <= 0:
            continue
        (x, y, sigma, root_i, root_b), left = fitted(box, weighted=weighted)
        if max(abs(x), abs(y)) > RADIUS + 0.5:  # its centre left its box
            continue
        photons, noise = root_i**2 * e_per_adu, left.std() * e_per_adu
        uncertainty = thompson(abs(sigma) * pixel_nm, photons, noise, pixel_nm)
        rows.append(
            Row(
                j + x,
                i + y,
                abs(sigma),
                photons,
                root_b**2 * e_per_adu,
                noise,
                uncertainty / pixel_nm,
                (i, j),
            )
        )
    return rows


def thompson(sigma_nm, photons, noise, pixel_nm):
    """Return the uncertainty of version 1.3, for a camera without multiplication."""
    variance = (sigma_nm**2 + pixel_nm**2 / 12.0) / photons
    variance += 8 * np.pi * sigma_nm**4 * noise**2 / (pixel_nm * photons) ** 2
    return np.sqrt(variance)
