"""Several overlapping spots of one known width, fitted together; and how many they are.

Starts from the spots that were found one by one, adds one where the residuals ask for
it, and takes back what the likelihood does not need. Knows boxes of numbers in
photo-electrons; neither frames nor tables.

Source: Huang et al. 2011, doi:10.1364/BOE.2.001377 (joint maximum-likelihood fit, how
many emitters by likelihood ratio). Departures: emitters have their own photons; the
next one starts where the score test of an added spot is highest, so that most regions
end after one look; the ground may be a polynomial.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import fused_kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]

MOST = 12
"""Emitters of a region, at most."""
TERMS = 6
"""Terms of the ground, at most: 1, u, v, uu, uv, vv."""
SIZE = MOST * 3 + TERMS
SIDE = 48
"""Pixels of a region's side, at most."""
ORDER_PX = 4.0
"""By so many pixels a spot's y may be out of order: they were found line by line."""
DOUBTED = -1
"""Status of a faint spot on uneven ground, which `review` looks at again."""
VARIED = 0.3
"""Share of a frame's spots whose ground is another, from which the ground varies: of
even ground's, a twelfth is, and those with near neighbours are."""
DOUBLE = 0.5
"""Widths below which two fits are one."""
EXTENT = 20.0
"""Widths that a group of spots extends along an axis, at most."""
PIXELS_A_PARAMETER = 3.0
"""That a region has, below which no emitter is added: six spots put into 6 x 6 pixels
would follow any blob. On movies with a truth none of those came to stand."""
GROUP = 8
"""Spots found one by one that are fitted together, at most."""
RESULTS = 10
"""Columns of a fit, as of `gauss.fit_spots`: x, y, photons, background, sigma, ..."""
BACKGROUND, SIGMA, SD_X, SD_Y, SD_PHOTONS, RESIDUAL_SD, LOG_RATIO = 3, 4, 5, 6, 7, 8, 9
REACH = 3.4
"""Widths after which a spot's light is neglected: 3e-4 of it lies beyond."""
X, Y, PHOTONS = 0, 1, 2
OUTSIDE = 2.0
"""Pixels that an emitter may lie outside its region, where it is not reported."""
MIN_PHOTONS = 1.0
MIN_MEAN = 0.01
SETTLED = 1e-4
"""Squared length of the last step, in units of the bound."""
LOOSE = 0.5
"""The same while it is open which model stands; what does is climbed to the end."""
NEARLY = 2.0
"""By so much more than `LOOSE` a climb to the end may still lower a deviance."""
RARE = 3.0
"""Deviations below which a true model's deviance is not looked for: 1 in 700."""
HOPE = 3.0
"""What emitters leave, over what they must get below, from which none is added to two
of them; its square, to one. On bright tissue none that was above it came to stand."""
CERTAIN = 2.0
"""Over what curved ground must leave, from which its lower bound spares the climb; and
over what a step of one promises, which it never gains to the end."""
DIM = 0.1
"""Of a region's mean light, below which a ground to start from is nowhere."""
MAX_DAMPING = 1e6
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


AREA = SIDE * SIDE
COUNTS, FIXED, MEAN, WEIGHT, RESIDUAL, RATIO = (n * AREA for n in range(6))
"""Where the planes of a region begin, line after line: photo-electrons plus read-noise
variance; that variance plus the light of what is not fitted here; the model; 1 / model;
counts / model - 1; by how much the model is less likely than a perfect one."""
UPPER, LOWER, MIDDLE, MIDDLE_LOWER = (n * AREA for n in range(6, 10))
"""Scratch."""
PLANES = 10
NEAR = 0.1
"""Of the square of (a - b) / (a + b): a and b differ by less than a factor of 1.9."""
ROUNDING = 1e-6
"""Of a log-likelihood, by which a step may seem to lead down."""


class Region(NamedTuple):
    """One piece of a frame."""

    height: int
    width: int
    sigma: float
    planes: F64
    """Shape (PLANES AREA,): each begins with its height times width pixels, so that a
    loop over all of them is one, with offsets that are constants."""
    basis: F64
    """The terms of the ground along one axis, by pixel; shape (2, 3, SIDE)."""


DOWN, ACROSS = 0, 1
V_POWERS, U_POWERS = (0, 0, 1, 0, 1, 2), (0, 1, 0, 2, 1, 0)
"""Powers of v (down) and of u (across) of the ground's terms."""


class Emitters(NamedTuple):
    """What is fitted."""

    theta: F64
    """The ground's terms, then x, y and photons of each; shape (SIZE,), in pixels."""
    ends: I32
    """First row, last row + 1, first column, last column + 1; shape (MOST, 4)."""
    shares: F64
    """Of every row and column, and their slopes; shape (2, MOST, 2, SIDE + 1)."""


GRADIENT, STEP, KEPT, SAVED, SPREAD = range(5)
"""Vectors: the slope of the likelihood; what it leads to; two former thetas; and the
standard deviations of theta."""
MATRIX, FACTOR = 0, 1


class Algebra(NamedTuple):
    """Room for the normal equations."""

    vectors: F64
    """Shape (5, SIZE)."""
    matrices: F64
    """The information and its factor, of which the lower halves are used."""
    moments: F64
    """Of weight and residual over the region, by powers of v and u; (2, 5, 5)."""


class Goal(NamedTuple):
    """When a climb ends."""

    settled: float
    """Squared length of the last step, in units of the bound."""
    beyond: float
    """Deviance that is out of reach when the next step leads, by `CERTAIN`, to none
    below. For a ground alone, whose likelihood is concave: what it gains to the end is
    the step's gain or 1.2 of it on tissue."""
    below: float
    """Deviance below which no more is asked."""


LOOSELY, TO_THE_END = Goal(LOOSE, np.inf, -np.inf), Goal(SETTLED, np.inf, -np.inf)
"""Of climbs that have no question of their own."""


class Rule(NamedTuple):
    """When an emitter is one."""

    gain: float
    """What it must add to twice the log-likelihood."""
    score: float
    """Where the residuals' score is below, none is tried."""
    surplus: int
    """How many may be added to those found one by one."""
    significance: float
    """Photons over their bound, below which an emitter is put to the test."""
    misfit: float
    """Deviance over its expectation, in its deviations, from which a spot that stands
    alone is doubted."""
    reach: float
    """Spots nearer than so many widths are fitted together."""
    noise_px: float
    """Pixels of ground whose noise a spot of the known width competes with."""
    skew_px: float
    """Skewness of a spot's photons over that of a pixel of its ground."""
    single: float
    """Photons over that noise, below which a spot that stands alone is dropped."""
    faint: float
    """The same, below which a spot might be a ripple of the ground."""
    uneven: float
    """Chi-squared of the ground around it, over its expectation, from which it is."""
    needed: float
    """What it must then add to twice the log-likelihood on curved ground."""
    least: float
    """Photons over their bound, below which any is dropped."""
    broad: float
    """Over the known width, from which a lone spot is not held to be several narrow
    ones, but left for `review`."""


def noisier(rule: Rule, scale: float) -> Rule:
    """Return the rule for a frame that is noisier than its camera's calibration says.

    ``scale``: measured over predicted noise, >= 1.
    """
    if scale == 1.0:
        return rule
    return rule._replace(
        gain=rule.gain * scale**2,
        score=rule.score * scale,
        significance=rule.significance * scale,
        misfit=rule.misfit * scale**2,
        single=rule.single * scale,
        faint=rule.faint * scale,
        needed=rule.needed * scale**2,
        least=rule.least * scale,
    )


def new_region(sigma: float) -> Region:
    """Return a region without content."""
    return Region(0, 0, sigma, np.zeros(PLANES * AREA), np.zeros((2, 3, SIDE)))


def new_emitters() -> Emitters:
    """Return room for emitters."""
    return Emitters(
        np.zeros(SIZE), np.zeros((MOST, 4), np.int32), np.zeros((2, MOST, 2, SIDE + 1))
    )


def new_algebra() -> Algebra:
    """Return room for the normal equations."""
    return Algebra(np.zeros((5, SIZE)), np.zeros((2, SIZE, SIZE)), np.zeros((2, 5, 5)))


@fused_kernel
def prepare(region: Region, height: int, width: int) -> Region:
    """Return the region with another extent, and the ground's terms for it."""
    for axis in range(2):
        size = height if axis == 0 else width
        half = max(0.5 * (size - 1), 1.0)
        for k in range(size):
            u = (k - 0.5 * (size - 1)) / half
            region.basis[axis, 0, k] = 1.0
            region.basis[axis, 1, k] = u
            region.basis[axis, 2, k] = u * u
    return Region(height, width, region.sigma, region.planes, region.basis)


@fused_kernel
def axis_shares(centre: float, sigma: float, first: int, last: int, out: F64) -> None:
    """Write the share of a 1-d Gaussian on pixels first..last - 1, and its slope.

    ``out``, shape (2, > last), has column ``last`` as scratch. No pixel may be farther
    than some `REACH` from the centre.
    """
    scale = SQRT_HALF / sigma
    low = (first - 0.5 - centre) * scale
    # from edge to edge a Gaussian changes by a factor, and that by a constant one
    bell = math.exp(-low * low)
    factor = math.exp(-scale * (2.0 * low + scale))
    change = math.exp(-2.0 * scale * scale)
    for k in range(first, last + 1):
        out[1, k] = bell
        bell *= factor
        factor *= change
    for k in range(first, last + 1):
        z = (k - 0.5 - centre) * scale
        tail = 0.5 * out[1, k] * scaled_tail(abs(z))
        out[0, k] = tail if z < 0.0 else 1.0 - tail
    height = INV_SQRT_2PI / sigma
    for k in range(first, last):
        out[0, k] = out[0, k + 1] - out[0, k]
        out[1, k] = height * (out[1, k] - out[1, k + 1])


@fused_kernel
def scaled_tail(z: float) -> float:
    """Return erfc(z) exp(z z) for 0 <= z <= 7, without a branch.

    A polynomial of 2 (t - 0.3) / 0.7 - 1, where t = 3 / (3 + z), by Chebyshev's nodes;
    erfc itself is then right to 5e-12.
    """
    u = 2.0 / 0.7 * (3.0 / (3.0 + z)) - 0.6 / 0.7 - 1.0
    series = -6.82286451174628e-08
    series = series * u - 2.77092653078013e-07
    series = series * u + 1.50133446218892e-06
    series = series * u + 6.27007319166141e-06
    series = series * u - 2.52509119647741e-05
    series = series * u - 0.000169797856339898
    series = series * u + 0.00015213157304741
    series = series * u + 0.00501391852398528
    series = series * u + 0.0271330204072665
    series = series * u + 0.0892110918408702
    series = series * u + 0.208967316552335
    series = series * u + 0.366038767341772
    return series * u + 0.303671376437709


@fused_kernel
def place(region: Region, emitters: Emitters, terms: int, k: int) -> None:
    """Write where emitter ``k`` shines, and how its light is shared."""
    reach = REACH * region.sigma
    x, y = emitters.theta[terms + 3 * k + X], emitters.theta[terms + 3 * k + Y]
    ends = emitters.ends[k]
    ends[0] = min(max(math.floor(y - reach + 0.5), 0), region.height)
    ends[1] = min(max(math.floor(y + reach + 0.5) + 1, 0), region.height)
    ends[2] = min(max(math.floor(x - reach + 0.5), 0), region.width)
    ends[3] = min(max(math.floor(x + reach + 0.5) + 1, 0), region.width)
    axis_shares(y, region.sigma, ends[0], ends[1], emitters.shares[DOWN, k])
    axis_shares(x, region.sigma, ends[2], ends[3], emitters.shares[ACROSS, k])


@fused_kernel
def predict(region: Region, emitters: Emitters, terms: int, count: int) -> float:
    """Write what ``count`` emitters predict, and how well; return the likelihood.

    That is its logarithm, less that of a perfect fit of all counts above zero.
    """
    planes, width, theta = region.planes, region.width, emitters.theta
    for i in range(region.height):
        row = i * width
        if terms == 1:
            for j in range(width):
                planes[MEAN + row + j] = planes[FIXED + row + j] + theta[0]
            continue
        v, vv = region.basis[0, 1, i], region.basis[0, 2, i]
        level = theta[0] + theta[2] * v
        tilt, bend = theta[1], 0.0
        if terms == TERMS:
            level += theta[5] * vv
            tilt += theta[4] * v
            bend = theta[3]
        for j in range(width):
            ground = level + tilt * region.basis[1, 1, j] + bend * region.basis[1, 2, j]
            planes[MEAN + row + j] = planes[FIXED + row + j] + ground
    for k in range(count):
        place(region, emitters, terms, k)
        photons = theta[terms + 3 * k + PHOTONS]
        ends, down = emitters.ends[k], emitters.shares[DOWN, k, 0]
        across = emitters.shares[ACROSS, k, 0]
        for i in range(ends[0], ends[1]):
            row, light = i * width, photons * down[i]
            for j in range(ends[2], ends[3]):
                planes[MEAN + row + j] += light * across[j]
    return compare(region)


@fused_kernel
def compare(region: Region) -> float:
    """Write weight, residual and ratio of a mean; return the likelihood of `predict`.

    A count below zero is held against a model of zero, as in `deviance`, but has its
    part in the likelihood, of which the residuals are the slope.
    """
    planes, pixels = region.planes, region.height * region.width
    far = 0
    for n in range(pixels):
        counts, mean = planes[COUNTS + n], max(planes[MEAN + n], MIN_MEAN)
        weight = 1.0 / mean
        planes[MEAN + n] = mean
        planes[WEIGHT + n] = weight
        planes[RESIDUAL + n] = counts * weight - 1.0
        odds = (mean - counts) / (mean + counts)
        planes[RATIO + n] = counts - mean + counts * near_log(odds)
        far += 0 if odds * odds < NEAR else 1
    less = 0.0
    if far > 0:
        for n in range(pixels):
            counts, mean = planes[COUNTS + n], planes[MEAN + n]
            odds = (mean - counts) / (mean + counts)
            if odds * odds < NEAR:
                continue
            planes[RATIO + n] = max(counts, 0.0) - mean
            if counts > 0.0:
                planes[RATIO + n] += counts * math.log(mean / counts)
            elif counts < 0.0:
                less += counts * math.log(mean)
    return less - 0.5 * deviance(region)


@fused_kernel
def near_log(odds: float) -> float:
    """Return log(a / b) where ``odds`` is (a - b) / (a + b), and its square < `NEAR`.

    As a series without a branch, that a vector unit sums.
    """
    square = odds * odds
    series = 1.0 / 27.0
    series = series * square + 1.0 / 25.0
    series = series * square + 1.0 / 23.0
    series = series * square + 1.0 / 21.0
    series = series * square + 1.0 / 19.0
    series = series * square + 1.0 / 17.0
    series = series * square + 1.0 / 15.0
    series = series * square + 1.0 / 13.0
    series = series * square + 1.0 / 11.0
    series = series * square + 1.0 / 9.0
    series = series * square + 1.0 / 7.0
    series = series * square + 1.0 / 5.0
    series = series * square + 1.0 / 3.0
    return 2.0 * odds * (series * square + 1.0)


@fused_kernel
def ground_equations(region: Region, algebra: Algebra, terms: int) -> None:
    """Write the ground's own part of the normal equations.

    A product of two terms is v**p times u**q: fifteen moments make all of them.
    """
    if terms == 1:
        weights, slope = 0.0, 0.0
        for i in range(region.height):
            row = i * region.width
            for j in range(region.width):
                weights += region.planes[WEIGHT + row + j]
                slope += region.planes[RESIDUAL + row + j]
        algebra.matrices[MATRIX, 0, 0] = weights
        algebra.vectors[GRADIENT, 0] = slope
        return
    of_weight, of_residual = algebra.moments[0], algebra.moments[1]
    of_weight[:, :] = 0.0
    of_residual[:, :] = 0.0
    across = region.basis[1, 1]
    for i in range(region.height):
        row = i * region.width
        w0 = w1 = w2 = w3 = w4 = r0 = r1 = r2 = 0.0
        for j in range(region.width):
            u, w = across[j], region.planes[WEIGHT + row + j]
            r = region.planes[RESIDUAL + row + j]
            uu, wu, ru = u * u, w * u, r * u
            w0 += w
            w1 += wu
            w2 += wu * u
            w3 += wu * uu
            w4 += w * uu * uu
            r0 += r
            r1 += ru
            r2 += ru * u
        v, power = region.basis[0, 1, i], 1.0
        for p in range(5):
            of_weight[p, 0] += power * w0
            of_weight[p, 1] += power * w1
            of_weight[p, 2] += power * w2
            of_weight[p, 3] += power * w3
            of_weight[p, 4] += power * w4
            of_residual[p, 0] += power * r0
            of_residual[p, 1] += power * r1
            of_residual[p, 2] += power * r2
            power *= v
    for a in range(terms):
        p, q = V_POWERS[a], U_POWERS[a]
        algebra.vectors[GRADIENT, a] = of_residual[p, q]
        for b in range(a + 1):
            algebra.matrices[MATRIX, a, b] = of_weight[p + V_POWERS[b], q + U_POWERS[b]]


@fused_kernel
def own_equations(
    region: Region, emitters: Emitters, algebra: Algebra, terms: int, k: int
) -> None:
    """Write what emitter ``k`` alone, and with the ground, adds to the equations."""
    at = terms + 3 * k
    ends, photons = emitters.ends[k], emitters.theta[at + PHOTONS]
    down, down_y = emitters.shares[DOWN, k, 0], emitters.shares[DOWN, k, 1]
    across, across_x = emitters.shares[ACROSS, k, 0], emitters.shares[ACROSS, k, 1]
    gx = gy = gn = xx = xy = xn = yy = yn = nn = 0.0
    matrix = algebra.matrices[MATRIX]
    matrix[at : at + 3, :terms] = 0.0
    for i in range(ends[0], ends[1]):
        row = i * region.width
        s, s_y = down[i], photons * down_y[i]
        ss = sb = bb = rs = rb = s0 = b0 = 0.0
        for j in range(ends[2], ends[3]):
            share, slope = across[j], photons * across_x[j]
            weight = region.planes[WEIGHT + row + j]
            residual = region.planes[RESIDUAL + row + j]
            one, other = weight * share, weight * slope
            s0 += one
            b0 += other
            ss += one * share
            sb += one * slope
            bb += other * slope
            rs += residual * share
            rb += residual * slope
        gx += s * rb
        gy += s_y * rs
        gn += s * rs
        xx += s * s * bb
        xy += s * s_y * sb
        xn += s * s * sb
        yy += s_y * s_y * ss
        yn += s_y * s * ss
        nn += s * s * ss
        matrix[at + X, 0] += s * b0
        matrix[at + Y, 0] += s_y * s0
        matrix[at + PHOTONS, 0] += s * s0
        if terms == 1:
            continue
        s1 = s2 = b1 = b2 = 0.0
        for j in range(ends[2], ends[3]):
            u = region.basis[1, 1, j]
            weight = region.planes[WEIGHT + row + j]
            one, other = weight * across[j] * u, weight * across_x[j] * u
            s1 += one
            s2 += one * u
            b1 += other
            b2 += other * u
        lines_s, lines_b = (s0, s1, s2), (b0, photons * b1, photons * b2)
        for a in range(1, terms):
            level, q = region.basis[0, V_POWERS[a], i], U_POWERS[a]
            matrix[at + X, a] += level * s * lines_b[q]
            matrix[at + Y, a] += level * s_y * lines_s[q]
            matrix[at + PHOTONS, a] += level * s * lines_s[q]
    algebra.vectors[GRADIENT, at + X], algebra.vectors[GRADIENT, at + Y] = gx, gy
    algebra.vectors[GRADIENT, at + PHOTONS] = gn
    matrix[at + X, at + X], matrix[at + Y, at + X] = xx, xy
    matrix[at + PHOTONS, at + X], matrix[at + Y, at + Y] = xn, yy
    matrix[at + PHOTONS, at + Y], matrix[at + PHOTONS, at + PHOTONS] = yn, nn


@fused_kernel
def cross_equations(
    region: Region, emitters: Emitters, algebra: Algebra, terms: int, k: int, m: int
) -> None:
    """Write what emitters ``k`` and ``m`` < k have in common in the equations."""
    at, to = terms + 3 * k, terms + 3 * m
    one, two = emitters.ends[k], emitters.ends[m]
    top, bottom = max(one[0], two[0]), min(one[1], two[1])
    left, right = max(one[2], two[2]), min(one[3], two[3])
    matrix = algebra.matrices[MATRIX]
    matrix[at : at + 3, to : to + 3] = 0.0
    if top >= bottom or left >= right:
        return
    light, other = emitters.theta[at + PHOTONS], emitters.theta[to + PHOTONS]
    down_k, slope_k = emitters.shares[DOWN, k, 0], emitters.shares[DOWN, k, 1]
    down_m, slope_m = emitters.shares[DOWN, m, 0], emitters.shares[DOWN, m, 1]
    across_k, tilt_k = emitters.shares[ACROSS, k, 0], emitters.shares[ACROSS, k, 1]
    across_m, tilt_m = emitters.shares[ACROSS, m, 0], emitters.shares[ACROSS, m, 1]
    for i in range(top, bottom):
        row = i * region.width
        ss = st = ts = tt = 0.0
        for j in range(left, right):
            weight = region.planes[WEIGHT + row + j]
            a, b = weight * across_k[j], weight * tilt_k[j]
            ss += a * across_m[j]
            st += a * tilt_m[j]
            ts += b * across_m[j]
            tt += b * tilt_m[j]
        y_k, y_m = down_k[i], down_m[i]
        dy_k, dy_m = slope_k[i], slope_m[i]
        matrix[at + X, to + X] += light * other * y_k * y_m * tt
        matrix[at + X, to + Y] += light * other * y_k * dy_m * ts
        matrix[at + X, to + PHOTONS] += light * y_k * y_m * ts
        matrix[at + Y, to + X] += light * other * dy_k * y_m * st
        matrix[at + Y, to + Y] += light * other * dy_k * dy_m * ss
        matrix[at + Y, to + PHOTONS] += light * dy_k * y_m * ss
        matrix[at + PHOTONS, to + X] += other * y_k * y_m * st
        matrix[at + PHOTONS, to + Y] += other * y_k * dy_m * ss
        matrix[at + PHOTONS, to + PHOTONS] += y_k * y_m * ss


@fused_kernel
def equations(
    region: Region, emitters: Emitters, algebra: Algebra, terms: int, count: int
) -> None:
    """Write the gradient and the lower half of the expected information."""
    ground_equations(region, algebra, terms)
    for k in range(count):
        own_equations(region, emitters, algebra, terms, k)
        for m in range(k):
            cross_equations(region, emitters, algebra, terms, k, m)


@fused_kernel
def factorize(matrix: F64, size: int, damping: float, factor: F64) -> bool:
    """Write the Cholesky factor of the lower half; False if there is none.

    Its diagonal is that of the factor's inverse.
    """
    for a in range(size):
        row = factor[a]
        for b in range(a + 1):
            other = factor[b]
            value = matrix[a, b]
            if a == b:
                value *= 1.0 + damping
            for k in range(b):
                value -= row[k] * other[k]
            if a == b:
                if not value > 0.0:
                    return False
                row[a] = 1.0 / math.sqrt(value)
            else:
                row[b] = value * other[b]
    return True


@fused_kernel
def substitute(factor: F64, right: F64, size: int, out: F64) -> None:
    """Write the solution of factor factor' out = right."""
    for a in range(size):
        value = right[a]
        for k in range(a):
            value -= factor[a, k] * out[k]
        out[a] = value * factor[a, a]
    for a in range(size - 1, -1, -1):
        value = out[a]
        for k in range(a + 1, size):
            value -= factor[k, a] * out[k]
        out[a] = value * factor[a, a]


@fused_kernel
def deviations(algebra: Algebra, size: int, out: F64) -> bool:
    """Write the standard deviations of the bound; False where there are none."""
    factor, column = algebra.matrices[FACTOR], algebra.vectors[STEP]
    if not factorize(algebra.matrices[MATRIX], size, 0.0, factor):
        return False
    for a in range(size):
        column[a] = factor[a, a]
        total = column[a] * column[a]
        for b in range(a + 1, size):
            value = 0.0
            for k in range(a, b):
                value -= factor[b, k] * column[k]
            column[b] = value * factor[b, b]
            total += column[b] * column[b]
        out[a] = math.sqrt(total)
    return True


@fused_kernel
def move(
    region: Region, theta: F64, step: F64, terms: int, count: int, from_theta: F64
) -> None:
    """Write ``from_theta + step`` to ``theta``, no farther than one step may lead."""
    for a in range(terms):
        theta[a] = from_theta[a] + step[a]
    if terms == 1:
        theta[0] = max(theta[0], 0.1 * from_theta[0], MIN_MEAN)
    for k in range(count):
        at = terms + 3 * k
        for a in range(2):
            size = region.width if a == X else region.height
            change = min(max(step[at + a], -1.0), 1.0)
            outside = 0.5 + OUTSIDE
            wanted = from_theta[at + a] + change
            theta[at + a] = min(max(wanted, -outside), size - 1.0 + outside)
        before = from_theta[at + PHOTONS]
        after = min(max(before + step[at + PHOTONS], 0.4 * before), 2.5 * before)
        theta[at + PHOTONS] = max(after, MIN_PHOTONS)


@fused_kernel
def climb(
    region: Region,
    emitters: Emitters,
    algebra: Algebra,
    terms: int,
    count: int,
    goal: Goal,
    iterations: int,
) -> tuple[float, bool]:
    """Climb to the maximum, or until the goal's answer is known.

    Returns the likelihood, and whether the maximum was reached. On return mean, weight
    and residual are those of theta.
    """
    size = terms + 3 * count
    theta, start = emitters.theta, algebra.vectors[KEPT]
    likelihood = predict(region, emitters, terms, count)
    damping = 0.0
    for _ in range(iterations):
        left = deviance(region)
        # counts below zero have a part in the likelihood alone: with some of them a
        # step up may leave more, or less than it promises
        is_whole = left == -2.0 * likelihood
        if is_whole and left < goal.below:
            return likelihood, False
        equations(region, emitters, algebra, terms, count)
        while not factorize(
            algebra.matrices[MATRIX], size, damping, algebra.matrices[FACTOR]
        ):
            damping = max(10.0 * damping, 1e-3)
            if damping > MAX_DAMPING:
                return likelihood, False
        substitute(
            algebra.matrices[FACTOR],
            algebra.vectors[GRADIENT],
            size,
            algebra.vectors[STEP],
        )
        decrement = 0.0
        for a in range(size):
            decrement += algebra.vectors[STEP, a] * algebra.vectors[GRADIENT, a]
            start[a] = theta[a]
        if is_whole and left - CERTAIN * decrement > goal.beyond:
            return likelihood, False
        is_last = decrement < goal.settled
        while True:
            move(region, theta, algebra.vectors[STEP], terms, count, start)
            candidate = predict(region, emitters, terms, count)
            if candidate >= likelihood - ROUNDING:
                likelihood = candidate
                damping = 0.1 * damping if damping > 0.01 else 0.0
                break
            damping = max(10.0 * damping, 0.01)
            if damping > MAX_DAMPING:
                theta[:size] = start[:size]
                return predict(region, emitters, terms, count), is_last
            factorize(algebra.matrices[MATRIX], size, damping, algebra.matrices[FACTOR])
            substitute(
                algebra.matrices[FACTOR],
                algebra.vectors[GRADIENT],
                size,
                algebra.vectors[STEP],
            )
        if is_last:
            return likelihood, True
    return likelihood, False


@fused_kernel
def correlate(region: Region, taps: F64, half: int) -> None:
    """Write residual and weight, weighted with a spot's shares and their squares.

    Nothing lies beyond the edge.
    """
    planes, height, width = region.planes, region.height, region.width
    for i in range(height):
        row = i * width
        for j in range(width):
            upper = lower = 0.0
            for k in range(max(j - half, 0), min(j + half + 1, width)):
                upper += planes[RESIDUAL + row + k] * taps[0, k - j + half]
                lower += planes[WEIGHT + row + k] * taps[1, k - j + half]
            planes[MIDDLE + row + j] = upper
            planes[MIDDLE_LOWER + row + j] = lower
    for i in range(height):
        row = i * width
        for j in range(width):
            planes[UPPER + row + j] = planes[LOWER + row + j] = 0.0
        for k in range(max(i - half, 0), min(i + half + 1, height)):
            tap, square = taps[0, k - i + half], taps[1, k - i + half]
            source = k * width
            for j in range(width):
                planes[UPPER + row + j] += tap * planes[MIDDLE + source + j]
                planes[LOWER + row + j] += square * planes[MIDDLE_LOWER + source + j]


@fused_kernel
def next_emitter(region: Region, taps: F64, half: int) -> tuple[float, float, int, int]:
    """Return score, photons, row and column of the spot that the residuals ask for.

    The score is that of adding one emitter at a pixel's centre, in units of its noise.
    ``taps``: shares of a spot; shape (2, 2 half + 1), the second squared.
    """
    correlate(region, taps, half)
    best, photons, row, column = 0.0, 0.0, -1, -1
    for i in range(region.height):
        for j in range(region.width):
            top = region.planes[UPPER + i * region.width + j]
            bottom = region.planes[LOWER + i * region.width + j]
            if top > 0.0 and top * top > best * bottom:
                best = top * top / bottom
                photons = top / bottom
                row, column = i, j
    return math.sqrt(best), photons, row, column


@fused_kernel
def weakest(
    emitters: Emitters, spread: F64, terms: int, count: int
) -> tuple[int, float]:
    """Return the emitter whose photons are least certain, and their significance."""
    least, which = np.inf, -1
    for k in range(count):
        at = terms + 3 * k + PHOTONS
        significance = emitters.theta[at] / spread[at]
        if significance < least:
            least, which = significance, k
    return which, least


@fused_kernel
def drop(theta: F64, terms: int, count: int, k: int) -> None:
    """Close the gap that emitter ``k`` leaves."""
    for a in range(terms + 3 * k, terms + 3 * (count - 1)):
        theta[a] = theta[a + 3]


@fused_kernel
def resolve(
    region: Region,
    emitters: Emitters,
    algebra: Algebra,
    taps: F64,
    rule: Rule,
    terms: int,
    count: int,
    iterations: int,
    bar: float,
) -> tuple[int, float, bool]:
    """Find how many emitters a region holds, from ``count`` that were found in it.

    Parameters
    ----------
    region, emitters, algebra
        As prepared; ``emitters.theta`` holds the ground and the emitters to start from,
        and on return those that stand; their deviations are the vector `SPREAD`.
    taps : float64 array, shape (2, odd)
        As in `next_emitter`.
    terms, count, iterations : int
        Of the ground: 1 or 6; emitters at the start; steps of one climb.
    bar : float
        Deviance, at the rule's price for each parameter, that three emitters must get
        below if a fourth is to be tried: what grows on without it is no crowd. Two must
        be below `HOPE` times that, and one below its square. What ends above it, or
        with one emitter, is not climbed to the end, and not sound.

    Returns
    -------
    tuple of int, float, bool
        Emitters; log-likelihood; whether the bound exists and the climb has settled.
    """
    half = taps.shape[1] // 2
    theta = emitters.theta
    saved, spread = algebra.vectors[SAVED], algebra.vectors[SPREAD]
    likelihood, _ = climb(region, emitters, algebra, terms, count, LOOSELY, iterations)
    parameters = region.height * region.width / PIXELS_A_PARAMETER
    told_apart = max(math.floor((parameters - terms) / 3.0), count)
    most = min(count + rule.surplus, MOST, told_apart)
    if is_hopeless(region, rule, terms, count, bar):
        return count, likelihood, False
    while count < most:
        score, photons, row, column = next_emitter(region, taps, half)
        if not score > rule.score:
            break
        saved[:] = theta
        at = terms + 3 * count
        theta[at + X], theta[at + Y] = column, row
        theta[at + PHOTONS] = max(photons, MIN_PHOTONS)
        higher, _ = climb(
            region, emitters, algebra, terms, count + 1, LOOSELY, iterations
        )
        if not 2.0 * (higher - likelihood) > rule.gain:
            theta[:] = saved
            predict(region, emitters, terms, count)
            break
        count += 1
        likelihood = higher
        if is_hopeless(region, rule, terms, count, bar):
            return count, likelihood, False
    if is_beaten(likelihood, rule, terms, count, bar):
        return count, likelihood, False
    while count > 1:
        equations(region, emitters, algebra, terms, count)
        if not deviations(algebra, terms + 3 * count, spread):
            break
        k, significance = weakest(emitters, spread, terms, count)
        if significance > rule.significance:
            break
        saved[:] = theta
        drop(theta, terms, count, k)
        lower, _ = climb(
            region, emitters, algebra, terms, count - 1, LOOSELY, iterations
        )
        if 2.0 * (likelihood - lower) > rule.gain:
            theta[:] = saved
            break
        count -= 1
        likelihood = lower
    if is_beaten(likelihood, rule, terms, count, bar):
        return count, likelihood, False
    likelihood, is_settled = climb(
        region, emitters, algebra, terms, count, TO_THE_END, iterations
    )
    equations(region, emitters, algebra, terms, count)
    has_bound = deviations(algebra, terms + 3 * count, spread)
    return count, likelihood, is_settled and has_bound


@fused_kernel
def is_hopeless(region: Region, rule: Rule, terms: int, count: int, bar: float) -> bool:
    """Return whether what ``count`` emitters leave is beyond what more can explain.

    As of ``bar`` in `resolve`.
    """
    if bar == np.inf:
        return False
    hope = HOPE ** max(3 - count, 0)
    left = deviance(region) + rule.gain / 3.0 * (terms + 3 * count)
    return left > hope * bar


@fused_kernel
def is_beaten(
    likelihood: float, rule: Rule, terms: int, count: int, bar: float
) -> bool:
    """Return whether ``count`` emitters, or fewer of them, will not get below ``bar``.

    Of three or more some may be dropped, which makes them cheaper.
    """
    if bar == np.inf or count > 2:
        return False
    left = -2.0 * likelihood + rule.gain / 3.0 * (terms + 3 * count)
    return count == 1 or left - NEARLY > bar


@fused_kernel
def least_deviance(freedom: int, darkest: float) -> float:
    """Return what a true model's deviance is below in one of 700 cases.

    ``darkest``: counts of the darkest pixels, of which a few tell nothing about noise.
    Source: Wilson & Hilferty 1931, the cube root of chi-squared.
    """
    if darkest < 2.0:
        return 0.0
    part = 2.0 / (9.0 * max(freedom, 1))
    return freedom * max(1.0 - part - RARE * math.sqrt(part), 0.0) ** 3


@fused_kernel
def curved_at_least(region: Region, ground: F64) -> float:
    """Return a deviance that no curved ground alone gets a region below, or 0.

    Writes the terms of the ground that has the least squares into ``ground``.

    A count's deviance is at least its squared residual over the larger of count and
    model, here over the brightest count; the sum of squares is least where the terms,
    made orthogonal, have their projections. ``CERTAIN`` covers a model that is
    brighter than any count.
    """
    height, width = region.height, region.width
    down, across = region.basis[0], region.basis[1]
    mean_vv = mean_uu = norm_v = norm_u = norm_vv = norm_uu = 0.0
    for i in range(height):
        mean_vv += down[2, i] / height
    for j in range(width):
        mean_uu += across[2, j] / width
    for i in range(height):
        norm_v += down[2, i]
        norm_vv += (down[2, i] - mean_vv) ** 2
    for j in range(width):
        norm_u += across[2, j]
        norm_uu += (across[2, j] - mean_uu) ** 2
    ground[:TERMS] = 0.0
    if not min(norm_u, norm_v, norm_uu, norm_vv) > 0.0:
        return 0.0
    brightest, squares, total = 1.0, 0.0, 0.0
    by_u = by_v = by_uu = by_uv = by_vv = 0.0
    for i in range(height):
        row = i * width
        s = su = suu = 0.0
        for j in range(width):
            counts = region.planes[COUNTS + row + j]
            light = counts - region.planes[FIXED + row + j]
            brightest = max(brightest, counts)
            squares += light * light
            s += light
            su += light * across[1, j]
            suu += light * (across[2, j] - mean_uu)
        total += s
        by_u += su
        by_uu += suu
        by_v += s * down[1, i]
        by_uv += su * down[1, i]
        by_vv += s * (down[2, i] - mean_vv)
    ground[1], ground[2] = by_u / (norm_u * height), by_v / (norm_v * width)
    ground[3], ground[5] = by_uu / (norm_uu * height), by_vv / (norm_vv * width)
    ground[4] = by_uv / (norm_u * norm_v)
    ground[0] = total / (height * width) - ground[3] * mean_uu - ground[5] * mean_vv
    squares -= total * total / (height * width)
    squares -= by_u * by_u / (norm_u * height) + by_v * by_v / (norm_v * width)
    squares -= by_uu * by_uu / (norm_uu * height) + by_vv * by_vv / (norm_vv * width)
    squares -= by_uv * by_uv / (norm_u * norm_v)
    return squares / brightest / CERTAIN


@fused_kernel
def deviance(region: Region) -> float:
    """Return twice the log-likelihood by which a perfect fit would be better.

    Of the model that was predicted last.
    """
    planes, pixels = region.planes, region.height * region.width
    one = two = three = four = 0.0
    for n in range(0, pixels - 3, 4):
        one += planes[RATIO + n]
        two += planes[RATIO + n + 1]
        three += planes[RATIO + n + 2]
        four += planes[RATIO + n + 3]
    for n in range(pixels - pixels % 4, pixels):
        one += planes[RATIO + n]
    return -2.0 * ((one + two) + (three + four))


@fused_kernel
def find_root(parent: I32, k: int) -> int:
    """Return the spot that stands for the group of spot ``k``."""
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@fused_kernel
def group(
    spots: F64,
    status: I16,
    apart: int,
    reach: float,
    extent: float,
    parent: I32,
    box: F64,
) -> None:
    """Put spots that overlap into groups.

    Parameters
    ----------
    spots : float64 array, shape (count, >= 2)
        x, y in pixels, in about the order of y.
    status, apart : int16 array, shape (count,); int
        Spots of that status belong to no group.
    reach : float
        Spots nearer than this belong together, pixels,
    extent : float
        unless the group would then reach farther than this along an axis
        or have more than GROUP members.
    parent : int32 array, shape (count,)
        Overwritten: the spot that stands for the group.
    box : float64 array, shape (count, 5)
        Overwritten: for that spot the lowest and highest x and y, and the members.
    """
    for k in range(spots.shape[0]):
        parent[k] = k
        box[k, 0] = box[k, 1] = spots[k, X]
        box[k, 2] = box[k, 3] = spots[k, Y]
        box[k, 4] = 1.0
        if status[k] == apart:
            continue
        for m in range(k - 1, -1, -1):
            if spots[k, Y] - spots[m, Y] > reach + ORDER_PX:
                break
            if status[m] == apart:
                continue
            if (spots[k, X] - spots[m, X]) ** 2 + (
                spots[k, Y] - spots[m, Y]
            ) ** 2 > reach * reach:
                continue
            a, b = find_root(parent, k), find_root(parent, m)
            if a == b or box[a, 4] + box[b, 4] > GROUP:
                continue
            left, right = min(box[a, 0], box[b, 0]), max(box[a, 1], box[b, 1])
            low, high = min(box[a, 2], box[b, 2]), max(box[a, 3], box[b, 3])
            if right - left > extent or high - low > extent:
                continue
            parent[a] = b
            box[b, 0], box[b, 1], box[b, 2], box[b, 3] = left, right, low, high
            box[b, 4] += box[a, 4]


class Camera(NamedTuple):
    """A frame and what turns its counts into photo-electrons.

    Offset, gain and variance may be a single row that holds for all.
    """

    adu: U16
    offset_adu: F32
    e_per_adu: F32
    variance_e2: F32
    excess: float


class Room(NamedTuple):
    """Scratch of `settle`, made once by `new_room`."""

    region: Region
    emitters: Emitters
    algebra: Algebra
    parent: I32
    follower: I32
    box: F64
    parts: F64
    """Light of the three times three parts of a region, and its variance; (2, 3, 3)."""


def noise_pixels(sigma: float, radius: int) -> float:
    """Return the variance of a spot's photons over that of a pixel of its ground.

    For a dim spot of known width, half way from a pixel to its corner.
    """
    shares = _shares(radius + 0.25, sigma, 2 * radius + 1)
    energy, total = float((shares**2).sum()) ** 2, float(shares.sum()) ** 2
    return 1.0 / (energy - total * total / (2 * radius + 1) ** 2)


def skew_pixels(sigma: float, radius: int) -> float:
    """Return the skewness of a spot's photons over that of a pixel of its ground.

    As `noise_pixels`. Shot noise is skewed: few bright pixels look like a spot more
    often than normal noise would.
    """
    shares = _shares(radius + 0.25, sigma, 2 * radius + 1)
    weight = np.outer(shares, shares)
    weight -= weight.mean()
    return float((weight**3).sum() / (weight**2).sum() ** 1.5)


def spot_taps(sigma: float) -> F64:
    """Return the shares of a spot along an axis, and their squares."""
    half = max(1, math.ceil(2.5 * sigma))
    shares = _shares(half, sigma, 2 * half + 1)
    return np.stack([shares, shares**2])


def _shares(centre: float, sigma: float, size: int) -> F64:
    edges = (np.arange(size + 1) - 0.5 - centre) * (SQRT_HALF / sigma)
    return 0.5 * np.diff([math.erf(edge) for edge in edges])


def new_room(sigma: float, most: int) -> Room:
    """Return scratch for frames of at most so many spots."""
    return Room(
        new_region(sigma),
        new_emitters(),
        new_algebra(),
        np.zeros(most, np.int32),
        np.zeros(most, np.int32),
        np.zeros((most, 5)),
        np.zeros((2, 3, 3)),
    )


@fused_kernel
def load(camera: Camera, region: Region, top: int, left: int) -> None:
    """Write counts and what is fixed of a region whose first pixel is given."""
    share = 1.0 / camera.excess
    planes, width = region.planes, region.width
    # first no more than the counts, so that waits for memory overlap; an index that
    # might be negative is looked at twice
    for i in range(region.height):
        source, line = np.uintp(top + i), i * width
        for j in range(width):
            count = camera.adu[source, np.uintp(left + j)]
            planes[np.uintp(COUNTS + line + j)] = count
    for i in range(region.height):
        row, line = top + i, i * width
        dark = camera.offset_adu[min(row, camera.offset_adu.shape[0] - 1)]
        gain = camera.e_per_adu[min(row, camera.e_per_adu.shape[0] - 1)]
        noise = camera.variance_e2[min(row, camera.variance_e2.shape[0] - 1)]
        for j in range(width):
            k, n = np.uintp(left + j), np.uintp(COUNTS + line + j)
            variance = np.float64(noise[k]) * (share * share)
            light = (planes[n] - dark[k]) * gain[k] * share
            planes[n] = light + variance
            planes[np.uintp(FIXED + line + j)] = variance


@fused_kernel
def add_light(
    region: Region, emitters: Emitters, x: float, y: float, photons: float, sigma: float
) -> None:
    """Add a spot that is not fitted here to what is fixed of the region."""
    reach = REACH * sigma
    top = max(math.floor(y - reach + 0.5), 0)
    bottom = min(math.floor(y + reach + 0.5) + 1, region.height)
    left = max(math.floor(x - reach + 0.5), 0)
    right = min(math.floor(x + reach + 0.5) + 1, region.width)
    if top >= bottom or left >= right:
        return
    down, across = emitters.shares[DOWN, MOST - 1], emitters.shares[ACROSS, MOST - 1]
    axis_shares(y, sigma, top, bottom, down)
    axis_shares(x, sigma, left, right, across)
    for i in range(top, bottom):
        row, light = i * region.width, photons * down[0, i]
        for j in range(left, right):
            region.planes[FIXED + row + j] += light * across[0, j]


@fused_kernel
def emit(
    region: Region,
    emitters: Emitters,
    spread: F64,
    terms: int,
    k: int,
    top: int,
    left: int,
    excess: float,
    out: F64,
) -> None:
    """Write the result of emitter ``k``, in pixels of the frame."""
    theta, at = emitters.theta, terms + 3 * k
    x, y = theta[at + X], theta[at + Y]
    out[X], out[Y] = x + left, y + top
    out[PHOTONS] = theta[at + PHOTONS] * excess
    out[BACKGROUND] = ground_at(region, theta, terms, x, y) * excess
    out[SIGMA] = region.sigma
    out[SD_X], out[SD_Y] = spread[at + X], spread[at + Y]
    out[SD_PHOTONS] = spread[at + PHOTONS] * excess
    ends = emitters.ends[k]
    squares, ratio, pixels = 0.0, 0.0, 0
    for i in range(ends[0], ends[1]):
        for j in range(ends[2], ends[3]):
            n = i * region.width + j
            squares += (region.planes[COUNTS + n] - region.planes[MEAN + n]) ** 2
            ratio += region.planes[RATIO + n]
            pixels += 1
    out[RESIDUAL_SD] = math.sqrt(squares / max(pixels, 1)) * excess
    out[LOG_RATIO] = ratio


@fused_kernel
def ground_at(region: Region, theta: F64, terms: int, x: float, y: float) -> float:
    """Return the ground's level at a place of the region."""
    if terms == 1:
        return theta[0]
    half_x = max(0.5 * (region.width - 1), 1.0)
    half_y = max(0.5 * (region.height - 1), 1.0)
    u = (x - 0.5 * (region.width - 1)) / half_x
    v = (y - 0.5 * (region.height - 1)) / half_y
    level = theta[0] + theta[1] * u + theta[2] * v
    return level + theta[3] * u * u + theta[4] * u * v + theta[5] * v * v


@fused_kernel
def surplus_deviance(deviance: float, freedom: int) -> float:
    """Return how far a deviance is above its expectation, in its deviations."""
    return (deviance - freedom) / math.sqrt(2.0 * max(freedom, 1))


@fused_kernel
def settle(
    camera: Camera,
    room: Room,
    rule: Rule,
    multi: bool,
    taps: F64,
    radius: int,
    iterations: int,
    spots: F64,
    status: I16,
    sealed: int,
    apart: int,
    joint: int,
    results: F64,
    codes: I16,
) -> int:
    """Keep, drop or fit anew the spots that were fitted one by one; return how many.

    Parameters
    ----------
    camera, room, rule
        The frame; scratch for at least ``spots``; when an emitter is one.
    multi : bool
        Whether spots that overlap are fitted together, and a lone one anew that does
        not look like one; else those nearer than a pixel are, and what `sift` asks for.
    taps : float64 array, shape (2, odd)
        Shares of a spot along an axis, and their squares.
    radius : int
        Of the box that the spots were fitted in; a region reaches as far beyond them.
    iterations : int
        Steps of one climb.
    spots : float64 array, shape (count, RESULTS)
        Fits as of `gauss.fit_spots`, in about the order of y; reordered where two of
        them ended at the same place.
    status : int16 array, shape (count,)
        Passed on with a spot that is kept as it is; reordered likewise.
    sealed, apart, joint : int
        Status of what is kept as it is; of what besides overlaps with nothing; and of
        what was fitted anew.
    results, codes : float64 array, shape (most, RESULTS); int16 array, shape (most,)
        The first are overwritten.
    """
    sigma = room.region.sigma
    total = merge_doubles(spots, status, sigma)
    spots, status = spots[:total], status[:total]
    parent, box, follower = room.parent, room.box, room.follower
    most = min(SIDE - 2.0 * radius - 3.0, EXTENT * sigma)
    # -1 is squared there: of single emitters, starts on one blob, nearer than a pixel,
    # are fitted together too; kept apart, more of them would be false
    reach = rule.reach * sigma if multi else -1.0
    group(spots, status, apart, reach, most, parent, box)
    follower[:total] = -1
    for k in range(total - 1, -1, -1):
        root = find_root(parent, k)
        if root != k:
            follower[k] = follower[root]
            follower[root] = k
    count = 0
    for k in range(total):
        if parent[k] != k or count + MOST > results.shape[0]:
            continue
        is_alone = box[k, 4] == 1.0
        is_left = is_alone and (
            not multi
            or status[k] == sealed
            or status[k] == apart
            or is_plain(spots[k], sigma, radius, rule.misfit)
        )
        if not is_left:
            top, left, region = enclose(camera, room, box[k], radius)
            add_others(camera, room, region, spots, k, top, left)
            if region.height * region.width == 0:
                continue
            if is_alone:
                terms, found = judge(
                    camera, room, region, rule, taps, iterations, spots[k], top, left
                )
            else:
                terms = 1
                found = untangle(
                    room, region, rule, taps, iterations, spots, k, top, left,
                    camera.excess,
                )  # fmt: skip
            if found >= 0:
                count = report(
                    camera, room, region, rule, terms, found, top, left, joint, results,
                    codes, count,
                )  # fmt: skip
                continue
        if is_certain(camera, spots[k], sigma, rule):
            results[count], codes[count] = spots[k], status[k]
            count += 1
    return sift(
        camera, room, rule, taps, radius, iterations, sealed, joint, results, codes,
        count,
    )  # fmt: skip


@fused_kernel
def report(
    camera: Camera,
    room: Room,
    region: Region,
    rule: Rule,
    terms: int,
    found: int,
    top: int,
    left: int,
    joint: int,
    results: F64,
    codes: I16,
    count: int,
) -> int:
    """Write the emitters of a region that stand; return ``count`` and how many."""
    theta, spread = room.emitters.theta, room.algebra.vectors[SPREAD]
    freedom = region.height * region.width - terms - 3 * found
    is_odd = surplus_deviance(deviance(region), freedom) > 2.0 * rule.misfit
    for m in range(found):
        if is_odd and is_on_line(region, theta, terms, m):
            continue
        if not is_kept(theta, spread, terms, m, region, rule.least):
            continue
        emit(
            region, room.emitters, spread, terms, m, top, left, camera.excess,
            results[count],
        )  # fmt: skip
        codes[count] = joint
        if stands_out(camera, results[count], region.sigma, rule, rule.single):
            count += 1
    return count


@fused_kernel
def merge_doubles(spots: F64, status: I16, sigma: float) -> int:
    """Move the fits that no earlier one came to as well to the front; return how many.

    Two starts on one blob, as on a spot out of focus, end at one place: nearer than
    half a width, which no two spots found one by one are.
    """
    count = 0
    for k in range(spots.shape[0]):
        is_double = False
        for m in range(count - 1, -1, -1):
            if spots[k, Y] - spots[m, Y] > ORDER_PX:
                break
            apart2 = (spots[k, X] - spots[m, X]) ** 2 + (spots[k, Y] - spots[m, Y]) ** 2
            near = DOUBLE * max(min(spots[k, SIGMA], spots[m, SIGMA]), sigma)
            if apart2 < near * near:
                is_double = True
                break
        if not is_double:
            spots[count], status[count] = spots[k], status[k]
            count += 1
    return count


@fused_kernel
def review(
    camera: Camera,
    room: Room,
    rule: Rule,
    radius: int,
    iterations: int,
    results: F64,
    codes: I16,
    which: I32,
    spots: F64,
    status: I16,
) -> int:
    """Replace broad spots by their fits in larger boxes, or drop them; return the rest.

    Parameters
    ----------
    radius : int
        Of the larger box.
    results, codes
        Of `settle`, those that it kept; overwritten.
    which : int32 array, shape (broad,)
        The rows of those that are looked at.
    spots : float64 array, shape (broad, RESULTS); status : int16 array, shape (broad,)
        Their fits; a status below 0 says that there is none. A curved ground alone
        must explain the box worse than the spot does; and by as much as is asked of a
        further emitter, where the spot was doubted.
    """
    count = results.shape[0]
    for n in range(which.size):
        k = which[n]
        if status[n] < 0:
            continue
        _, _, region = surround(camera, room, spots[n], radius)
        least = rule.gain if codes[k] == DOUBTED else -rule.gain / 3.0
        least -= 2.0 * spots[n, LOG_RATIO]
        goal = Goal(LOOSE, least, least)
        if curved_at_least(region, room.emitters.theta) < least and (
            without_spot(room, region, iterations, goal) < least
        ):
            codes[k] = DOUBTED
        else:
            results[k], codes[k] = spots[n], status[n]
    return compact(results, codes, count)


@fused_kernel
def compact(results: F64, codes: I16, count: int) -> int:
    """Move the rows whose code is not below zero to the front; return how many."""
    kept = 0
    for k in range(count):
        if codes[k] >= 0:
            results[kept], codes[kept] = results[k], codes[k]
            kept += 1
    return kept


@fused_kernel
def sift(
    camera: Camera,
    room: Room,
    rule: Rule,
    taps: F64,
    radius: int,
    iterations: int,
    sealed: int,
    joint: int,
    results: F64,
    codes: I16,
    count: int,
) -> int:
    """Doubt what a curved ground explains as well as a spot does; return ``count``.

    Asked of the faint ones alone: what stands out by far is no ripple of the ground,
    but is fitted anew on curved ground where the likelihood asks for it.
    """
    sigma = room.region.sigma
    is_varied = varies(camera, results[:count], radius, rule.uneven)
    deepest, late, broadest = -np.inf, 0.0, sigma
    for k in range(count):
        deepest = max(deepest, results[k, Y])
        late = max(late, deepest - results[k, Y])
        broadest = max(broadest, results[k, SIGMA])
    slack = late + ORDER_PX + REACH * broadest
    for k in range(count):
        if results[k, SIGMA] != sigma or codes[k] == sealed:
            continue
        is_asked = is_varied and codes[k] != joint
        is_faint = not stands_out(camera, results[k], sigma, rule, rule.faint)
        if not (is_faint or is_asked):
            continue
        around = extent(camera, results[k, X], results[k, Y], 3 * radius + 1)
        near = those_near(results, count, k, around, slack)
        if unevenness(camera, room, results, near, around) < rule.uneven:
            continue
        top, left, region = surround(camera, room, results[k], radius)
        if 2 * (3 * radius + 1) >= SIDE:
            # the box may stick out of the surroundings, which are cut short
            within = top, left, region.height, region.width
            near = those_near(results, count, k, within, slack)
        shine(camera, room, region, results, near, k, top, left)
        needed = rule.gain if codes[k] == joint else rule.needed
        if is_faint and is_ripple(
            room, region, taps, needed, iterations, results[k], top, left, camera.excess
        ):
            codes[k] = DOUBTED
        elif is_asked and is_curved(
            room, region, iterations, results[k], top, left, camera.excess
        ):
            emit(
                region, room.emitters, room.algebra.vectors[SPREAD], TERMS, 0, top,
                left, camera.excess, results[k],
            )  # fmt: skip
            codes[k] = joint
    return count


@fused_kernel
def varies(camera: Camera, results: F64, radius: int, most: float) -> bool:
    """Return whether the grounds of a frame's spots differ by more than their noise.

    Asked of most of them: neighbours lift the ground of a few on any frame. ``most``:
    in variances.
    """
    count = results.shape[0]
    if count < 2:
        return count == 1
    level = np.median(results[:, BACKGROUND])
    far = 0
    for k in range(count):
        # a ground that is fitted with a spot is as certain as about half of the box
        ground = camera.excess * max(results[k, BACKGROUND], level, 1.0)
        noise = 2.0 * ground / (2 * radius + 1) ** 2
        far += (results[k, BACKGROUND] - level) ** 2 > most * noise
    return far > VARIED * count


@fused_kernel
def is_curved(
    room: Room,
    region: Region,
    iterations: int,
    spot: F64,
    top: int,
    left: int,
    excess: float,
) -> bool:
    """Fit a spot on flat and on curved ground; return whether the curve is needed.

    Then ``room`` holds that fit and its bounds. Source: Akaike's criterion.
    """
    start_one(room, 1, spot, top, left, excess)
    climb(region, room.emitters, room.algebra, 1, 1, LOOSELY, iterations)
    flat = deviance(region)
    start_one(room, TERMS, spot, top, left, excess)
    _, is_settled = climb(
        region, room.emitters, room.algebra, TERMS, 1, TO_THE_END, iterations
    )
    if not is_settled or flat - deviance(region) < 2.0 * (TERMS - 1):
        return False
    equations(region, room.emitters, room.algebra, TERMS, 1)
    return deviations(room.algebra, TERMS + 3, room.algebra.vectors[SPREAD])


@fused_kernel
def those_near(
    results: F64,
    count: int,
    k: int,
    around: tuple[int, int, int, int],
    slack: float,
) -> tuple[int, int]:
    """Return the first and the last + 1 of the spots that shine in a region of ``k``.

    ``around``: its first row and column, height and width; ``slack``: pixels beyond it
    in y, from which no spot of the list, nor any after it, shines there.
    """
    first, end = k, k + 1
    m = k - 1
    while m >= 0 and results[m, Y] > around[0] - slack:
        if shines(results, m, around):
            first = m
        m -= 1
    m = k + 1
    while m < count and results[m, Y] < around[0] + around[2] + slack:
        if shines(results, m, around):
            end = m + 1
        m += 1
    return first, end


@fused_kernel
def shines(results: F64, m: int, around: tuple[int, int, int, int]) -> bool:
    """Return whether the light of spot ``m`` reaches a region."""
    top, left, height, width = around
    reach = REACH * results[m, SIGMA]
    # most are far along the row
    x = results[m, X] - left
    if not -reach < x < width + reach:
        return False
    return -reach < results[m, Y] - top < height + reach


@fused_kernel
def shine(
    camera: Camera,
    room: Room,
    region: Region,
    results: F64,
    near: tuple[int, int],
    k: int,
    top: int,
    left: int,
) -> None:
    """Add the light of the spots around spot ``k`` to what is fixed of its region.

    ``near``: the first and the last + 1 that might shine there.
    """
    around = top, left, region.height, region.width
    for m in range(near[0], near[1]):
        if m != k and shines(results, m, around):
            y, x = results[m, Y] - top, results[m, X] - left
            photons = results[m, PHOTONS] / camera.excess
            add_light(region, room.emitters, x, y, photons, results[m, SIGMA])


@fused_kernel
def unevenness(
    camera: Camera,
    room: Room,
    results: F64,
    near: tuple[int, int],
    around: tuple[int, int, int, int],
) -> float:
    """Return chi-squared, over its expectation, of the means of nine parts of a region.

    1 for even ground under shot noise; the light of all spots, and the noise of
    reading, are taken off before. ``near``: as of `shine`; ``around``: the region's
    first row and column, height and width.
    """
    top, left, height, width = around
    thirds(camera, room, around)
    down = room.emitters.shares[DOWN, MOST - 1, 0]
    across = room.emitters.shares[ACROSS, MOST - 1, 0]
    for m in range(near[0], near[1]):
        if shines(results, m, around):
            y, x = results[m, Y] - top, results[m, X] - left
            third_shares(y, results[m, SIGMA], height, down)
            third_shares(x, results[m, SIGMA], width, across)
            photons = results[m, PHOTONS] / camera.excess
            for a in range(3):
                for b in range(3):
                    room.parts[0, a, b] -= photons * down[a] * across[b]
    total, squares, noise, parts = 0.0, 0.0, 0.0, 0
    for a in range(3):
        rows = (a + 1) * height // 3 - a * height // 3
        for b in range(3):
            size = rows * ((b + 1) * width // 3 - b * width // 3)
            if size == 0:
                continue
            mean = room.parts[0, a, b] / size
            total += mean
            squares += mean * mean
            noise += max(room.parts[1, a, b], 1.0) / (size * size)
            parts += 1
    if parts < 2 or not noise > 0.0:
        return 0.0
    spread = (squares - total * total / parts) / (parts - 1)
    return spread / (noise / parts)


@fused_kernel
def thirds(camera: Camera, room: Room, around: tuple[int, int, int, int]) -> None:
    """Write the light of nine parts of a frame's region, and its variance."""
    top, left, height, width = around
    share = 1.0 / camera.excess
    planes = room.region.planes
    for a in range(3):
        # by column, which a vector unit can sum
        for j in range(width):
            planes[UPPER + j] = planes[LOWER + j] = 0.0
        for row in range(top + a * height // 3, top + (a + 1) * height // 3):
            adu = camera.adu[row]
            dark = camera.offset_adu[min(row, camera.offset_adu.shape[0] - 1)]
            gain = camera.e_per_adu[min(row, camera.e_per_adu.shape[0] - 1)]
            noise = camera.variance_e2[min(row, camera.variance_e2.shape[0] - 1)]
            for j in range(width):
                # an index that might be negative is looked at twice
                k = np.uintp(left + j)
                planes[UPPER + j] += (np.float64(adu[k]) - dark[k]) * gain[k]
                planes[LOWER + j] += np.float64(noise[k])
        for b in range(3):
            light, variance = 0.0, 0.0
            for j in range(b * width // 3, (b + 1) * width // 3):
                light += planes[UPPER + j]
                variance += planes[LOWER + j]
            room.parts[0, a, b] = light * share
            room.parts[1, a, b] = light * share + variance * (share * share)


@fused_kernel
def third_shares(centre: float, sigma: float, size: int, out: F64) -> None:
    """Write the share of a 1-d Gaussian, cut at its reach, on each third of an axis."""
    reach = REACH * sigma
    first = max(math.floor(centre - reach + 0.5), 0)
    last = min(math.floor(centre + reach + 0.5) + 1, size)
    scale = SQRT_HALF / sigma
    edge, below = -1, 0.0
    for a in range(4):
        end = max(min(a * size // 3, last), first)
        if end != edge:
            z = (end - 0.5 - centre) * scale
            tail = 0.5 * math.exp(-z * z) * scaled_tail(abs(z))
            above = tail if z < 0.0 else 1.0 - tail
        else:
            above = below
        if a > 0:
            out[a - 1] = above - below
        edge, below = end, above


@fused_kernel
def is_ripple(
    room: Room,
    region: Region,
    taps: F64,
    needed: float,
    iterations: int,
    spot: F64,
    top: int,
    left: int,
    excess: float,
) -> bool:
    """Return whether a faint spot on uneven ground is not needed to explain it."""
    curved_at_least(region, room.emitters.theta)
    start_ground(region, room.emitters.theta)
    # a spot gains at most what is left
    goal = Goal(LOOSE, np.inf, needed)
    climb(region, room.emitters, room.algebra, TERMS, 0, goal, iterations)
    ground = deviance(region)
    if ground < needed:
        return True
    if not asks_for_spot(region, taps, needed):
        return True
    start_one(room, TERMS, spot, top, left, excess)
    # once the spot has gained what is needed no more is asked
    goal = Goal(LOOSE, np.inf, ground - needed)
    climb(region, room.emitters, room.algebra, TERMS, 1, goal, iterations)
    return ground - deviance(region) < needed


@fused_kernel
def asks_for_spot(region: Region, taps: F64, needed: float) -> bool:
    """Return whether what a fitted ground leaves might be a spot.

    ``needed``: of twice the log-likelihood. The score test at pixels' centres sees an
    eighth of what a fit would gain, or more: the ground has taken half of the spot and
    half its place. So most climbs that would end without light are spared.
    """
    score, _, _, _ = next_emitter(region, taps, taps.shape[1] // 2)
    return 8.0 * score * score > needed


@fused_kernel
def stands_out(
    camera: Camera, spot: F64, sigma: float, rule: Rule, least: float
) -> bool:
    """Return whether a spot is above the noise of the ground beneath it.

    ``least``: in deviations of normal noise.
    """
    height, width = camera.adu.shape
    i = min(max(math.floor(spot[Y] + 0.5), 0), height - 1)
    j = min(max(math.floor(spot[X] + 0.5), 0), width - 1)
    wider = spot[SIGMA] / sigma
    light = camera.excess * max(spot[BACKGROUND], MIN_MEAN)
    pixel2 = light + camera.variance_e2[min(i, camera.variance_e2.shape[0] - 1), j]
    skew = rule.skew_px / wider * camera.excess * light / (pixel2 * math.sqrt(pixel2))
    # Cornish & Fisher 1938: where a skewed distribution has the normal one's tail
    least += skew * (least * least - 1.0) / 6.0
    return spot[PHOTONS] > least * wider * math.sqrt(pixel2 * rule.noise_px)


@fused_kernel
def is_certain(camera: Camera, spot: F64, sigma: float, rule: Rule) -> bool:
    """Return whether a spot is more than noise.

    The photons of a wide one are known badly, since the ground is hardly seen beside
    it; that it is there is not.
    """
    if not stands_out(camera, spot, sigma, rule, rule.single):
        return False
    return spot[SIGMA] > sigma or spot[PHOTONS] > rule.least * spot[SD_PHOTONS]


@fused_kernel
def is_on_line(region: Region, theta: F64, terms: int, k: int) -> bool:
    """Return whether what an emitter stands on goes on at both sides: a fibre, an edge.

    Three widths away along some axis the light must keep half of its height over the
    region's darkest patch, and must not be twice as high, as of a neighbour.
    """
    x, y = theta[terms + 3 * k + X], theta[terms + 3 * k + Y]
    ground = np.inf
    for i in range(1, region.height - 1):
        for j in range(1, region.width - 1):
            ground = min(ground, patch(region, i, j))
    here = patch(region, y, x) - ground
    far = 3.1 * region.sigma
    for n in range(8):
        down = far * math.sin(n * math.pi / 8.0)
        right = far * math.cos(n * math.pi / 8.0)
        one = patch(region, y + down, x + right) - ground
        other = patch(region, y - down, x - right) - ground
        if 0.5 * here < min(one, other) and max(one, other) < 2.0 * here:
            return True
    return False


@fused_kernel
def patch(region: Region, y: float, x: float) -> float:
    """Return the mean light of the nine pixels around a place, kept in the region."""
    row = min(max(math.floor(y + 0.5), 1), region.height - 2)
    column = min(max(math.floor(x + 0.5), 1), region.width - 2)
    total = 0.0
    for i in range(row - 1, row + 2):
        for j in range(column - 1, column + 2):
            n = i * region.width + j
            total += region.planes[COUNTS + n] - region.planes[FIXED + n]
    return total / 9.0


@fused_kernel
def is_kept(
    theta: F64, spread: F64, terms: int, k: int, region: Region, least: float
) -> bool:
    """Return whether an emitter lies in the region, and is certain enough."""
    at = terms + 3 * k
    x, y = theta[at + X], theta[at + Y]
    is_inside = -0.5 <= x < region.width - 0.5 and -0.5 <= y < region.height - 0.5
    return is_inside and theta[at + PHOTONS] > least * spread[at + PHOTONS]


@fused_kernel
def is_plain(spot: F64, sigma: float, radius: int, misfit: float) -> bool:
    """Return whether a spot has the known width and fits as well as one should."""
    freedom = (2 * radius + 1) ** 2 - 4
    return (
        spot[SIGMA] == sigma
        and surplus_deviance(-2.0 * spot[LOG_RATIO], freedom) < misfit
    )


@fused_kernel
def stretch(low: float, high: float, radius: int, size: int) -> tuple[int, int]:
    """Return the first pixel and the last + 1 around what lies on an axis."""
    least = min(2 * radius + 1, size)
    first = min(max(math.floor(low + 0.5) - radius, 0), size - least)
    end = min(max(math.floor(high + 0.5) + radius + 1, first + least), size)
    return first, first + min(end - first, SIDE)


@fused_kernel
def extent(
    camera: Camera, x: float, y: float, radius: int
) -> tuple[int, int, int, int]:
    """Return first row and column, height and width of the region around a place."""
    top, below = stretch(y, y, radius, camera.adu.shape[0])
    left, right = stretch(x, x, radius, camera.adu.shape[1])
    return top, left, below - top, right - left


@fused_kernel
def enclose(
    camera: Camera, room: Room, box: F64, radius: int
) -> tuple[int, int, Region]:
    """Load the region around a group; return its first row and column, and itself."""
    height, width = camera.adu.shape
    top, below = stretch(box[2], box[3], radius, height)
    left, right = stretch(box[0], box[1], radius, width)
    region = prepare(room.region, below - top, right - left)
    load(camera, region, top, left)
    return top, left, region


@fused_kernel
def add_others(
    camera: Camera,
    room: Room,
    region: Region,
    spots: F64,
    root: int,
    top: int,
    left: int,
) -> None:
    """Add the light of the other groups' spots to what is fixed of a region."""
    slack = REACH * region.sigma + ORDER_PX
    width = region.width
    for step in (-1, 1):
        k = root if step < 0 else root + 1
        while 0 <= k < spots.shape[0]:
            y, x = spots[k, Y] - top, spots[k, X] - left
            if y < -slack or y > region.height + slack:
                break
            reach = REACH * spots[k, SIGMA] + 1.0
            if -reach < x < width + reach and find_root(room.parent, k) != root:
                photons = spots[k, PHOTONS] / camera.excess
                add_light(region, room.emitters, x, y, photons, spots[k, SIGMA])
            k += step


@fused_kernel
def untangle(
    room: Room,
    region: Region,
    rule: Rule,
    taps: F64,
    iterations: int,
    spots: F64,
    root: int,
    top: int,
    left: int,
    excess: float,
) -> int:
    """Fit a group together on a flat ground; return how many emitters it has."""
    theta = room.emitters.theta
    count, k, ground = 0, root, np.inf
    while k >= 0 and count < MOST:
        at = 1 + 3 * count
        theta[at + X], theta[at + Y] = spots[k, X] - left, spots[k, Y] - top
        theta[at + PHOTONS] = spots[k, PHOTONS] / excess
        ground = min(ground, spots[k, BACKGROUND] / excess)
        count += 1
        k = room.follower[k]
    theta[0] = max(ground, MIN_MEAN)
    count, _, is_sound = resolve(
        region, room.emitters, room.algebra, taps, rule, 1, count, iterations, np.inf,
    )  # fmt: skip
    return count if is_sound else 0


@fused_kernel
def surround(
    camera: Camera, room: Room, spot: F64, radius: int
) -> tuple[int, int, Region]:
    """Load the region around one spot; return its first row and column, and itself."""
    box = room.algebra.vectors[SPREAD]
    box[0] = box[1] = spot[X]
    box[2] = box[3] = spot[Y]
    return enclose(camera, room, box, radius)


@fused_kernel
def without_spot(room: Room, region: Region, iterations: int, goal: Goal) -> float:
    """Fit a curved ground alone to a region; return its deviance.

    From that of `curved_at_least`, which is in ``room``.
    """
    start_ground(region, room.emitters.theta)
    climb(region, room.emitters, room.algebra, TERMS, 0, goal, iterations)
    return deviance(region)


@fused_kernel
def start_ground(region: Region, theta: F64) -> None:
    """Make a ground a flat one where it is not everywhere above zero."""
    mean, least = 0.0, np.inf
    for i in range(region.height):
        v, vv = region.basis[0, 1, i], region.basis[0, 2, i]
        level = theta[0] + theta[2] * v + theta[5] * vv
        tilt = theta[1] + theta[4] * v
        for j in range(region.width):
            n = i * region.width + j
            u, uu = region.basis[1, 1, j], region.basis[1, 2, j]
            least = min(least, level + tilt * u + theta[3] * uu)
            mean += region.planes[COUNTS + n] - region.planes[FIXED + n]
    mean /= region.height * region.width
    if not least > DIM * mean:
        theta[:TERMS] = 0.0
        theta[0] = max(mean, MIN_MEAN)


@fused_kernel
def start_one(
    room: Room, terms: int, spot: F64, top: int, left: int, excess: float
) -> None:
    """Write the ground and the place of one spot as it was found."""
    theta = room.emitters.theta
    theta[:terms] = 0.0
    theta[0] = max(spot[BACKGROUND] / excess, MIN_MEAN)
    theta[terms + X], theta[terms + Y] = spot[X] - left, spot[Y] - top
    theta[terms + PHOTONS] = spot[PHOTONS] / excess


@fused_kernel
def judge(
    camera: Camera,
    room: Room,
    region: Region,
    rule: Rule,
    taps: F64,
    iterations: int,
    spot: F64,
    top: int,
    left: int,
) -> tuple[int, int]:
    """Decide what a lone spot is that does not look like one.

    Held against each other, each parameter at the same price: the spot as it was
    fitted; several spots on flat ground; a curved ground without a spot, and one with.

    Returns
    -------
    tuple of int
        Terms of the ground, and emitters, as they stand in ``room``; -1 emitters: the
        spot as it was fitted.
    """
    excess = camera.excess
    price = rule.gain / 3.0
    is_free = spot[SIGMA] != region.sigma
    least = -2.0 * spot[LOG_RATIO] + price * (5.0 if is_free else 4.0)
    choice = 0
    bar = least - price * TERMS
    if curved_at_least(region, room.emitters.theta) < bar:
        ground = without_spot(room, region, iterations, Goal(LOOSE, bar, -np.inf))
        if ground < bar:
            if not asks_for_spot(region, taps, rule.gain):
                return TERMS, 0
            choice, least = 1, ground + price * TERMS
    # no model is asked whose deviance, were it the true one, would be too high
    pixels = region.height * region.width
    darkest = spot[BACKGROUND] / excess + region.planes[FIXED]
    if least_deviance(pixels - TERMS - 3, darkest) + price * (TERMS + 3) < least:
        start_one(room, TERMS, spot, top, left, excess)
        climb(region, room.emitters, room.algebra, TERMS, 1, LOOSELY, iterations)
        if deviance(region) + price * (TERMS + 3) < least:
            choice, least = 2, deviance(region) + price * (TERMS + 3)
    is_narrow = spot[SIGMA] < rule.broad * region.sigma
    if is_narrow and least_deviance(pixels - 1 - 6, darkest) + price * (1 + 6) < least:
        start_one(room, 1, spot, top, left, excess)
        count, _, is_sound = resolve(
            region, room.emitters, room.algebra, taps, rule, 1, 1, iterations, least,
        )  # fmt: skip
        is_better = deviance(region) + price * (1 + 3 * count) < least
        if is_sound and count > 1 and is_better:
            return 1, count
    if choice == 0:
        return 1, -1
    if choice == 1:
        return TERMS, 0
    start_one(room, TERMS, spot, top, left, excess)
    climb(region, room.emitters, room.algebra, TERMS, 1, TO_THE_END, iterations)
    equations(region, room.emitters, room.algebra, TERMS, 1)
    is_sound = deviations(room.algebra, TERMS + 3, room.algebra.vectors[SPREAD])
    return TERMS, 1 if is_sound else 0
