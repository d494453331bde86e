"""Maximum-likelihood fit of one pixel-integrated Gaussian a spot, with its bound.

The camera is part of the model, pixel by pixel: a photo-electron count plus its
read-noise variance is taken as Poisson. Knows boxes of numbers; neither frames in
camera counts nor where the spots came from.

Source: Smith et al. 2010, doi:10.1038/nmeth.1449 (integrated Gaussian, Fisher
matrix); Huang et al. 2013, doi:10.1038/nmeth.2488 (per-pixel read noise). Departures:
damped Fisher scoring, stopped when the next step is small against the bound; counts
below zero are not clipped, since that biases dark spots; electron multiplication
scales counts and variance with the excess factor.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import fused_kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]

CONVERGED, UNSETTLED, LOST, SINGULAR, BAD_DATA, NARROW, WIDE = range(7)
"""Why a fit ended; the last two: settled, with the width at its bound."""

SATURATED = 100
"""A fit that may be used, of a box with a pixel at the camera's ceiling."""

X, Y, PHOTONS, BACKGROUND, SIGMA = 0, 1, 2, 3, 4
PARAMETERS = 5
RESULTS = 10
"""Columns of a result: the five parameters, then the five below."""
SD_X, SD_Y, SD_PHOTONS, RESIDUAL_SD, LOG_RATIO = 5, 6, 7, 8, 9
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
SETTLED = 1e-4
"""Squared length of a step in units of the bound, below which it is the last."""
MIN_BACKGROUND = 0.01
MIN_PHOTONS = 1.0
MAX_DAMPING = 1e8
SHORTEST, LONGEST = 0.4, 1.5
"""Parts of a step that are gone."""


@fused_kernel
def axis_shares(centre: float, sigma: float, out: F64) -> None:
    """Write the fraction of a 1-d Gaussian on each pixel, and its derivatives.

    Parameters
    ----------
    centre, sigma : float
        Pixels; pixel k spans [k - 1/2, k + 1/2). ``sigma`` > 0.
    out : float64 array, shape (3, size)
        Overwritten: the fraction (Smith et al. 2010, supplement, with the denominator
        sqrt(2) * sigma that integrating gives), its derivatives by centre and sigma.
    """
    scale = SQRT_HALF / sigma
    height = INV_SQRT_2PI / sigma
    low = -0.5 - centre
    erf_low = math.erf(low * scale)
    bell_low = height * math.exp(-((low * scale) ** 2))
    for k in range(out.shape[1]):
        high = k + 0.5 - centre
        erf_high = math.erf(high * scale)
        bell_high = height * math.exp(-((high * scale) ** 2))
        out[0, k] = 0.5 * (erf_high - erf_low)
        out[1, k] = bell_low - bell_high
        out[2, k] = (low * bell_low - high * bell_high) / sigma
        low, erf_low, bell_low = high, erf_high, bell_high


@fused_kernel
def evaluate(counts: F64, variance: F64, theta: F64, shares: F64, system: F64) -> float:
    """Return the log-likelihood of one box; write its gradient and Fisher matrix.

    Parameters
    ----------
    counts, variance : float64 array, shape (height, width)
        Photo-electrons plus read-noise variance, and that variance alone.
    theta : float64 array, shape (5,)
        x, y (pixels, (0, 0) is the centre of the first pixel), photons > 0,
        background per pixel > 0, sigma > 0 (pixels).
    shares : float64 array, shape (6, >= max(height, width))
        Overwritten: `axis_shares` of x, then of y.
    system : float64 array, shape (6, 5)
        Overwritten: the gradient, and below it the expected information.
    """
    height, width = counts.shape
    across, down = shares[:3, :width], shares[3:, :height]
    axis_shares(theta[X], theta[SIGMA], across)
    axis_shares(theta[Y], theta[SIGMA], down)
    photons = theta[PHOTONS]
    system[:, :] = 0.0
    likelihood = 0.0
    for i in range(height):
        # Every slope is a share along x times one along y: sum along the row first.
        ss = sb = st = bb = bt = tt = s = b = t = one = 0.0
        rs = rb = rt = rest = 0.0
        peak = photons * down[0, i]
        for j in range(width):
            share, by, wide = across[0, j], across[1, j], across[2, j]
            mean = theta[BACKGROUND] + peak * share + variance[i, j]
            weight = 1.0 / mean
            residual = counts[i, j] * weight - 1.0
            likelihood += counts[i, j] * math.log(mean) - mean
            weighted, weighted_by, weighted_wide = (
                weight * share,
                weight * by,
                weight * wide,
            )
            ss += weighted * share
            sb += weighted * by
            st += weighted * wide
            bb += weighted_by * by
            bt += weighted_by * wide
            tt += weighted_wide * wide
            s += weighted
            b += weighted_by
            t += weighted_wide
            one += weight
            rs += residual * share
            rb += residual * by
            rt += residual * wide
            rest += residual
        y, by_y, wide_y = peak, photons * down[1, i], photons * down[2, i]
        p = down[0, i]
        system[0, X] += y * rb
        system[0, Y] += by_y * rs
        system[0, PHOTONS] += p * rs
        system[0, BACKGROUND] += rest
        system[0, SIGMA] += y * rt + wide_y * rs
        system[1 + X, X] += y * y * bb
        system[1 + Y, X] += y * by_y * sb
        system[1 + Y, Y] += by_y * by_y * ss
        system[1 + PHOTONS, X] += p * y * sb
        system[1 + PHOTONS, Y] += p * by_y * ss
        system[1 + PHOTONS, PHOTONS] += p * p * ss
        system[1 + BACKGROUND, X] += y * b
        system[1 + BACKGROUND, Y] += by_y * s
        system[1 + BACKGROUND, PHOTONS] += p * s
        system[1 + BACKGROUND, BACKGROUND] += one
        system[1 + SIGMA, X] += y * (y * bt + wide_y * sb)
        system[1 + SIGMA, Y] += by_y * (y * st + wide_y * ss)
        system[1 + SIGMA, PHOTONS] += p * (y * st + wide_y * ss)
        system[1 + SIGMA, BACKGROUND] += y * t + wide_y * s
        system[1 + SIGMA, SIGMA] += y * y * tt + wide_y * (2.0 * y * st + wide_y * ss)
    for a in range(PARAMETERS):
        for c in range(a):
            system[1 + c, a] = system[1 + a, c]
    return likelihood


@fused_kernel
def factorize(matrix: F64, is_free: I32, damping: float, lower: F64) -> bool:
    """Write L and 1/D of matrix = L D L'; False if it is not positive definite.

    Parameters that are not free are parted from the others. ``damping`` is added to
    the diagonal, relative to it. ``lower``, of matrix' shape, gets L below its
    diagonal, of which all values are 1, and the inverse of D on it.
    """
    for a in range(PARAMETERS):
        pivot = matrix[a, a] * (1.0 + damping)
        for b in range(a):
            value = matrix[a, b] if is_free[a] and is_free[b] else 0.0
            for k in range(b):
                value -= lower[b, k] * lower[k, a]
            # above the diagonal: L times D, so that nothing is divided twice
            lower[b, a] = value
            lower[a, b] = value * lower[b, b]
            pivot -= value * lower[a, b]
        if not is_free[a]:
            pivot = 1.0
        if not pivot > 0.0:
            return False
        lower[a, a] = 1.0 / pivot
    return True


@fused_kernel
def solve(
    matrix: F64, right: F64, is_free: I32, damping: float, lower: F64, out: F64
) -> bool:
    """Write the solution of matrix out = right; False if not positive definite.

    As in `factorize`; parameters that are not free have 0 as their solution.
    """
    if not factorize(matrix, is_free, damping, lower):
        return False
    for a in range(PARAMETERS):
        value = right[a] if is_free[a] else 0.0
        for k in range(a):
            value -= lower[a, k] * out[k]
        out[a] = value
    for a in range(PARAMETERS - 1, -1, -1):
        value = out[a] * lower[a, a]
        for k in range(a + 1, PARAMETERS):
            value -= lower[k, a] * out[k]
        out[a] = value
    return True


@fused_kernel
def bounds(fisher: F64, is_free: I32, lower: F64, column: F64, out: F64) -> bool:
    """Write the standard deviations of the Cramer-Rao bound; nan where not free.

    ``column`` is scratch of ``out``'s shape. False if the matrix is not positive
    definite.
    """
    if not factorize(fisher, is_free, 0.0, lower):
        out[:] = np.nan
        return False
    for a in range(PARAMETERS):
        # column a of the inverse of L: what it adds to the inverse's diagonal
        total = lower[a, a]
        for b in range(a + 1, PARAMETERS):
            value = -lower[b, a]
            for k in range(a + 1, b):
                value -= lower[b, k] * column[k]
            column[b] = value
            total += value * value * lower[b, b]
        out[a] = math.sqrt(total) if is_free[a] else np.nan
    return True


@fused_kernel
def load_box(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    top: int,
    left: int,
    excess: float,
    ceiling_adu: float,
    counts: F64,
    variance: F64,
) -> tuple[bool, bool]:
    """Copy one box as the likelihood wants it.

    Returns whether all of it is finite, and whether any of it is saturated.
    """
    height, width = counts.shape
    is_saturated = False
    total = 0.0
    for i in range(height):
        row = top + i
        dark = offset_adu[min(row, offset_adu.shape[0] - 1)]
        gain = e_per_adu[min(row, e_per_adu.shape[0] - 1)]
        noise = variance_e2[min(row, variance_e2.shape[0] - 1)]
        line = adu[row]
        for j in range(width):
            k = left + j
            spread = np.float64(noise[k]) / (excess * excess)
            light = np.float64((np.float32(line[k]) - dark[k]) * gain[k])
            variance[i, j] = spread
            counts[i, j] = light / excess + spread
            total += counts[i, j]
            is_saturated = is_saturated or line[k] >= ceiling_adu
    return math.isfinite(total), is_saturated


@fused_kernel
def guess(
    counts: F64, variance: F64, row: int, column: int, sigma: float, theta: F64
) -> None:
    """Write start values: what the pixels around the given one tell, roughly.

    The background is the lowest mean of the box's four sides, so that a neighbour at
    one side does not lift it. ``sigma`` is the width to be expected.
    """
    size = counts.shape[0]
    top = bottom = left = right = total = 0.0
    for k in range(size):
        top += counts[0, k] - variance[0, k]
        bottom += counts[size - 1, k] - variance[size - 1, k]
        left += counts[k, 0] - variance[k, 0]
        right += counts[k, size - 1] - variance[k, size - 1]
        for m in range(size):
            total += counts[k, m] - variance[k, m]
    background = max(min(top, bottom, left, right) / size, 10.0 * MIN_BACKGROUND)
    peak = counts[row, column] - variance[row, column] - background
    by_sum = total - background * size * size
    by_peak = peak * 2.0 * math.pi * sigma * sigma
    theta[X] = column
    theta[Y] = row
    theta[PHOTONS] = max(by_sum, 0.5 * by_peak, 10.0 * MIN_PHOTONS)
    theta[BACKGROUND] = background
    theta[SIGMA] = sigma
    if 0 < row < size - 1 and 0 < column < size - 1:
        refine(counts, variance, row, column, sigma, theta)


@fused_kernel
def refine(
    counts: F64, variance: F64, row: int, column: int, sigma: float, theta: F64
) -> None:
    """Improve the place and width of a guess, which saves two steps of a climb.

    The logarithms of three neighbouring sums of a Gaussian lie on a parabola.
    """
    bends = 0.0
    tilts = (0.0, 0.0)
    for axis in range(2):
        before = middle = after = -3.0 * theta[BACKGROUND]
        for k in range(-1, 2):
            i, j = (row + k, column) if axis == 0 else (row, column + k)
            di, dj = (0, 1) if axis == 0 else (1, 0)
            before += counts[i - di, j - dj] - variance[i - di, j - dj]
            middle += counts[i, j] - variance[i, j]
            after += counts[i + di, j + dj] - variance[i + di, j + dj]
        middle = max(middle, MIN_PHOTONS)
        low = math.log(min(max(before / middle, 0.03), 0.95))
        high = math.log(min(max(after / middle, 0.03), 0.95))
        bends -= low + high
        tilts = (tilts[1], high - low)
    width = 2.0 / bends
    # a pixel's own extent is a twelfth of it
    guessed = math.sqrt(max(width - 1.0 / 12.0, 0.1))
    theta[SIGMA] = min(max(guessed, 0.6 * sigma), 1.6 * sigma)
    theta[X] += min(max(0.5 * width * tilts[0], -0.7), 0.7)
    theta[Y] += min(max(0.5 * width * tilts[1], -0.7), 0.7)


@fused_kernel
def release(
    theta: F64, gradient: F64, limits: F64, fit_sigma: bool, is_free: I32
) -> None:
    """Mark which parameters may move: not those that push against their bound."""
    for a in range(PARAMETERS):
        pushes_down = theta[a] <= limits[0, a] and gradient[a] < 0.0
        pushes_up = theta[a] >= limits[1, a] and gradient[a] > 0.0
        is_free[a] = 0 if pushes_down or pushes_up else 1
    if not fit_sigma:
        is_free[SIGMA] = 0


@fused_kernel
def move(theta: F64, step: F64, limits: F64, trial: F64) -> None:
    """Write ``theta + step`` into ``trial``, shortened to what one step may change."""
    for a in range(PARAMETERS):
        least, most = theta[a] - 1.0, theta[a] + 1.0
        if a in (PHOTONS, SIGMA):
            least, most = 0.4 * theta[a], 2.5 * theta[a]
        elif a == BACKGROUND:
            least, most = 0.1 * theta[a], np.inf
        wanted = min(max(theta[a] + step[a], least), most)
        trial[a] = min(max(wanted, limits[0, a]), limits[1, a])


@fused_kernel
def next_part(part: float, trial: F64, theta: F64, before: F64, after: F64) -> float:
    """Return what part of the next step to go, after that from ``theta`` to ``trial``.

    Where the expected information is less than what the counts hold, steps lead too far
    and swing to and fro: the slopes ``before`` and ``after`` tell where along the step
    the maximum was.
    """
    rise, left = 0.0, 0.0
    for a in range(PARAMETERS):
        rise += before[a] * (trial[a] - theta[a])
        left += after[a] * (trial[a] - theta[a])
    if not rise > left:
        return 1.0
    return min(max(part * rise / (rise - left), SHORTEST), LONGEST)


@fused_kernel
def climb(
    counts: F64,
    variance: F64,
    theta: F64,
    limits: F64,
    fit_sigma: bool,
    max_iterations: int,
    shares: F64,
    systems: F64,
    lower: F64,
    scratch: F64,
    is_free: I32,
) -> int:
    """Climb to the maximum of the likelihood of one box; return why it ended.

    ``theta`` is the start on entry and the estimate on return, within ``limits``
    (lowest, highest; shape (2, 5)). The rest is as in `fit_spots`, which owns the
    scratch; on return ``systems[0]`` is that of the estimate.
    """
    here, there = systems
    step, trial = scratch
    likelihood = evaluate(counts, variance, theta, shares, here)
    damping, part = 0.0, 1.0
    for _ in range(max_iterations):
        release(theta, here[0], limits, fit_sigma, is_free)
        if not solve(here[1:], here[0], is_free, 0.0, lower, step):
            return SINGULAR
        decrement = 0.0
        for a in range(PARAMETERS):
            decrement += step[a] * here[0, a]
        if decrement < SETTLED:
            move(theta, step, limits, trial)
            theta[:] = trial
            return CONVERGED
        if damping > 0.0:
            solve(here[1:], here[0], is_free, damping, lower, step)
        for a in range(PARAMETERS):
            step[a] *= part
        move(theta, step, limits, trial)
        candidate = evaluate(counts, variance, trial, shares, there)
        if candidate >= likelihood:
            part = next_part(part, trial, theta, here[0], there[0])
            likelihood = candidate
            theta[:] = trial
            here[:, :] = there
            damping = 0.1 * damping if damping > 0.01 else 0.0
        elif damping > MAX_DAMPING:
            return UNSETTLED
        else:
            damping = max(10.0 * damping, 0.01)
    return UNSETTLED


@fused_kernel
def width_score(system: F64, lower: F64) -> float:
    """Return how many deviations the slope by the width is from zero; 0 if unknown.

    At the maximum by the other parameters. Source: Rao's score test; the information
    is that of the width alone, less what the others explain.
    """
    fisher = system[1:]
    for a in range(PARAMETERS - 1):
        for b in range(a + 1):
            value = fisher[a, b]
            for k in range(b):
                value -= lower[a, k] * lower[b, k]
            if a == b:
                if not value > 0.0:
                    return 0.0
                lower[a, a] = math.sqrt(value)
            else:
                lower[a, b] = value / lower[b, b]
    information = fisher[SIGMA, SIGMA]
    slope = system[0, SIGMA]
    for a in range(PARAMETERS - 1):
        value = fisher[SIGMA, a]
        for k in range(a):
            value -= lower[a, k] * lower[SIGMA, k]
        lower[SIGMA, a] = value / lower[a, a]
        information -= lower[SIGMA, a] * lower[SIGMA, a]
    return slope / math.sqrt(information) if information > 0.0 else 0.0


@fused_kernel
def verdict(theta: F64, limits: F64, fit_sigma: bool) -> int:
    """Return what a settled estimate is worth: which bound holds it, if one does."""
    for a in (X, Y, PHOTONS):
        if theta[a] <= limits[0, a] or theta[a] >= limits[1, a]:
            return LOST
    if fit_sigma and theta[SIGMA] <= limits[0, SIGMA]:
        return NARROW
    return WIDE if fit_sigma and theta[SIGMA] >= limits[1, SIGMA] else CONVERGED


@fused_kernel
def goodness(
    counts: F64, variance: F64, theta: F64, shares: F64
) -> tuple[float, float]:
    """Return the log-likelihood ratio to a perfect fit, and the residuals' deviation.

    A count at or below zero is held against a model of zero. ``shares`` is scratch.
    """
    height, width = counts.shape
    across, down = shares[:3, :width], shares[3:, :height]
    axis_shares(theta[X], theta[SIGMA], across)
    axis_shares(theta[Y], theta[SIGMA], down)
    ratio = 0.0
    squares = 0.0
    for i in range(height):
        for j in range(width):
            mean = theta[PHOTONS] * across[0, j] * down[0, i]
            mean += theta[BACKGROUND] + variance[i, j]
            value = counts[i, j]
            squares += (value - mean) ** 2
            ratio += max(value, 0.0) - mean
            if value > 0.0:
                ratio += value * math.log(mean / value)
    return ratio, math.sqrt(squares / (height * width))


@fused_kernel
def fit_spots(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    free_beyond: float,
    min_sigma: float,
    max_sigma: float,
    excess: float,
    ceiling_adu: float,
    max_iterations: int,
    results: F64,
    status: I16,
) -> None:
    """Fit one spot at each of the given pixels.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts; both sides >= 2 radius + 1.
    offset_adu, e_per_adu, variance_e2 : float32 array, shape (height or 1, width)
        Dark level, gain, read-noise variance (photo-electrons) of every pixel; a single
        row holds for all.
    rows, columns : int32 array, shape (spots,)
        Where to look. A box that would leave the frame is shifted inwards.
    radius : int
        The box has 2 radius + 1 pixels a side.
    sigma, min_sigma, max_sigma : float
        Start (or fixed) width and its bounds, pixels.
    free_beyond : float
        The width is fitted where the score test speaks against ``sigma`` by more than
        so many deviations: 0 always, inf never.
    excess : float
        Variance of the light over its mean: 1, or 2 with electron multiplication.
    ceiling_adu : float
        Counts from which a pixel is saturated.
    max_iterations : int
        Steps of one fit.
    results : float64 array, shape (spots, RESULTS)
        Overwritten: x, y (pixels of the frame), photons, background a pixel, sigma,
        bounds of x, y and photons, deviation of the residuals, log-likelihood ratio;
        nan where the status is `BAD_DATA`.
    status : int16 array, shape (spots,)
        Overwritten: a code of this module.
    """
    size = 2 * radius + 1
    height, width = adu.shape
    counts, variance = np.empty((size, size)), np.empty((size, size))
    shares, systems = np.empty((6, size)), np.empty((2, PARAMETERS + 1, PARAMETERS))
    lower, scratch = np.empty((PARAMETERS, PARAMETERS)), np.empty((2, PARAMETERS))
    theta, deviation = np.empty(PARAMETERS), np.empty(PARAMETERS)
    is_free = np.empty(PARAMETERS, np.int32)
    limits = np.full((2, PARAMETERS), np.inf)
    limits[0] = (-0.5, -0.5, MIN_PHOTONS, MIN_BACKGROUND, min_sigma)
    limits[1, :2] = size - 0.5
    limits[1, SIGMA] = max_sigma
    for n in range(rows.size):
        top = min(max(rows[n] - radius, 0), height - size)
        left = min(max(columns[n] - radius, 0), width - size)
        is_finite, is_saturated = load_box(
            adu, offset_adu, e_per_adu, variance_e2, top, left, excess, ceiling_adu,
            counts, variance,
        )  # fmt: skip
        if not is_finite:
            results[n] = np.nan
            status[n] = BAD_DATA
            continue
        guess(counts, variance, rows[n] - top, columns[n] - left, sigma, theta)
        theta[SIGMA] = min(max(theta[SIGMA], min_sigma), max_sigma)
        fit_sigma = not free_beyond > 0.0
        if not fit_sigma:
            theta[SIGMA] = sigma
        status[n] = climb(
            counts, variance, theta, limits, fit_sigma, max_iterations, shares,
            systems, lower, scratch, is_free,
        )  # fmt: skip
        if not fit_sigma and abs(width_score(systems[0], lower)) > free_beyond:
            fit_sigma = True
            status[n] = climb(
                counts, variance, theta, limits, fit_sigma, max_iterations, shares,
                systems, lower, scratch, is_free,
            )  # fmt: skip
        if status[n] == CONVERGED:
            status[n] = verdict(theta, limits, fit_sigma)
        is_free[:] = 1
        is_free[SIGMA] = 1 if fit_sigma else 0
        if not bounds(systems[0, 1:], is_free, lower, scratch[0], deviation):
            status[n] = SINGULAR
        if is_saturated and status[n] in (CONVERGED, UNSETTLED, WIDE):
            status[n] = SATURATED
        ratio, spread = goodness(counts, variance, theta, shares)
        results[n, :PARAMETERS] = theta
        results[n, X] += left
        results[n, Y] += top
        results[n, PHOTONS] *= excess
        results[n, BACKGROUND] *= excess
        results[n, SD_X : SD_PHOTONS + 1] = deviation[:3]
        results[n, SD_PHOTONS] *= excess
        results[n, RESIDUAL_SD] = spread * excess
        results[n, LOG_RATIO] = ratio
