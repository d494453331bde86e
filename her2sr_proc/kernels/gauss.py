"""Maximum-likelihood fit of one pixel-integrated Gaussian a spot, with its bound.

The camera is part of the model, pixel by pixel: a photo-electron count plus its
read-noise variance is taken as Poisson. Knows boxes of numbers; neither frames in
camera counts nor where the spots came from.

Source: Smith et al. 2010, doi:10.1038/nmeth.1449 (integrated Gaussian, Fisher
matrix); Huang et al. 2013, doi:10.1038/nmeth.2488 (per-pixel read noise). Departures:
Fisher scoring with Levenberg-Marquardt damping instead of Newton steps of fixed
number, stopped when the next step is small against the bound; counts below zero are
not clipped, since clipping biases dark spots; electron multiplication by scaling
counts and variance with the excess factor.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]

CONVERGED = 0
UNSETTLED = 1
LOST = 2
SINGULAR = 3
BAD_DATA = 4
NARROW = 5
WIDE = 6
"""Why a fit ended; the last two: settled, with the width at its bound."""

X, Y, PHOTONS, BACKGROUND, SIGMA = 0, 1, 2, 3, 4
PARAMETERS = 5
RESULTS = 10
"""Columns of a result: the five parameters, then the five below."""
SD_X, SD_Y, SD_PHOTONS, RESIDUAL_SD, LOG_RATIO = 5, 6, 7, 8, 9

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
SETTLED = 1e-7
"""Squared length of the next step in units of the bound, below which a fit ends."""
MIN_BACKGROUND = 0.01
MIN_PHOTONS = 1.0
MAX_DAMPING = 1e8


@kernel
def axis_shares(
    centre: float, sigma: float, share: F64, by_centre: F64, by_sigma: F64
) -> None:
    """Write the fraction of a 1-d Gaussian on each pixel, and its derivatives.

    Parameters
    ----------
    centre, sigma : float
        Pixels; pixel k spans [k - 1/2, k + 1/2). ``sigma`` > 0.
    share, by_centre, by_sigma : float64 array, shape (size,)
        Overwritten: Smith et al. 2010, supplement, with the denominator
        sqrt(2) * sigma that integrating the Gaussian gives.
    """
    scale = SQRT_HALF / sigma
    height = INV_SQRT_2PI / sigma
    low = -0.5 - centre
    erf_low = math.erf(low * scale)
    bell_low = height * math.exp(-((low * scale) ** 2))
    for k in range(share.size):
        high = k + 0.5 - centre
        erf_high = math.erf(high * scale)
        bell_high = height * math.exp(-((high * scale) ** 2))
        share[k] = 0.5 * (erf_high - erf_low)
        by_centre[k] = bell_low - bell_high
        by_sigma[k] = (low * bell_low - high * bell_high) / sigma
        low, erf_low, bell_low = high, erf_high, bell_high


@kernel
def evaluate(
    counts: F64,
    variance: F64,
    theta: F64,
    shares: F64,
    gradient: F64,
    fisher: F64,
) -> float:
    """Return the log-likelihood of one box; write its gradient and Fisher matrix.

    Parameters
    ----------
    counts, variance : float64 array, shape (height, width)
        Photo-electrons plus read-noise variance, and that variance alone.
    theta : float64 array, shape (5,)
        x, y (pixels, (0, 0) is the centre of the first pixel), photons > 0,
        background per pixel > 0, sigma > 0 (pixels).
    shares : float64 array, shape (6, >= max(height, width))
        Scratch.
    gradient : float64 array, shape (5,)
        Overwritten.
    fisher : float64 array, shape (5, 5)
        Overwritten: expected information, symmetric.
    """
    height, width = counts.shape
    axis_shares(
        theta[X], theta[SIGMA], shares[0, :width], shares[1, :width], shares[2, :width]
    )
    axis_shares(
        theta[Y],
        theta[SIGMA],
        shares[3, :height],
        shares[4, :height],
        shares[5, :height],
    )
    photons = theta[PHOTONS]
    gradient[:] = 0.0
    fisher[:, :] = 0.0
    slope = np.empty(PARAMETERS)
    likelihood = 0.0
    for i in range(height):
        share_y, by_y, sigma_y = shares[3, i], shares[4, i], shares[5, i]
        for j in range(width):
            share_x = shares[0, j]
            slope[X] = photons * shares[1, j] * share_y
            slope[Y] = photons * share_x * by_y
            slope[PHOTONS] = share_x * share_y
            slope[BACKGROUND] = 1.0
            slope[SIGMA] = photons * (shares[2, j] * share_y + share_x * sigma_y)
            mean = theta[BACKGROUND] + photons * slope[PHOTONS] + variance[i, j]
            weight = 1.0 / mean
            residual = counts[i, j] * weight - 1.0
            likelihood += counts[i, j] * math.log(mean) - mean
            for a in range(PARAMETERS):
                gradient[a] += slope[a] * residual
                for b in range(a + 1):
                    fisher[a, b] += slope[a] * slope[b] * weight
    for a in range(PARAMETERS):
        for b in range(a):
            fisher[b, a] = fisher[a, b]
    return likelihood


@kernel
def factor(matrix: F64, is_free: I32, damping: float, lower: F64) -> bool:
    """Write the Cholesky factor of the free part; False if not positive definite.

    Rows of parameters that are not free become those of the unit matrix. ``damping``
    multiplies the diagonal by 1 + damping.
    """
    size = matrix.shape[0]
    for a in range(size):
        for b in range(a + 1):
            value = matrix[a, b] if is_free[a] and is_free[b] else 0.0
            if a == b:
                value = value * (1.0 + damping) if is_free[a] else 1.0
            for k in range(b):
                value -= lower[a, k] * lower[b, k]
            if a == b:
                if not value > 0.0:
                    return False
                lower[a, a] = math.sqrt(value)
            else:
                lower[a, b] = value / lower[b, b]
    return True


@kernel
def solve(lower: F64, right: F64, is_free: I32, out: F64) -> None:
    """Write the solution of (lower lower') out = right; zero where not free."""
    size = right.size
    for a in range(size):
        value = right[a] if is_free[a] else 0.0
        for k in range(a):
            value -= lower[a, k] * out[k]
        out[a] = value / lower[a, a]
    for a in range(size - 1, -1, -1):
        value = out[a]
        for k in range(a + 1, size):
            value -= lower[k, a] * out[k]
        out[a] = value / lower[a, a]


@kernel
def bounds(
    fisher: F64, is_free: I32, lower: F64, unit: F64, column: F64, out: F64
) -> bool:
    """Write the standard deviations of the Cramer-Rao bound; nan where not free."""
    if not factor(fisher, is_free, 0.0, lower):
        out[:] = np.nan
        return False
    for a in range(out.size):
        unit[:] = 0.0
        unit[a] = 1.0
        solve(lower, unit, is_free, column)
        out[a] = math.sqrt(column[a]) if is_free[a] else np.nan
    return True


@kernel
def load_box(
    photons: F32,
    variance_e2: F32,
    top: int,
    left: int,
    excess: float,
    counts: F64,
    variance: F64,
) -> bool:
    """Copy one box as the likelihood wants it; False if a pixel is not finite."""
    height, width = counts.shape
    is_finite = True
    for i in range(height):
        for j in range(width):
            variance[i, j] = variance_e2[top + i, left + j] / (excess * excess)
            counts[i, j] = photons[top + i, left + j] / excess + variance[i, j]
            is_finite = is_finite and math.isfinite(counts[i, j])
    return is_finite


@kernel
def guess(
    counts: F64, variance: F64, row: int, column: int, sigma: float, theta: F64
) -> None:
    """Write start values: the given pixel and width, and what follows from them.

    The background is the lowest mean of the box's four sides, so that a neighbour
    at one side does not lift it.
    """
    height, width = counts.shape
    sides = np.zeros(4)
    total = 0.0
    for i in range(height):
        sides[0] += (counts[i, 0] - variance[i, 0]) / height
        sides[1] += (counts[i, width - 1] - variance[i, width - 1]) / height
        for j in range(width):
            total += counts[i, j] - variance[i, j]
    for j in range(width):
        sides[2] += (counts[0, j] - variance[0, j]) / width
        sides[3] += (counts[height - 1, j] - variance[height - 1, j]) / width
    background = max(sides.min(), 10.0 * MIN_BACKGROUND)
    peak = counts[row, column] - variance[row, column] - background
    by_sum = total - background * height * width
    by_peak = peak * 2.0 * math.pi * sigma * sigma
    theta[X] = column
    theta[Y] = row
    theta[PHOTONS] = max(by_sum, 0.5 * by_peak, 10.0 * MIN_PHOTONS)
    theta[BACKGROUND] = background
    theta[SIGMA] = sigma


@kernel
def release(
    theta: F64, gradient: F64, low: F64, high: F64, fit_sigma: bool, is_free: I32
) -> None:
    """Mark which parameters may move: not those that push against their bound."""
    for a in range(PARAMETERS):
        pushes_down = theta[a] <= low[a] and gradient[a] < 0.0
        pushes_up = theta[a] >= high[a] and gradient[a] > 0.0
        is_free[a] = 0 if pushes_down or pushes_up else 1
    if not fit_sigma:
        is_free[SIGMA] = 0


@kernel
def move(theta: F64, step: F64, low: F64, high: F64, trial: F64) -> None:
    """Write ``theta + step`` into ``trial``, shortened to what one step may change."""
    for a in range(PARAMETERS):
        least, most = theta[a] - 1.0, theta[a] + 1.0
        if a in (PHOTONS, SIGMA):
            least, most = 0.4 * theta[a], 2.5 * theta[a]
        elif a == BACKGROUND:
            least, most = 0.1 * theta[a], np.inf
        wanted = min(max(theta[a] + step[a], least), most)
        trial[a] = min(max(wanted, low[a]), high[a])


@kernel
def fit_box(
    counts: F64,
    variance: F64,
    theta: F64,
    low: F64,
    high: F64,
    fit_sigma: bool,
    max_iterations: int,
    shares: F64,
    gradient: F64,
    fisher: F64,
    lower: F64,
    step: F64,
    trial: F64,
    is_free: I32,
) -> int:
    """Climb to the maximum of the likelihood of one box; return why it ended.

    Parameters
    ----------
    counts, variance : float64 array, shape (height, width)
        As for `evaluate`.
    theta, low, high : float64 array, shape (5,)
        Start on entry, estimate on return; its bounds.
    fit_sigma : bool
        Whether the width may move.
    max_iterations : int
        Evaluations of the model, at most.
    shares, gradient, fisher : float64 array, shapes (6, size), (2, 5), (2, 5, 5)
        Scratch; on return index 0 holds gradient and Fisher matrix at the estimate.
    lower, step, trial : float64 array, shapes (5, 5), (5,), (5,)
        Scratch.
    is_free : int32 array, shape (5,)
        Scratch.
    """
    likelihood = evaluate(counts, variance, theta, shares, gradient[0], fisher[0])
    damping = 0.0
    for _ in range(max_iterations):
        release(theta, gradient[0], low, high, fit_sigma, is_free)
        if not factor(fisher[0], is_free, 0.0, lower):
            return SINGULAR
        solve(lower, gradient[0], is_free, step)
        decrement = 0.0
        for a in range(PARAMETERS):
            decrement += step[a] * gradient[0, a]
        if decrement < SETTLED:
            return CONVERGED
        if damping > 0.0:
            factor(fisher[0], is_free, damping, lower)
            solve(lower, gradient[0], is_free, step)
        move(theta, step, low, high, trial)
        candidate = evaluate(counts, variance, trial, shares, gradient[1], fisher[1])
        if candidate >= likelihood:
            likelihood = candidate
            theta[:] = trial
            gradient[0] = gradient[1]
            fisher[0] = fisher[1]
            damping = 0.1 * damping if damping > 0.01 else 0.0
        elif damping > MAX_DAMPING:
            return UNSETTLED
        else:
            damping = max(10.0 * damping, 0.01)
    return UNSETTLED


@kernel
def goodness(
    counts: F64, variance: F64, theta: F64, shares: F64
) -> tuple[float, float]:
    """Return the log-likelihood ratio to a perfect fit, and the residuals' deviation.

    A count at or below zero is held against a model of zero: its term is the mean.
    ``shares`` must hold those of ``theta``.
    """
    height, width = counts.shape
    ratio = 0.0
    squares = 0.0
    for i in range(height):
        for j in range(width):
            share = shares[0, j] * shares[3, i]
            mean = theta[BACKGROUND] + theta[PHOTONS] * share + variance[i, j]
            value = counts[i, j]
            squares += (value - mean) ** 2
            ratio -= mean - max(value, 0.0)
            if value > 0.0:
                ratio += value * math.log(mean / value)
    return ratio, math.sqrt(squares / (height * width))


@kernel
def fit_spots(
    photons: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    fit_sigma: bool,
    min_sigma: float,
    max_sigma: float,
    excess: float,
    max_iterations: int,
    results: F64,
    status: I16,
) -> None:
    """Fit one spot at each of the given pixels.

    Parameters
    ----------
    photons, variance_e2 : float32 array, shape (height, width)
        Frame and read-noise variance, photo-electrons; both sides >= 2 radius + 1.
    rows, columns : int32 array, shape (spots,)
        Where to look. A box that would leave the frame is shifted inwards.
    radius : int
        The box has 2 radius + 1 pixels a side.
    sigma, min_sigma, max_sigma : float
        Start (or fixed) width and its bounds, pixels.
    fit_sigma : bool
        Whether the width is fitted.
    excess : float
        1, or 2 for a camera with electron multiplication: variance over mean.
    max_iterations : int
        Steps of one fit.
    results : float64 array, shape (spots, RESULTS)
        Overwritten: x, y (pixels of the frame), photons, background a pixel, sigma,
        their bounds for x, y and photons, deviation of the residuals, log-likelihood
        ratio. nan where the status is `BAD_DATA`.
    status : int16 array, shape (spots,)
        Overwritten: a code of this module.
    """
    size = 2 * radius + 1
    height, width = photons.shape
    counts, variance = np.empty((size, size)), np.empty((size, size))
    shares, gradient = np.empty((6, size)), np.empty((2, PARAMETERS))
    fisher = np.empty((2, PARAMETERS, PARAMETERS))
    lower = np.zeros((PARAMETERS, PARAMETERS))
    theta, step, trial = (
        np.empty(PARAMETERS),
        np.empty(PARAMETERS),
        np.empty(PARAMETERS),
    )
    unit, deviation = np.empty(PARAMETERS), np.empty(PARAMETERS)
    is_free = np.empty(PARAMETERS, np.int32)
    low = np.array([-0.5, -0.5, MIN_PHOTONS, MIN_BACKGROUND, min_sigma])
    high = np.array([size - 0.5, size - 0.5, np.inf, np.inf, max_sigma])
    for n in range(rows.size):
        top = min(max(rows[n] - radius, 0), height - size)
        left = min(max(columns[n] - radius, 0), width - size)
        if not load_box(photons, variance_e2, top, left, excess, counts, variance):
            results[n] = np.nan
            status[n] = BAD_DATA
            continue
        guess(counts, variance, rows[n] - top, columns[n] - left, sigma, theta)
        status[n] = fit_box(
            counts, variance, theta, low, high, fit_sigma, max_iterations,
            shares, gradient, fisher, lower, step, trial, is_free,
        )  # fmt: skip
        if status[n] == CONVERGED:
            status[n] = verdict(theta, low, high, fit_sigma)
        evaluate(counts, variance, theta, shares, gradient[0], fisher[0])
        is_free[:] = 1
        is_free[SIGMA] = 1 if fit_sigma else 0
        if not bounds(fisher[0], is_free, lower, unit, step, deviation):
            status[n] = SINGULAR
        ratio, spread = goodness(counts, variance, theta, shares)
        results[n, X] = theta[X] + left
        results[n, Y] = theta[Y] + top
        results[n, PHOTONS] = theta[PHOTONS] * excess
        results[n, BACKGROUND] = theta[BACKGROUND] * excess
        results[n, SIGMA] = theta[SIGMA]
        results[n, SD_X] = deviation[X]
        results[n, SD_Y] = deviation[Y]
        results[n, SD_PHOTONS] = deviation[PHOTONS] * excess
        results[n, RESIDUAL_SD] = spread * excess
        results[n, LOG_RATIO] = ratio


@kernel
def verdict(theta: F64, low: F64, high: F64, fit_sigma: bool) -> int:
    """Return what a settled estimate is worth: which bound holds it, if one does."""
    for a in (X, Y):
        if theta[a] <= low[a] or theta[a] >= high[a]:
            return LOST
    if theta[PHOTONS] <= low[PHOTONS]:
        return LOST
    if fit_sigma and theta[SIGMA] <= low[SIGMA]:
        return NARROW
    if fit_sigma and theta[SIGMA] >= high[SIGMA]:
        return WIDE
    return CONVERGED
