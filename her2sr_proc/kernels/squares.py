"""Least-squares fit of one pixel-integrated Gaussian a spot, weighted or not.

What ThunderSTORM does, so that the published pipeline can be repeated; the fit to use
is `gauss`. Knows a frame and a camera; neither tables nor where the spots came from.

Source: Ovesny et al. 2014, doi:10.1093/bioinformatics/btu202, and the behaviour of
version 1.3: weights 1 / signal, none above 1000 / the box's highest; photons and
background as squares, which keeps them positive; a box that is not whole is left out;
uncertainty of Thompson et al. 2002, doi:10.1016/S0006-3495(02)75618-X, with the
deviation of the residuals as background noise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]

CONVERGED, UNSETTLED, LOST, BAD_DATA, SATURATED = 0, 1, 2, 4, 100
"""As in `gauss`."""
X, Y, PHOTONS, BACKGROUND, SIGMA = 0, 1, 2, 3, 4
SD_X, SD_Y, SD_PHOTONS, RESIDUAL_SD, LOG_RATIO = 5, 6, 7, 8, 9
PARAMETERS = 5
RESULTS = 10
MOST_WEIGHT = 1000.0
SETTLED = 1e-10
"""Of a step's gain, seen and foreseen, and of the radius of trust: the last one."""
FIRST_RADIUS = 100.0
"""Of trust, over the length of the start."""
NEAR = 0.1
"""Of the radius, by which a step may miss it."""
DAMPINGS = 10
"""Tried for one step."""
TINY = 1e-300
PERFECT = 1e-6
"""Of the sum of squares of the start: what leaves less is not made better."""
MIN_SIGMA = 1e-3
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@kernel
def axis_shares(centre: float, sigma: float, out: F64) -> None:
    """Write the share of every pixel, and its slopes by centre and width."""
    scale, height = SQRT_HALF / sigma, INV_SQRT_2PI / sigma
    for k in range(out.shape[1]):
        low, high = k - 0.5 - centre, k + 0.5 - centre
        bell_low = height * math.exp(-((low * scale) ** 2))
        bell_high = height * math.exp(-((high * scale) ** 2))
        out[0, k] = 0.5 * (math.erf(high * scale) - math.erf(low * scale))
        out[1, k] = bell_low - bell_high
        out[2, k] = (low * bell_low - high * bell_high) / sigma


@kernel
def evaluate(light: F64, weight: F64, roots: F64, shares: F64, system: F64) -> float:
    """Return the weighted sum of squares; write its downhill slope and curvature.

    ``roots``: x, y, roots of photons and background, sigma. ``system``, shape (6, 5):
    minus half the slope, and below it half the curvature without second derivatives.
    """
    size = light.shape[0]
    across, down = shares[:3], shares[3:]
    axis_shares(roots[X], roots[SIGMA], across)
    axis_shares(roots[Y], roots[SIGMA], down)
    photons, background = roots[PHOTONS] ** 2, roots[BACKGROUND] ** 2
    system[:, :] = 0.0
    total = 0.0
    slope = np.empty(PARAMETERS)
    for i in range(size):
        for j in range(size):
            share = across[0, j] * down[0, i]
            residual = light[i, j] - photons * share - background
            slope[X] = photons * across[1, j] * down[0, i]
            slope[Y] = photons * across[0, j] * down[1, i]
            slope[PHOTONS] = 2.0 * roots[PHOTONS] * share
            slope[BACKGROUND] = 2.0 * roots[BACKGROUND]
            wide = across[2, j] * down[0, i] + across[0, j] * down[2, i]
            slope[SIGMA] = photons * wide
            total += weight[i, j] * residual * residual
            for a in range(PARAMETERS):
                weighted = weight[i, j] * slope[a]
                system[0, a] += weighted * residual
                for b in range(a + 1):
                    system[1 + a, b] += weighted * slope[b]
    return total


@kernel
def solve(system: F64, damping: float, scales: F64, lower: F64, step: F64) -> bool:
    """Write the step of damped least squares; False if there is none.

    ``scales``, shape (5,): how strongly each parameter is damped.
    """
    for a in range(PARAMETERS):
        for b in range(a + 1):
            value = system[1 + a, b] + (damping * scales[a] if a == b else 0.0)
            if a == b and value == 0.0:
                value = 1.0  # of no influence: it takes no step
            for k in range(b):
                value -= lower[a, k] * lower[b, k]
            if a == b:
                if not value > 0.0:
                    return False
                lower[a, a] = math.sqrt(value)
            else:
                lower[a, b] = value / lower[b, b]
    for a in range(PARAMETERS):
        value = system[0, a]
        for k in range(a):
            value -= lower[a, k] * step[k]
        step[a] = value / lower[a, a]
    for a in range(PARAMETERS - 1, -1, -1):
        value = step[a]
        for k in range(a + 1, PARAMETERS):
            value -= lower[k, a] * step[k]
        step[a] = value / lower[a, a]
    return True


@kernel
def rescale(system: F64, scales: F64) -> None:
    """Raise the scales to the curvatures of a system; 1 for what has never had any."""
    for a in range(PARAMETERS):
        highest = max(scales[a], system[1 + a, a])
        scales[a] = highest if highest > 0.0 else 1.0


@kernel
def scaled_norm(scales: F64, values: F64) -> float:
    """Return the length of a vector by the scales, which are squares."""
    total = 0.0
    for a in range(PARAMETERS):
        total += scales[a] * values[a] * values[a]
    return math.sqrt(total)


@kernel
def trusted_step(
    system: F64, scales: F64, radius: float, damping: float, lower: F64, step: F64
) -> float:
    """Write the step whose length is the radius, or the whole step if it is shorter.

    Returns its damping. Source: More 1978, doi:10.1007/BFb0067700, section 5; here on
    the normal equations. ``damping``: that of the step before.
    """
    low, high, steepest = 0.0, 0.0, 0.0
    for a in range(PARAMETERS):
        steepest += system[0, a] ** 2 / scales[a]
    high = math.sqrt(steepest) / radius
    is_whole = solve(system, 0.0, scales, lower, step)
    excess = -1.0
    if is_whole:
        length = scaled_norm(scales, step)
        excess = length - radius
        if excess <= NEAR * radius:
            return 0.0
        low = excess / (radius * curvature(scales, lower, step, length))
    damping = min(max(damping, low), high)
    for _ in range(DAMPINGS):
        if damping <= 0.0:
            damping = max(TINY, 0.001 * high)
        if not solve(system, damping, scales, lower, step):
            damping = max(10.0 * damping, TINY)
            continue
        length = scaled_norm(scales, step)
        before, excess = excess, length - radius
        if abs(excess) <= NEAR * radius or (low == 0.0 and excess <= before < 0.0):
            break
        change = excess / (radius * curvature(scales, lower, step, length))
        if excess > 0.0:
            low = max(low, damping)
        else:
            high = min(high, damping)
        damping = max(low, damping + change)
    return damping


@kernel
def curvature(scales: F64, lower: F64, step: F64, length: float) -> float:
    """Return how fast a step gets shorter by its damping, over its length squared."""
    total = 0.0
    column = np.empty(PARAMETERS)
    for a in range(PARAMETERS):
        value = scales[a] * step[a] / length
        for k in range(a):
            value -= lower[a, k] * column[k]
        column[a] = value / lower[a, a]
        total += column[a] ** 2
    return total


@kernel
def foreseen(system: F64, step: F64) -> float:
    """Return by how much a step changes the model's values, squared and summed."""
    total = 0.0
    for a in range(PARAMETERS):
        for b in range(a):
            total += 2.0 * system[1 + a, b] * step[a] * step[b]
        total += system[1 + a, a] * step[a] * step[a]
    return max(total, 0.0)


@kernel
def descend(
    light: F64, weight: F64, roots: F64, iterations: int, shares: F64, system: F64
) -> tuple[float, bool]:
    """Go down to the least sum of squares; return it, and whether it has settled.

    Levenberg-Marquardt with a radius of trust: More 1978, doi:10.1007/BFb0067700, with
    the constants of MINPACK, whose translation ThunderSTORM calls; where a box has
    several minima, the way decides in which of them it ends. A parameter is scaled by
    the largest slope that it ever had, and by 1 while it has none, as the root of an
    empty background. ``roots`` is the start and the end.
    """
    lower, step = np.zeros((PARAMETERS, PARAMETERS)), np.empty(PARAMETERS)
    trial, other = np.empty(PARAMETERS), np.empty((PARAMETERS + 1, PARAMETERS))
    scales, place = np.zeros(PARAMETERS), np.empty(PARAMETERS)
    middle = 0.5 * (light.shape[0] - 1)
    total = evaluate(light, weight, roots, shares, system)
    rescale(system, scales)
    # a lone lit pixel is fitted ever better by ever narrower spots
    perfect = PERFECT * total
    place[:] = roots
    place[X], place[Y] = roots[X] - middle, roots[Y] - middle
    reach = scaled_norm(scales, place)
    radius = FIRST_RADIUS * reach if reach > 0.0 else FIRST_RADIUS
    damping, is_first = 0.0, True
    for _ in range(iterations):
        damping = trusted_step(system, scales, radius, damping, lower, step)
        length = scaled_norm(scales, step)
        if is_first:
            radius, is_first = min(radius, length), False
        trial[:] = roots + step
        trial[SIGMA] = max(abs(trial[SIGMA]), MIN_SIGMA)
        candidate = evaluate(light, weight, trial, shares, other)
        if not total > 0.0:
            return total, True
        gain = 1.0 - candidate / total if candidate < 100.0 * total else -1.0
        plain, held = foreseen(system, step) / total, damping * length**2 / total
        hoped, slope = plain + 2.0 * held, -(plain + held)
        ratio = gain / hoped if hoped > 0.0 else 0.0
        if not ratio > 0.25:
            shrink = 0.5 if gain >= 0.0 else 0.5 * slope / (slope + 0.5 * gain)
            if not (candidate < 100.0 * total and shrink >= 0.1):
                shrink = 0.1
            radius = shrink * min(radius, 10.0 * length)
            damping /= shrink
        elif damping == 0.0 or ratio >= 0.75:
            radius, damping = 2.0 * length, 0.5 * damping
        if ratio >= 1e-4:
            roots[:] = trial
            system[:, :] = other
            total = candidate
            rescale(system, scales)
            place[:] = roots
            place[X], place[Y] = roots[X] - middle, roots[Y] - middle
            reach = scaled_norm(scales, place)
        is_flat = abs(gain) <= SETTLED and hoped <= SETTLED and ratio <= 2.0
        if is_flat or radius <= SETTLED * reach or total <= perfect:
            return total, True
    return total, False


@kernel
def fit_spots(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    weighted: bool,
    excess: float,
    ceiling_adu: float,
    max_iterations: int,
    results: F64,
    status: I16,
) -> None:
    """Fit one spot at each of the given pixels.

    Parameters
    ----------
    adu, offset_adu, e_per_adu, rows, columns, radius, ceiling_adu
        As for `gauss.fit_spots`, but a box that would leave the frame is not fitted.
    sigma : float
        Width to start from, pixels; it is always fitted.
    weighted : bool
        Whether dim pixels count more.
    excess : float
        Variance of the light over its mean: 2 doubles the spot's part of the variance.
    max_iterations : int
        Steps of one fit.
    results : float64 array, shape (spots, RESULTS)
        Overwritten: as of `gauss.fit_spots`. Uncertainties by Thompson's formula, that
        of the photons nan; instead of the log-likelihood minus half the weighted sum of
        squares.
    status : int16 array, shape (spots,)
        Overwritten: a code of this module; `LOST`: its centre is outside the box.
    """
    size = 2 * radius + 1
    height, width = adu.shape
    light, weight = np.empty((2, size, size))
    shares, system = np.empty((6, size)), np.empty((PARAMETERS + 1, PARAMETERS))
    roots = np.empty(PARAMETERS)
    for n in range(rows.size):
        top, left = rows[n] - radius, columns[n] - radius
        results[n] = np.nan
        status[n] = LOST
        if top < 0 or left < 0 or top + size > height or left + size > width:
            continue
        lowest, highest, is_full = np.inf, -np.inf, False
        for i in range(size):
            row = top + i
            dark = offset_adu[min(row, offset_adu.shape[0] - 1)]
            gain = e_per_adu[min(row, e_per_adu.shape[0] - 1)]
            for j in range(size):
                count = adu[row, left + j]
                is_full = is_full or count >= ceiling_adu
                value = np.float64(
                    (np.float32(count) - dark[left + j]) * gain[left + j]
                )
                light[i, j] = value
                lowest, highest = min(lowest, value), max(highest, value)
        if not (math.isfinite(lowest + highest) and highest > 0.0):
            status[n] = BAD_DATA
            continue
        most = MOST_WEIGHT / highest
        for i in range(size):
            for j in range(size):
                value = light[i, j]
                wanted = min(1.0 / value, most) if value > 0.0 else most
                weight[i, j] = wanted if weighted else 1.0
        roots[X] = roots[Y] = radius
        roots[PHOTONS] = math.sqrt((highest - lowest) * 2.0 * math.pi * sigma * sigma)
        roots[BACKGROUND] = math.sqrt(max(lowest, 0.0))
        roots[SIGMA] = sigma
        total, is_settled = descend(
            light, weight, roots, max_iterations, shares, system
        )
        status[n] = CONVERGED if is_settled else UNSETTLED
        photons, wide = roots[PHOTONS] ** 2, roots[SIGMA]
        is_inside = max(abs(roots[X] - radius), abs(roots[Y] - radius)) <= radius
        if not (is_inside and photons > 0.0):
            status[n] = LOST
        elif is_full:
            status[n] = SATURATED
        spread = deviation(light, roots, shares)
        results[n, X], results[n, Y] = roots[X] + left, roots[Y] + top
        results[n, PHOTONS], results[n, BACKGROUND] = photons, roots[BACKGROUND] ** 2
        results[n, SIGMA], results[n, RESIDUAL_SD] = wide, spread
        variance = (excess * wide * wide + 1.0 / 12.0) / photons
        variance += 8.0 * math.pi * wide**4 * spread * spread / (photons * photons)
        results[n, SD_X] = results[n, SD_Y] = math.sqrt(variance)
        results[n, LOG_RATIO] = -0.5 * total


@kernel
def deviation(light: F64, roots: F64, shares: F64) -> float:
    """Return the standard deviation of the residuals, of all pixels."""
    size = light.shape[0]
    axis_shares(roots[X], roots[SIGMA], shares[:3])
    axis_shares(roots[Y], roots[SIGMA], shares[3:])
    total = squares = 0.0
    for i in range(size):
        for j in range(size):
            residual = light[i, j] - roots[BACKGROUND] ** 2
            residual -= roots[PHOTONS] ** 2 * shares[0, j] * shares[3, i]
            total += residual
            squares += residual * residual
    count = size * size
    return math.sqrt(max(squares - total * total / count, 0.0) / count)
