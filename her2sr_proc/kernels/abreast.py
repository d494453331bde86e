"""Maximum-likelihood fits of spots, of known or free width, sixteen side by side.

The same likelihood, steps and bounds as of `gauss`, for the many spots that are plain
(`fit_spots`) and the many blobs of bright tissue (`fit_widths`): what does not settle
in some undamped steps, comes near a limit, or speaks against a known width is left
open, for `gauss` to fit. Every number is an array over the spots
("lanes"), innermost in memory, so that a processor's vector unit works on all of them;
a lane whose spot has settled takes the next one at once. A spot's result does not
depend on its neighbours.

Source: Smith et al. 2010, doi:10.1038/nmeth.1449; Huang et al. 2013,
doi:10.1038/nmeth.2488; Rao's score test for the width.
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
I64 = npt.NDArray[np.int64]

LANES = 16
"""A multiple of every vector's length; two boxes' planes then fit the nearest cache."""
FITTED, NARROW, WIDE, SATURATED, OPEN, DOUBTED = 0, 5, 6, 100, -1, -2
"""Codes: as of `gauss`; left open; settled, but the width is another."""
RESULTS = 10
"""Columns of a result, as of `gauss.fit_spots`."""
ROUNDS, WIDE_ROUNDS = 12, 40
"""Steps after which a fit is left open: of a plain spot, which takes three or four, in
tissue twice as many; and where the width is free."""
UNSTEADY, SHORTER = 14, 0.5
"""Steps after which what still moves swings to and fro, and is moved by less."""
WIDEST_START = 1.6
"""Over the known width, at which a free one starts at most."""
EVIDENT = 1.6
"""Over the known width, from which a guess is no chance: in bright light (`BRIGHT`),
the score test doubts every such spot."""
BRIGHT = 15.0
"""Deviations of their noise by which nine pixels stand out of their ground."""
SETTLED = 1e-4
"""Squared length of a step in units of the bound, below which it is the last."""
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
MIN_PHOTONS = 1.0
MIN_BACKGROUND = 0.01
MIN_SPREAD = 1e-12
NEAR = 0.16
"""Of the square of (a - b) / (a + b): a and b differ by less than a factor of 2.3."""

# Planes of LANES numbers. Offsets are constants, so that a compiler sees that what is
# read and what is written never overlap.
X, Y, PHOTONS, BACKGROUND = 0, LANES, 2 * LANES, 3 * LANES
ACTIVE, RATIO, SQUARES, BROKEN = 4 * LANES, 5 * LANES, 6 * LANES, 7 * LANES
WIDTH, STEPS, BURNT, SPOT = 8 * LANES, 9 * LANES, 10 * LANES, 11 * LANES
STATE = 12 * LANES
"""The estimate; 1 while it moves; likelihood ratio; squared residuals; 1 if open; the
width; steps done; 1 if a pixel is saturated; number of the spot."""
NOBODY = -1.0
"""The number of a lane that has no spot."""

# sums along a row
SS, SB, BB, S, B, ONE, RS, RB, R = (n * LANES for n in range(9))
ST, BT, TT, T, RT = (n * LANES for n in range(9, 14))
ROW = 14 * LANES
# the lower half of the information, then the gradient
XX, YX, YY, PX, PY, PP = (ROW + n * LANES for n in range(6))
GX, GY, GP, GG = (ROW + n * LANES for n in range(6, 10))
WX, WY, WP, WG, WW = (ROW + n * LANES for n in range(10, 15))
DX, DY, DP, DG, DW = (ROW + n * LANES for n in range(15, 20))
SUMS = ROW + 20 * LANES
# what `axis_shares` keeps from edge to edge
BELL, FACTOR, CHANGE, POWERS = 0, LANES, 2 * LANES, 3 * LANES
INVERSE, BEFORE, PLACE = 6 * LANES, 7 * LANES, 8 * LANES
DESK = 9 * LANES

# erfc(z) exp(z z) as a polynomial of 2 (t - 0.3) / 0.7 - 1, where t = 3 / (3 + z), by
# Chebyshev's nodes on 0 <= z <= 7; erfc itself is then right to 5e-12 everywhere.
C0, C1, C2 = 0.303671376437709, 0.366038767341772, 0.208967316552335
C3, C4, C5 = 0.0892110918408702, 0.0271330204072665, 0.00501391852398528
C6, C7, C8 = 0.00015213157304741, -0.000169797856339898, -2.52509119647741e-05
C9, C10, C11 = 6.27007319166141e-06, 1.50133446218892e-06, -2.77092653078013e-07
C12 = -6.82286451174628e-08
SLOPE_T, LEVEL_T = 2.0 / 0.7, -0.6 / 0.7 - 1.0

# of the exponential: its series, ln 2 in two parts, of which the first ends in zeros,
# 1.5 times 2**52, and how 1.0 looks as int64
E3, E4, E5, E6, E7, E8 = (1.0 / math.factorial(n) for n in range(3, 9))
E9, E10, E11, E12, E13 = (1.0 / math.factorial(n) for n in range(9, 14))
LOG2_E = 1.0 / math.log(2.0)
LN_2, LN_2_MORE = 6.93147180369123816490e-01, 1.90821492927058770002e-10
WHOLE = 6755399441055744.0
ONE_AS_WORD = 1023 << 52


@kernel
def load(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    row: int,
    column: int,
    radius: int,
    sigma: float,
    excess: float,
    ceiling_adu: float,
    lane: int,
    box: F64,
    state: F64,
) -> bool:
    """Copy one spot's pixels into its lane and write where its fit starts.

    The background is the lowest mean of the box's four sides, so that a neighbour at
    one side does not lift it. Returns whether a pixel is saturated.
    """
    size = 2 * radius + 1
    pixels = size * size
    top = min(max(row - radius, 0), adu.shape[0] - size)
    left = min(max(column - radius, 0), adu.shape[1] - size)
    highest = adu[top, left]
    for i in range(1, size):  # one pixel a line, so that waits for memory overlap
        highest = max(highest, adu[np.uintp(top + i), np.uintp(left)])
    fixed = np.uintp(pixels * LANES)
    total, first, last, before, after = 0.0, 0.0, 0.0, 0.0, 0.0
    share = 1.0 / excess  # a division a pixel is half of what a pixel costs here
    for i in range(size):
        k = top + i
        dark = offset_adu[min(k, offset_adu.shape[0] - 1)]
        gain = e_per_adu[min(k, e_per_adu.shape[0] - 1)]
        noise = variance_e2[min(k, variance_e2.shape[0] - 1)]
        line = adu[k]
        along, light = 0.0, 0.0
        for j in range(size):
            # an index that might be negative is looked at twice
            m = np.uintp(left + j)
            at = np.uintp((i * size + j) * LANES + lane)
            count = line[m]
            spread = np.float64(noise[m]) * (share * share)
            light = np.float64((np.float32(count) - dark[m]) * gain[m]) * share
            box[at] = light + spread
            box[at + fixed] = spread
            along += light
            highest = max(highest, count)
            if j == 0:
                before += light
        after += light
        total += along
        if i == 0:
            first = along
        last = along
    ground = max(min(first, last, before, after) / size, 10.0 * MIN_BACKGROUND)
    i, j = row - top, column - left
    at = (i * size + j) * LANES + lane
    peak = box[at] - box[pixels * LANES + at] - ground
    by_peak = peak * 2.0 * math.pi * sigma * sigma
    by_sum = total - ground * pixels
    state[X + lane] = j
    state[Y + lane] = i
    state[PHOTONS + lane] = max(by_sum, 0.5 * by_peak, 10.0 * MIN_PHOTONS)
    state[BACKGROUND + lane] = ground
    state[ACTIVE + lane] = 1.0
    state[BROKEN + lane] = 0.0 if math.isfinite(total) else 1.0
    state[WIDTH + lane] = sigma
    if 0 < i < size - 1 and 0 < j < size - 1:
        by_x, bend_x = tilt(box, pixels, at, LANES, size * LANES, ground)
        by_y, bend_y = tilt(box, pixels, at, size * LANES, LANES, ground)
        state[X + lane] += by_x
        state[Y + lane] += by_y
        # a pixel's own extent is a twelfth of a square
        guessed = math.sqrt(max(2.0 / (bend_x + bend_y) - 1.0 / 12.0, 0.1))
        state[WIDTH + lane] = guessed
    return bool(highest >= ceiling_adu)


@kernel
def tilt(
    box: F64, pixels: int, at: int, along: int, aside: int, ground: float
) -> tuple[float, float]:
    """Return how far a spot lies from a pixel's centre along one axis, and its bend.

    The logarithms of three neighbouring sums of a Gaussian lie on a parabola; its bend
    is one over the squared width.
    """
    before = middle = after = -3.0 * ground
    for k in range(-1, 2):
        here = at + k * aside
        fixed = pixels * LANES + here
        before += box[here - along] - box[fixed - along]
        middle += box[here] - box[fixed]
        after += box[here + along] - box[fixed + along]
    middle = max(middle, MIN_PHOTONS)
    low = math.log(min(max(before / middle, 0.03), 0.95))
    high = math.log(min(max(after / middle, 0.03), 0.95))
    return min(max(-(high - low) / (low + high), -0.7), 0.7), -(low + high)


@kernel
def exponentials(values: F64, powers: F64, words: I64) -> None:
    """Write e to the power of each value over it, right to rounding.

    Values beyond 700 either way count as that. A call of the system's exponential is
    made lane by lane. ``powers`` is scratch of the values' shape, ``words`` the same
    memory as int64.
    """
    for k in range(values.size):
        # so large a number that its last bits are a whole power of two
        values[k] = min(max(values[k], -700.0), 700.0)
        powers[k] = values[k] * LOG2_E + WHOLE
    for k in range(values.size):
        whole = powers[k] - WHOLE
        rest = (values[k] - whole * LN_2) - whole * LN_2_MORE
        series = E13
        series = series * rest + E12
        series = series * rest + E11
        series = series * rest + E10
        series = series * rest + E9
        series = series * rest + E8
        series = series * rest + E7
        series = series * rest + E6
        series = series * rest + E5
        series = series * rest + E4
        series = series * rest + E3
        series = series * rest + 0.5
        series = series * rest + 1.0
        values[k] = series * rest + 1.0
    for k in range(values.size):
        words[k] = (words[k] << 52) + ONE_AS_WORD
    for k in range(values.size):
        values[k] *= powers[k]


@kernel
def share_before(z: float, bell: float) -> float:
    """Return what of a Gaussian lies before ``z``, in units of sqrt(2) widths.

    ``bell``: exp(-z z).
    """
    u = SLOPE_T * (3.0 / (3.0 + abs(z))) + LEVEL_T
    series = C12
    series = series * u + C11
    series = series * u + C10
    series = series * u + C9
    series = series * u + C8
    series = series * u + C7
    series = series * u + C6
    series = series * u + C5
    series = series * u + C4
    series = series * u + C3
    series = series * u + C2
    series = series * u + C1
    series = series * u + C0
    tail = 0.5 * bell * series
    return tail if z < 0.0 else 1.0 - tail


@kernel
def axis_shares(
    state: F64,
    which: int,
    size: int,
    desk: F64,
    shares: F64,
    slopes: F64,
    widens: F64,
) -> None:
    """Write the shares of every pixel of an axis, and their derivatives, of all lanes.

    Parameters
    ----------
    which : int
        The plane of ``state`` that holds the place along this axis.
    desk : float64 array, shape (DESK,)
        Scratch.
    shares, slopes, widens : float64 array, shape (size LANES,)
        Overwritten: of every pixel in turn the share, its derivatives by place and by
        width.
    """
    # from edge to edge a Gaussian changes by a factor, and that by a constant one
    place = state[which : which + LANES]
    for lane in range(LANES):
        edge = -0.5 - place[lane]
        desk[PLACE + lane] = place[lane]
        inverse = 1.0 / state[WIDTH + lane]
        bend = 0.5 * inverse * inverse
        desk[INVERSE + lane] = inverse
        desk[BELL + lane] = -bend * edge * edge
        desk[FACTOR + lane] = -bend * (2.0 * edge + 1.0)
        desk[CHANGE + lane] = -2.0 * bend
    powers = desk[POWERS:INVERSE]
    exponentials(desk[:POWERS], powers, powers.view(np.int64))
    for lane in range(LANES):
        edge = -0.5 - desk[PLACE + lane]
        z = edge * (SQRT_HALF * desk[INVERSE + lane])
        desk[BEFORE + lane] = share_before(z, desk[BELL + lane])
    for k in range(size):
        share = shares[k * LANES : (k + 1) * LANES]
        slope = slopes[k * LANES : (k + 1) * LANES]
        widen = widens[k * LANES : (k + 1) * LANES]
        for lane in range(LANES):
            edge = k - 0.5 - desk[PLACE + lane]
            inverse = desk[INVERSE + lane]
            z = (k + 0.5 - desk[PLACE + lane]) * (SQRT_HALF * inverse)
            height = INV_SQRT_2PI * inverse
            low, factor = desk[BELL + lane], desk[FACTOR + lane]
            high = low * factor
            before = share_before(z, high)
            share[lane] = before - desk[BEFORE + lane]
            slope[lane] = height * (low - high)
            widen[lane] = height * inverse * (edge * low - (edge + 1.0) * high)
            desk[BELL + lane] = high
            desk[FACTOR + lane] = factor * desk[CHANGE + lane]
            desk[BEFORE + lane] = before


@kernel
def moments(
    value: float, fixed: float, share: float, by: float, ground: float, light: float
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """Return what one pixel adds to the sums `SS` to `R` of its row.

    ``value``, ``fixed`` : its count, and what of it is no light; ``share``, ``by`` :
    the spot's share along the row, and its derivative by place; ``light`` : the spot's
    in this row.
    """
    weight = 1.0 / (ground + fixed + light * share)
    residual = value * weight - 1.0
    weighted, weighted_by = weight * share, weight * by
    return (
        weighted * share, weighted * by, weighted_by * by, weighted, weighted_by,
        weight, residual * share, residual * by, residual,
    )  # fmt: skip


@kernel
def wide_moments(
    value: float,
    fixed: float,
    share: float,
    by: float,
    wide: float,
    ground: float,
    light: float,
) -> tuple[
    float, float, float, float, float, float, float, float, float, float, float, float,
    float, float,
]:  # fmt: skip
    """Return what one pixel adds to the sums `SS` to `RT`; ``wide``: slope by width."""
    weight = 1.0 / (ground + fixed + light * share)
    residual = value * weight - 1.0
    weighted, weighted_by, weighted_wide = weight * share, weight * by, weight * wide
    return (
        weighted * share, weighted * by, weighted_by * by, weighted, weighted_by,
        weight, residual * share, residual * by, residual, weighted_wide * share,
        weighted_wide * by, weighted_wide * wide, weighted_wide, residual * wide,
    )  # fmt: skip


@kernel
def add_row(sums: F64, state: F64, part: F64, part_y: F64) -> None:
    """Add what a row of pixels gives to the gradient and the information.

    ``part``, ``part_y``: its share and slope down, of every lane.
    """
    # every slope is one along x times one down: the row's sums make its part
    for lane in range(LANES):
        share_y = part[lane]
        y = state[PHOTONS + lane] * share_y
        by_y = state[PHOTONS + lane] * part_y[lane]
        sums[XX + lane] += y * y * sums[BB + lane]
        sums[YX + lane] += y * by_y * sums[SB + lane]
        sums[YY + lane] += by_y * by_y * sums[SS + lane]
        sums[PX + lane] += share_y * y * sums[SB + lane]
        sums[PY + lane] += share_y * by_y * sums[SS + lane]
        sums[PP + lane] += share_y * share_y * sums[SS + lane]
        sums[GX + lane] += y * sums[B + lane]
        sums[GY + lane] += by_y * sums[S + lane]
        sums[GP + lane] += share_y * sums[S + lane]
        sums[GG + lane] += sums[ONE + lane]
        sums[DX + lane] += y * sums[RB + lane]
        sums[DY + lane] += by_y * sums[RS + lane]
        sums[DP + lane] += share_y * sums[RS + lane]
        sums[DG + lane] += sums[R + lane]


@kernel
def gather(
    size: int,
    box: F64,
    state: F64,
    across: F64,
    across_x: F64,
    down: F64,
    down_y: F64,
    sums: F64,
) -> None:
    """Write the gradient and the lower half of the expected information of all lanes.

    ``across`` to ``down_y``: shares and slopes as of `axis_shares`, along x and y.
    """
    # slices, which begin at 0: an index that might be negative is read lane by lane
    pixels = size * size * LANES
    for k in range(ROW, SUMS):
        sums[k] = 0.0
    for i in range(size):
        row = i * size * LANES
        values = box[row : row + size * LANES]
        fixes = box[pixels + row : pixels + row + size * LANES]
        part = down[i * LANES : (i + 1) * LANES]
        part_y = down_y[i * LANES : (i + 1) * LANES]
        share, by = across[:LANES], across_x[:LANES]
        for lane in range(LANES):
            ground = state[BACKGROUND + lane]
            light = state[PHOTONS + lane] * part[lane]
            a = moments(
                values[lane], fixes[lane], share[lane], by[lane], ground, light
            )  # fmt: skip
            sums[SS + lane] = a[0]
            sums[SB + lane] = a[1]
            sums[BB + lane] = a[2]
            sums[S + lane] = a[3]
            sums[B + lane] = a[4]
            sums[ONE + lane] = a[5]
            sums[RS + lane] = a[6]
            sums[RB + lane] = a[7]
            sums[R + lane] = a[8]
        # two pixels at once: half the sums to be read and written
        for j in range(1, size - 1, 2):
            begin, end = j * LANES, (j + 2) * LANES
            value, fixed = values[begin:end], fixes[begin:end]
            share, by = across[begin:end], across_x[begin:end]
            for lane in range(LANES):
                ground = state[BACKGROUND + lane]
                light = state[PHOTONS + lane] * part[lane]
                a = moments(
                    value[lane], fixed[lane], share[lane], by[lane], ground, light
                )
                after = lane + LANES
                b = moments(
                    value[after], fixed[after], share[after], by[after], ground, light
                )
                sums[SS + lane] = sums[SS + lane] + a[0] + b[0]
                sums[SB + lane] = sums[SB + lane] + a[1] + b[1]
                sums[BB + lane] = sums[BB + lane] + a[2] + b[2]
                sums[S + lane] = sums[S + lane] + a[3] + b[3]
                sums[B + lane] = sums[B + lane] + a[4] + b[4]
                sums[ONE + lane] = sums[ONE + lane] + a[5] + b[5]
                sums[RS + lane] = sums[RS + lane] + a[6] + b[6]
                sums[RB + lane] = sums[RB + lane] + a[7] + b[7]
                sums[R + lane] = sums[R + lane] + a[8] + b[8]
        add_row(sums, state, part, part_y)


@kernel
def gather_all(
    size: int,
    box: F64,
    state: F64,
    across: F64,
    across_x: F64,
    across_w: F64,
    down: F64,
    down_y: F64,
    down_w: F64,
    sums: F64,
) -> None:
    """Write what `gather` does and the rows of the width."""
    pixels = size * size * LANES
    for k in range(ROW, SUMS):
        sums[k] = 0.0
    for i in range(size):
        row = i * size * LANES
        values = box[row : row + size * LANES]
        fixes = box[pixels + row : pixels + row + size * LANES]
        part = down[i * LANES : (i + 1) * LANES]
        part_y = down_y[i * LANES : (i + 1) * LANES]
        part_w = down_w[i * LANES : (i + 1) * LANES]
        share, by = across[:LANES], across_x[:LANES]
        wide = across_w[:LANES]
        for lane in range(LANES):
            ground = state[BACKGROUND + lane]
            light = state[PHOTONS + lane] * part[lane]
            a = wide_moments(
                values[lane], fixes[lane], share[lane], by[lane], wide[lane], ground,
                light,
            )  # fmt: skip
            sums[SS + lane] = a[0]
            sums[SB + lane] = a[1]
            sums[BB + lane] = a[2]
            sums[S + lane] = a[3]
            sums[B + lane] = a[4]
            sums[ONE + lane] = a[5]
            sums[RS + lane] = a[6]
            sums[RB + lane] = a[7]
            sums[R + lane] = a[8]
            sums[ST + lane] = a[9]
            sums[BT + lane] = a[10]
            sums[TT + lane] = a[11]
            sums[T + lane] = a[12]
            sums[RT + lane] = a[13]
        # two pixels at once: half the sums to be read and written
        for j in range(1, size - 1, 2):
            begin, end = j * LANES, (j + 2) * LANES
            value, fixed = values[begin:end], fixes[begin:end]
            share, by = across[begin:end], across_x[begin:end]
            wide = across_w[begin:end]
            for lane in range(LANES):
                ground = state[BACKGROUND + lane]
                light = state[PHOTONS + lane] * part[lane]
                a = wide_moments(
                    value[lane],
                    fixed[lane],
                    share[lane],
                    by[lane],
                    wide[lane],
                    ground,
                    light,
                )
                after = lane + LANES
                b = wide_moments(
                    value[after],
                    fixed[after],
                    share[after],
                    by[after],
                    wide[after],
                    ground,
                    light,
                )
                sums[SS + lane] = sums[SS + lane] + a[0] + b[0]
                sums[SB + lane] = sums[SB + lane] + a[1] + b[1]
                sums[BB + lane] = sums[BB + lane] + a[2] + b[2]
                sums[S + lane] = sums[S + lane] + a[3] + b[3]
                sums[B + lane] = sums[B + lane] + a[4] + b[4]
                sums[ONE + lane] = sums[ONE + lane] + a[5] + b[5]
                sums[RS + lane] = sums[RS + lane] + a[6] + b[6]
                sums[RB + lane] = sums[RB + lane] + a[7] + b[7]
                sums[R + lane] = sums[R + lane] + a[8] + b[8]
                sums[ST + lane] = sums[ST + lane] + a[9] + b[9]
                sums[BT + lane] = sums[BT + lane] + a[10] + b[10]
                sums[TT + lane] = sums[TT + lane] + a[11] + b[11]
                sums[T + lane] = sums[T + lane] + a[12] + b[12]
                sums[RT + lane] = sums[RT + lane] + a[13] + b[13]
        add_row(sums, state, part, part_y)
        for lane in range(LANES):
            share_y = part[lane]
            y = state[PHOTONS + lane] * share_y
            by_y = state[PHOTONS + lane] * part_y[lane]
            wide_y = state[PHOTONS + lane] * part_w[lane]
            by_wide = y * sums[ST + lane] + wide_y * sums[SS + lane]
            sums[WX + lane] += y * (y * sums[BT + lane] + wide_y * sums[SB + lane])
            sums[WY + lane] += by_y * by_wide
            sums[WP + lane] += share_y * by_wide
            sums[WG + lane] += y * sums[T + lane] + wide_y * sums[S + lane]
            twice = 2.0 * y * sums[ST + lane] + wide_y * sums[SS + lane]
            sums[WW + lane] += y * y * sums[TT + lane] + wide_y * twice
            sums[DW + lane] += y * sums[RT + lane] + wide_y * sums[RS + lane]


@kernel
def step(sums: F64, state: F64, size: int) -> None:
    """Move every lane that is active by one step.

    The information is split as L D L'. A lane whose step is small against its bound
    rests after it.
    """
    for lane in range(LANES):
        i0 = 1.0 / sums[XX + lane]
        l10, l20 = sums[YX + lane] * i0, sums[PX + lane] * i0
        l30 = sums[GX + lane] * i0
        d1 = sums[YY + lane] - l10 * sums[YX + lane]
        i1 = 1.0 / d1
        u21 = sums[PY + lane] - l20 * sums[YX + lane]
        u31 = sums[GY + lane] - l30 * sums[YX + lane]
        l21, l31 = u21 * i1, u31 * i1
        d2 = sums[PP + lane] - l20 * sums[PX + lane] - l21 * u21
        i2 = 1.0 / d2
        u32 = sums[GP + lane] - l30 * sums[PX + lane] - l31 * u21
        l32 = u32 * i2
        d3 = sums[GG + lane] - l30 * sums[GX + lane] - l31 * u31 - l32 * u32
        i3 = 1.0 / d3
        y0 = sums[DX + lane]
        y1 = sums[DY + lane] - l10 * y0
        y2 = sums[DP + lane] - l20 * y0 - l21 * y1
        y3 = sums[DG + lane] - l30 * y0 - l31 * y1 - l32 * y2
        by_ground = y3 * i3
        by_photons = y2 * i2 - l32 * by_ground
        by_y = y1 * i1 - l21 * by_photons - l31 * by_ground
        by_x = y0 * i0 - l10 * by_y - l20 * by_photons - l30 * by_ground
        decrement = y0 * y0 * i0 + y1 * y1 * i1 + y2 * y2 * i2 + y3 * y3 * i3
        x, y = state[X + lane], state[Y + lane]
        photons, ground = state[PHOTONS + lane], state[BACKGROUND + lane]
        x += min(max(by_x, -1.0), 1.0)
        y += min(max(by_y, -1.0), 1.0)
        photons += min(max(by_photons, -0.6 * photons), 1.5 * photons)
        ground += max(by_ground, -0.9 * ground)
        is_sound = d1 > 0.0 and d2 > 0.0 and d3 > 0.0
        is_sound = is_sound and -0.5 < x < size - 0.5 and -0.5 < y < size - 0.5
        is_sound = is_sound and photons > MIN_PHOTONS and ground > MIN_BACKGROUND
        was_active = state[ACTIVE + lane] > 0.5
        moves = was_active and is_sound
        state[X + lane] = x if moves else state[X + lane]
        state[Y + lane] = y if moves else state[Y + lane]
        state[PHOTONS + lane] = photons if moves else state[PHOTONS + lane]
        state[BACKGROUND + lane] = ground if moves else state[BACKGROUND + lane]
        state[ACTIVE + lane] = 1.0 if moves and decrement >= SETTLED else 0.0
        is_broken = was_active and not is_sound
        state[BROKEN + lane] = 1.0 if is_broken else state[BROKEN + lane]
        state[STEPS + lane] += 1.0


@kernel
def conclude(sums: F64) -> None:
    """Write the bounds of x, y and photons, and the score of the width, of all lanes.

    They take the planes `SS`, `SB`, `BB` and `S`; nan where there is no bound.
    """
    for lane in range(LANES):
        i0 = 1.0 / sums[XX + lane]
        l10, l20 = sums[YX + lane] * i0, sums[PX + lane] * i0
        l30 = sums[GX + lane] * i0
        i1 = 1.0 / (sums[YY + lane] - l10 * sums[YX + lane])
        u21 = sums[PY + lane] - l20 * sums[YX + lane]
        u31 = sums[GY + lane] - l30 * sums[YX + lane]
        l21, l31 = u21 * i1, u31 * i1
        i2 = 1.0 / (sums[PP + lane] - l20 * sums[PX + lane] - l21 * u21)
        u32 = sums[GP + lane] - l30 * sums[PX + lane] - l31 * u21
        l32 = u32 * i2
        i3 = 1.0 / (sums[GG + lane] - l30 * sums[GX + lane] - l31 * u31 - l32 * u32)
        # the inverse of L, column by column, gives the diagonal of the inverse
        m20 = l21 * l10 - l20
        m31 = l32 * l21 - l31
        m30 = -l30 + l31 * l10 - l32 * m20
        sums[SS + lane] = math.sqrt(
            i0 + l10 * l10 * i1 + m20 * m20 * i2 + m30 * m30 * i3
        )
        sums[SB + lane] = math.sqrt(i1 + l21 * l21 * i2 + m31 * m31 * i3)
        sums[BB + lane] = math.sqrt(i2 + l32 * l32 * i3)
        # what the width's own information keeps when the others are free
        w0 = sums[WX + lane]
        w1 = sums[WY + lane] - l10 * w0
        w2 = sums[WP + lane] - l20 * w0 - l21 * w1
        w3 = sums[WG + lane] - l30 * w0 - l31 * w1 - l32 * w2
        own = (
            sums[WW + lane] - w0 * w0 * i0 - w1 * w1 * i1 - w2 * w2 * i2 - w3 * w3 * i3
        )
        sums[S + lane] = sums[DW + lane] / math.sqrt(max(own, MIN_SPREAD))


@kernel
def misfit(size: int, box: F64, state: F64, across: F64, down: F64, far: F64) -> None:
    """Write the log-likelihood ratio to a perfect fit, and the squared residuals.

    A count at or below zero is held against a model of zero. ``far``, shape
    (size LANES,), is scratch.
    """
    pixels = size * size * LANES
    for k in range(RATIO, BROKEN):
        state[k] = 0.0
    for i in range(size):
        row = i * size * LANES
        values = box[row : row + size * LANES]
        fixes = box[pixels + row : pixels + row + size * LANES]
        part = down[i * LANES : (i + 1) * LANES]
        for j in range(size):
            begin, end = j * LANES, (j + 1) * LANES
            counts, fixed = values[begin:end], fixes[begin:end]
            share, distant = across[begin:end], far[begin:end]
            for lane in range(LANES):
                mean = state[BACKGROUND + lane] + fixed[lane]
                mean += state[PHOTONS + lane] * part[lane] * share[lane]
                value = max(counts[lane], 0.0)
                odds = (mean - value) / (mean + value)
                square = odds * odds
                # log(mean / value) as a series that is right to 1e-10 where they
                # differ by less than a factor of 2.3
                series = 1.0 / 21.0
                series = series * square + 1.0 / 19.0
                series = series * square + 1.0 / 17.0
                series = series * square + 1.0 / 15.0
                series = series * square + 1.0 / 13.0
                series = series * square + 1.0 / 11.0
                series = series * square + 1.0 / 9.0
                series = series * square + 1.0 / 7.0
                series = series * square + 1.0 / 5.0
                series = series * square + 1.0 / 3.0
                series = 2.0 * odds * (series * square + 1.0)
                is_near = square < NEAR
                residual = counts[lane] - mean
                state[SQUARES + lane] += residual * residual
                state[RATIO + lane] += value - mean
                state[RATIO + lane] += value * series if is_near else 0.0
                distant[lane] = 0.0 if is_near or value == 0.0 else mean
        for k in range(size * LANES):
            if far[k] > 0.0:
                value = values[k]
                state[RATIO + k % LANES] += value * math.log(far[k] / value)


@kernel
def free_step(
    sums: F64, state: F64, size: int, narrowest: float, widest: float
) -> None:
    """Move lanes as `step` does, their widths as well.

    A width at its bound that the slope drives beyond it stays there.
    """
    for lane in range(LANES):
        width, slope = state[WIDTH + lane], sums[DW + lane]
        is_pinned = (width <= narrowest and slope < 0.0) or (
            width >= widest and slope > 0.0
        )
        free = 0.0 if is_pinned else 1.0
        part = 1.0 if state[STEPS + lane] < UNSTEADY else SHORTER
        i0 = 1.0 / sums[XX + lane]
        l10, l20 = sums[YX + lane] * i0, sums[PX + lane] * i0
        l30, u40 = sums[GX + lane] * i0, free * sums[WX + lane]
        d1 = sums[YY + lane] - l10 * sums[YX + lane]
        i1 = 1.0 / d1
        u21 = sums[PY + lane] - l20 * sums[YX + lane]
        u31 = sums[GY + lane] - l30 * sums[YX + lane]
        l21, l31, l40 = u21 * i1, u31 * i1, u40 * i0
        u41 = free * sums[WY + lane] - l40 * sums[YX + lane]
        l41 = u41 * i1
        d2 = sums[PP + lane] - l20 * sums[PX + lane] - l21 * u21
        i2 = 1.0 / d2
        u32 = sums[GP + lane] - l30 * sums[PX + lane] - l31 * u21
        u42 = free * sums[WP + lane] - l40 * sums[PX + lane] - l41 * u21
        l32, l42 = u32 * i2, u42 * i2
        d3 = sums[GG + lane] - l30 * sums[GX + lane] - l31 * u31 - l32 * u32
        i3 = 1.0 / d3
        u43 = free * sums[WG + lane] - l40 * sums[GX + lane] - l41 * u31 - l42 * u32
        l43 = u43 * i3
        d4 = sums[WW + lane] - l40 * u40 - l41 * u41 - l42 * u42 - l43 * u43
        i4 = 1.0 / d4
        y0 = sums[DX + lane]
        y1 = sums[DY + lane] - l10 * y0
        y2 = sums[DP + lane] - l20 * y0 - l21 * y1
        y3 = sums[DG + lane] - l30 * y0 - l31 * y1 - l32 * y2
        y4 = free * slope - l40 * y0 - l41 * y1 - l42 * y2 - l43 * y3
        y4 = y4 if free > 0.5 else 0.0
        by_width = y4 * i4
        by_ground = y3 * i3 - l43 * by_width
        by_photons = y2 * i2 - l32 * by_ground - l42 * by_width
        by_y = y1 * i1 - l21 * by_photons - l31 * by_ground - l41 * by_width
        by_x = y0 * i0 - l10 * by_y - l20 * by_photons - l30 * by_ground
        by_x -= l40 * by_width
        decrement = y0 * y0 * i0 + y1 * y1 * i1 + y2 * y2 * i2 + y3 * y3 * i3
        decrement += y4 * y4 * i4
        x, y = state[X + lane], state[Y + lane]
        photons, ground = state[PHOTONS + lane], state[BACKGROUND + lane]
        x += min(max(part * by_x, -1.0), 1.0)
        y += min(max(part * by_y, -1.0), 1.0)
        photons += min(max(part * by_photons, -0.6 * photons), 1.5 * photons)
        ground += max(part * by_ground, -0.9 * ground)
        width += min(max(part * by_width, -0.6 * width), 1.5 * width)
        width = min(max(width, narrowest), widest)
        is_sound = d1 > 0.0 and d2 > 0.0 and d3 > 0.0 and d4 > 0.0
        is_sound = is_sound and -0.5 < x < size - 0.5 and -0.5 < y < size - 0.5
        is_sound = is_sound and photons > MIN_PHOTONS and ground > MIN_BACKGROUND
        was_active = state[ACTIVE + lane] > 0.5
        moves = was_active and is_sound
        state[X + lane] = x if moves else state[X + lane]
        state[Y + lane] = y if moves else state[Y + lane]
        state[PHOTONS + lane] = photons if moves else state[PHOTONS + lane]
        state[BACKGROUND + lane] = ground if moves else state[BACKGROUND + lane]
        state[WIDTH + lane] = width if moves else state[WIDTH + lane]
        state[ACTIVE + lane] = 1.0 if moves and decrement >= SETTLED else 0.0
        is_broken = was_active and not is_sound
        state[BROKEN + lane] = 1.0 if is_broken else state[BROKEN + lane]
        state[STEPS + lane] += 1.0


@kernel
def free_bounds(sums: F64) -> None:
    """Write the bounds of x, y and photons where the width is free, of all lanes.

    They take the planes `SS`, `SB` and `BB`; nan where there is no bound.
    """
    for lane in range(LANES):
        i0 = 1.0 / sums[XX + lane]
        l10, l20 = sums[YX + lane] * i0, sums[PX + lane] * i0
        l30, l40 = sums[GX + lane] * i0, sums[WX + lane] * i0
        i1 = 1.0 / (sums[YY + lane] - l10 * sums[YX + lane])
        u21 = sums[PY + lane] - l20 * sums[YX + lane]
        u31 = sums[GY + lane] - l30 * sums[YX + lane]
        u41 = sums[WY + lane] - l40 * sums[YX + lane]
        l21, l31, l41 = u21 * i1, u31 * i1, u41 * i1
        i2 = 1.0 / (sums[PP + lane] - l20 * sums[PX + lane] - l21 * u21)
        u32 = sums[GP + lane] - l30 * sums[PX + lane] - l31 * u21
        u42 = sums[WP + lane] - l40 * sums[PX + lane] - l41 * u21
        l32, l42 = u32 * i2, u42 * i2
        i3 = 1.0 / (sums[GG + lane] - l30 * sums[GX + lane] - l31 * u31 - l32 * u32)
        u43 = sums[WG + lane] - l40 * sums[GX + lane] - l41 * u31 - l42 * u32
        l43 = u43 * i3
        own = sums[WW + lane] - l40 * sums[WX + lane] - l41 * u41 - l42 * u42
        i4 = 1.0 / (own - l43 * u43)
        # the inverse of L, column by column, gives the diagonal of the inverse
        m20 = l21 * l10 - l20
        m31 = l32 * l21 - l31
        m30 = -l30 + l31 * l10 - l32 * m20
        m40 = -l40 + l41 * l10 - l42 * m20 - l43 * m30
        m41 = -l41 + l42 * l21 - l43 * m31
        m42 = -l42 + l43 * l32
        sums[SS + lane] = math.sqrt(
            i0 + l10 * l10 * i1 + m20 * m20 * i2 + m30 * m30 * i3 + m40 * m40 * i4
        )
        sums[SB + lane] = math.sqrt(
            i1 + l21 * l21 * i2 + m31 * m31 * i3 + m41 * m41 * i4
        )
        sums[BB + lane] = math.sqrt(i2 + l32 * l32 * i3 + m42 * m42 * i4)


@kernel
def stand_out(
    box: F64, state: F64, lane: int, row: int, column: int, size: int, sigma: float
) -> float:
    """Return by how much a spot that is evidently wide stands out of its ground.

    In deviations of the noise of nine pixels about (``row``, ``column``) of its box;
    0 where the spot may be of the known width ``sigma``.
    """
    is_inside = 0 < row < size - 1 and 0 < column < size - 1
    if state[WIDTH + lane] < EVIDENT * sigma or not is_inside:
        return 0.0
    counts, light = 0.0, -9.0 * state[BACKGROUND + lane]
    for i in range(row - 1, row + 2):
        for j in range(column - 1, column + 2):
            at = (i * size + j) * LANES + lane
            counts += box[at]
            light += box[at] - box[size * size * LANES + at]
    return max(light, 0.0) / math.sqrt(max(counts, 1.0))


@kernel
def enter(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    is_free: bool,
    widths: tuple[float, float],
    bright: float,
    excess: float,
    ceiling_adu: float,
    entered: int,
    lane: int,
    box: F64,
    state: F64,
    results: F64,
    status: I16,
    significance: F64,
) -> int:
    """Let the next spot that is to be fitted into a lane; return how many had a turn.

    ``widths``: the bounds of a free one, pixels. Spots of a known width have their
    ``significance`` written; those above ``bright`` are doubted unfitted. A lane that
    no spot is left for rests.
    """
    for n in range(entered, rows.size):
        is_saturated = load(
            adu, offset_adu, e_per_adu, variance_e2, rows[n], columns[n], radius, sigma,
            excess, ceiling_adu, lane, box, state,
        )  # fmt: skip
        if is_free:
            highest = min(widths[1], WIDEST_START * sigma)
            start = min(max(state[WIDTH + lane], widths[0]), highest)
        else:
            size, start = 2 * radius + 1, sigma
            i = rows[n] - min(max(rows[n] - radius, 0), adu.shape[0] - size)
            j = columns[n] - min(max(columns[n] - radius, 0), adu.shape[1] - size)
            significance[n] = stand_out(box, state, lane, i, j, size, sigma)
            if significance[n] > bright:
                results[n] = 0.0
                status[n] = DOUBTED
                continue
        state[WIDTH + lane] = start
        state[STEPS + lane] = 0.0
        state[BURNT + lane] = 1.0 if is_saturated else 0.0
        state[SPOT + lane] = n
        return n + 1
    state[ACTIVE + lane], state[SPOT + lane] = 0.0, NOBODY
    return rows.size


@kernel
def move_lane(
    box: F64, state: F64, lane: int, into_box: F64, into_state: F64, into: int
) -> None:
    """Copy a spot's pixels and estimate into another lane."""
    for k in range(0, box.size, LANES):
        into_box[k + into] = box[k + lane]
    for k in range(0, STATE, LANES):
        into_state[k + into] = state[k + lane]


@kernel
def write_spot(
    state: F64,
    sums: F64,
    lane: int,
    top: int,
    left: int,
    size: int,
    excess: float,
    results: F64,
) -> None:
    """Write the result of a lane whose box begins at pixel (``top``, ``left``)."""
    results[0] = state[X + lane] + left
    results[1] = state[Y + lane] + top
    results[2] = state[PHOTONS + lane] * excess
    results[3] = state[BACKGROUND + lane] * excess
    results[4] = state[WIDTH + lane]
    results[5] = sums[SS + lane]
    results[6] = sums[SB + lane]
    results[7] = sums[BB + lane] * excess
    results[8] = math.sqrt(state[SQUARES + lane]) / size * excess
    results[9] = state[RATIO + lane]


@kernel
def code_of(
    state: F64,
    sums: F64,
    lane: int,
    is_free: bool,
    doubt: float,
    widths: tuple[float, float],
) -> int:
    """Return the status of a lane."""
    is_settled = state[ACTIVE + lane] == 0.0 and state[BROKEN + lane] == 0.0
    if not (is_settled and math.isfinite(sums[SS + lane])):
        return OPEN
    if is_free and state[WIDTH + lane] <= widths[0]:
        return NARROW
    if not is_free and abs(sums[S + lane]) > doubt:
        return DOUBTED
    if state[BURNT + lane] > 0.5:
        return SATURATED
    if is_free and state[WIDTH + lane] >= widths[1]:
        return WIDE
    return FITTED


@kernel
def fit_lanes(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    is_free: bool,
    doubt: float,
    widths: tuple[float, float],
    bright: float,
    excess: float,
    ceiling_adu: float,
    rounds: int,
    results: F64,
    status: I16,
    significance: F64,
) -> None:
    """Do what `fit_widths` does, or `fit_spots` where the width is not free.

    Spots that rest are put aside until they fill all lanes, to be concluded together.
    """
    if rows.size == 0:
        return
    size = 2 * radius + 1
    height, width = adu.shape
    box, rest_box = np.empty(2 * size * size * LANES), np.empty(2 * size * size * LANES)
    # arrays of their own: in one, a compiler could not tell what is read from what is
    # written, and would treat lanes one by one
    across, down = np.empty(size * LANES), np.empty(size * LANES)
    across_x, down_y = np.empty(size * LANES), np.empty(size * LANES)
    across_w, down_w = np.empty(size * LANES), np.empty(size * LANES)
    desk, far = np.empty(DESK), np.empty(size * LANES)
    state, rest, sums = np.empty(STATE), np.empty(STATE), np.empty(SUMS)
    entered, busy, resting = 0, 0, 0
    for lane in range(LANES):
        # a lane that never has a spot has some numbers all the same
        if entered == rows.size:
            move_lane(box, state, 0, box, state, lane)
        entered = enter(
            adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, sigma,
            is_free, widths, bright, excess, ceiling_adu, entered, lane, box, state,
            results, status, significance,
        )  # fmt: skip
        busy += int(state[SPOT + lane] != NOBODY)
    while busy > 0:
        axis_shares(state, X, size, desk, across, across_x, across_w)
        axis_shares(state, Y, size, desk, down, down_y, down_w)
        if is_free:
            gather_all(
                size, box, state, across, across_x, across_w, down, down_y, down_w, sums
            )
            free_step(sums, state, size, *widths)
        else:
            gather(size, box, state, across, across_x, down, down_y, sums)
            step(sums, state, size)
        for lane in range(LANES):
            is_moving = state[ACTIVE + lane] > 0.5 and state[STEPS + lane] < rounds
            if is_moving or state[SPOT + lane] == NOBODY:
                continue
            move_lane(box, state, lane, rest_box, rest, resting)
            resting += 1
            entered = enter(
                adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, sigma,
                is_free, widths, bright, excess, ceiling_adu, entered, lane, box, state,
                results, status, significance,
            )  # fmt: skip
            busy -= int(state[SPOT + lane] == NOBODY)
            if resting < LANES and busy > 0:
                continue
            for spare in range(resting, LANES):
                move_lane(rest_box, rest, 0, rest_box, rest, spare)
            axis_shares(rest, X, size, desk, across, across_x, across_w)
            axis_shares(rest, Y, size, desk, down, down_y, down_w)
            gather_all(
                size, rest_box, rest, across, across_x, across_w, down, down_y, down_w,
                sums,
            )  # fmt: skip
            misfit(size, rest_box, rest, across, down, far)
            if is_free:
                free_bounds(sums)
            else:
                conclude(sums)
            for k in range(resting):
                n = int(rest[SPOT + k])
                top = min(max(rows[n] - radius, 0), height - size)
                left = min(max(columns[n] - radius, 0), width - size)
                write_spot(rest, sums, k, top, left, size, excess, results[n])
                status[n] = code_of(rest, sums, k, is_free, doubt, widths)
            resting = 0


@kernel
def fit_widths(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    narrowest: float,
    widest: float,
    excess: float,
    ceiling_adu: float,
    rounds: int,
    results: F64,
    status: I16,
) -> None:
    """Fit one spot of a free width at each of the given pixels.

    Parameters
    ----------
    adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, excess, ceiling_adu
        As of `gauss.fit_spots`.
    sigma, narrowest, widest : float
        The width to be expected, and its bounds, pixels.
    rounds : int
        Steps of one fit, at most.
    results : float64 array, shape (spots, RESULTS)
        Overwritten as by `gauss.fit_spots`.
    status : int16 array, shape (spots,)
        Overwritten: `FITTED`, `NARROW`, `WIDE`, `SATURATED` or `OPEN`.
    """
    fit_lanes(
        adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, sigma, True,
        np.inf, (narrowest, widest), np.inf, excess, ceiling_adu, rounds, results,
        status, np.empty(0),
    )  # fmt: skip


@kernel
def fit_spots(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    variance_e2: F32,
    rows: I32,
    columns: I32,
    radius: int,
    sigma: float,
    doubt: float,
    bright: float,
    excess: float,
    ceiling_adu: float,
    rounds: int,
    results: F64,
    status: I16,
    significance: F64,
) -> None:
    """Fit one spot of the known width at each of the given pixels.

    Parameters
    ----------
    adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, excess, ceiling_adu
        As of `gauss.fit_spots`.
    sigma : float
        The width, pixels.
    doubt : float
        Deviations of the score test from which the width is another; inf never.
    bright : float
        ``significance`` above which a spot is not tried, but `DOUBTED` with a result of
        zeros: its fit would end so.
    rounds : int
        Steps of one fit, at most.
    results : float64 array, shape (spots, RESULTS)
        Overwritten as by `gauss.fit_spots`.
    status : int16 array, shape (spots,)
        Overwritten: `FITTED`, `SATURATED`, `OPEN` or `DOUBTED`.
    significance : float64 array, shape (spots,)
        Overwritten: deviations of their noise by which nine pixels of a spot that is
        evidently wide stand out of their ground; 0 where it may be of the known width.
    """
    fit_lanes(
        adu, offset_adu, e_per_adu, variance_e2, rows, columns, radius, sigma, False,
        doubt, (0.0, np.inf), bright, excess, ceiling_adu, rounds, results, status,
        significance,
    )  # fmt: skip
