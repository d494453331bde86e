"""Where spots of a known width stand in a frame, at a set rate of false ones.

A frame is filtered with the spot's own shape, less the mean of a square around it, and
compared with the noise that the filter makes of the pixels beneath: of their light, and
of the camera. One threshold, in units of that noise, serves dark and bright, flat and
sloping backgrounds. Knows a frame and a camera; neither fits nor tables.

Source: the matched filter is the likelihood-ratio test of a known shape in white noise
(Kay 1998, Fundamentals of Statistical Signal Processing II, section 4.3). Departure:
the mean of the square, at which a slope vanishes, stands for the unknown background.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

HALF = 1
"""Cells from the middle of the spot's shape to its end, along each axis."""
REACH = HALF + 1
"""Cells from the middle of the square to its side."""
AREA = (2 * REACH + 1) ** 2
SAMPLES = 4096
"""Places of a frame at which its noise is measured."""
MIN_SAMPLES = 64
SMALL = 0.45
"""Second differences count as small below so many of their deviations."""
FOUND = 3
"""Columns of what `find` writes: x, y (pixels) and the test statistic."""


def cell_px(sigma_px: float) -> int:
    """Return how many pixels a side are put together before the filter.

    A spot of at least 0.55 cells loses less than 3 % of its significance by it.
    """
    return max(1, int(sigma_px / 0.55))


def shape_taps(sigma_px: float) -> F64:
    """Return the spot's shape along one axis, on cells; float64, shape (HALF + 1,).

    The middle first; with its mirror image it sums to 1.
    """
    scale = math.sqrt(0.5) * cell_px(sigma_px) / sigma_px
    edges = [math.erf((k - 0.5) * scale) for k in range(HALF + 2)]
    taps = np.diff(edges)
    return taps / (taps[0] + 2.0 * taps[1:].sum())


def noise_gain(taps: F64) -> float:
    """Return the variance of the filtered frame under white noise of variance 1."""
    energy = float(taps[0] ** 2 + 2.0 * (taps[1:] ** 2).sum())
    return energy * energy - 1.0 / AREA


def dark_noise(variance_e2: F64, taps: F64, cell: int) -> F64:
    """Return the variance that read noise makes in the filtered frame, by cell.

    ``variance_e2`` : float64 array, shape (height, width), or (1, width) where all rows
    are equal; the result has that shape in cells.
    """
    height, width = variance_e2.shape
    if width < cell:
        return np.zeros((-(-height // cell), 0))
    rows = np.minimum(np.arange(-(-height // cell) * cell), height - 1)
    columns = width // cell * cell
    sums = variance_e2[rows, :columns].reshape(-1, cell, width // cell, cell)
    cells = np.pad(sums.sum(axis=(1, 3)), REACH, mode="edge")
    line = np.zeros(2 * REACH + 1)
    line[REACH - HALF : REACH + HALF + 1] = np.concatenate([taps[:0:-1], taps])
    kernel_2d = (np.outer(line, line) - 1.0 / AREA) ** 2
    windows = np.lib.stride_tricks.sliding_window_view(cells, kernel_2d.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel_2d)


def false_rate(z: float, sigma_px: float, radius: int) -> float:
    """Return how many maxima above ``z`` noise alone makes in a megapixel.

    Of fits in boxes of 2 radius + 1 pixels a side, the ground unknown.
    Source: Adler & Taylor 2007, Random Fields and Geometry, chapter 11: the expected
    Euler characteristic of a smooth Gaussian field, here of noise weighted with the
    spot's shape less its mean.
    """
    return 1e6 * roughness(sigma_px, radius) * z * math.exp(-0.5 * z * z) * _PLANE


_PLANE = (2.0 * math.pi) ** -1.5


def roughness(sigma_px: float, radius: int) -> float:
    """Return the variance of the slope of the weighted noise over its own, per px2."""
    half = math.ceil(5.0 * sigma_px)
    edges = [k - 0.5 for k in range(-half, half + 2)]
    scale = math.sqrt(0.5) / sigma_px
    ratios = []
    for phase in (0.0, 0.25, 0.5):
        at = [(edge - phase) * scale for edge in edges]
        bell = [math.exp(-t * t) * scale / math.sqrt(math.pi) for t in at]
        share = [0.5 * (math.erf(b) - math.erf(a)) for a, b in itertools.pairwise(at)]
        energy = sum(value * value for value in share)
        slope = sum((b - a) ** 2 for a, b in itertools.pairwise(bell))
        ratios.append(energy * slope / (energy * energy - (2 * radius + 1) ** -2))
    return sum(ratios) / len(ratios)


def threshold_for(false_per_mpx: float, sigma_px: float, radius: int) -> float:
    """Return the ``z`` at which `false_rate` is the given one."""
    low, high = 1.0, 40.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if false_rate(middle, sigma_px, radius) > false_per_mpx:
            low = middle
        else:
            high = middle
    return high


@kernel
def convert(adu: U16, offset_adu: F32, e_per_adu: F32, out: F32) -> None:
    """Write the photo-electrons of one row of pixels."""
    for j in range(out.size):
        out[j] = (np.float32(adu[j]) - offset_adu[j]) * e_per_adu[j]


@kernel
def convert_more(adu: U16, offset_adu: F32, e_per_adu: F32, out: F32) -> None:
    """Add the photo-electrons of one row of pixels."""
    for j in range(out.size):
        out[j] += (np.float32(adu[j]) - offset_adu[j]) * e_per_adu[j]


@kernel
def join(light: F32, cell: int, out: F32) -> None:
    """Write the sums of ``cell`` neighbours; what fills no cell is left out."""
    if cell == 2:
        pairs = light[: 2 * out.size].reshape((out.size, 2))
        for j in range(out.size):
            out[j] = pairs[j, 0] + pairs[j, 1]
        return
    for j in range(out.size):
        total = np.float32(0.0)
        for k in range(j * cell, (j + 1) * cell):
            total += light[k]
        out[j] = total


@kernel
def read_line(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    first: int,
    cell: int,
    light: F32,
    out: F32,
) -> None:
    """Write one line of cells, photo-electrons a cell; its ends are repeated.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
    offset_adu, e_per_adu : float32 array, shape (height or 1, width)
    first, cell : int
        First row of the line, and pixels of a cell's side. At the lower edge the last
        row counts again.
    light : float32 array, shape (width,)
        Scratch.
    out : float32 array, shape (width // cell + 2 REACH,)
        Overwritten.
    """
    inner = out[REACH : out.size - REACH]
    into = inner if cell == 1 else light
    for r in range(cell):
        i = min(first + r, adu.shape[0] - 1)
        dark = offset_adu[min(i, offset_adu.shape[0] - 1)]
        gain = e_per_adu[min(i, e_per_adu.shape[0] - 1)]
        if r == 0:
            convert(adu[i], dark, gain, into)
        else:
            convert_more(adu[i], dark, gain, into)
    if cell > 1:
        join(light, cell, inner)
    for j in range(REACH):
        out[j] = out[REACH]
        out[out.size - 1 - j] = out[out.size - 1 - REACH]


@kernel
def along(line: F32, taps: F32, shape: F32, square: F32) -> None:
    """Write a line weighted with the shape, and summed over the square's width."""
    count = shape.size
    a, b, c = line[:count], line[1 : 1 + count], line[2 : 2 + count]
    d, e = line[3 : 3 + count], line[4 : 4 + count]
    middle, near = taps[0], taps[1]
    for j in range(count):
        one = b[j] + d[j]
        shape[j] = middle * c[j] + near * one
        square[j] = c[j] + one + (a[j] + e[j])


@kernel
def slide(total: F32, new: F32, old: F32) -> None:
    """Move the sum over lines on by one line."""
    for j in range(total.size):
        total[j] += new[j] - old[j]


@kernel
def respond(
    before: F32,
    new: F32,
    old: F32,
    above: F32,
    here: F32,
    below: F32,
    taps: F32,
    dark: F32,
    lift: float,
    total: F32,
    out: F32,
    marks: U8,
) -> None:
    """Write a line's sum over the square, the filtered line, and where it is high.

    Filtered is the shape's sum, less the mean of the square; ``marks`` are 1 for cells
    above their threshold. In one pass: a line more to be written and read again costs
    what its arithmetic does.
    """
    middle, near = taps[0], taps[1]
    share, per, zero = np.float32(1.0 / AREA), np.float32(lift), np.float32(0.0)
    for j in range(out.size):
        light = before[j] + (new[j] - old[j])
        total[j] = light
        shape = middle * here[j] + near * (above[j] + below[j])
        value = shape - share * light
        out[j] = value
        high = max(value, zero)
        marks[j] = high * high > per * max(light, zero) + dark[j]


@kernel
def multiply(line: F32, by: float, out: F32) -> None:
    """Write a line times a number."""
    for j in range(out.size):
        out[j] = line[j] * by


@kernel
def is_peak(above: F32, line: F32, below: F32, j: int) -> bool:
    """Return whether a cell is a local maximum; of equal ones, the first is.

    All eight neighbours are looked at: which of them is higher, nothing could foresee.
    """
    value = line[j]
    left, right = max(j - 1, 0), min(j + 1, line.size - 1)
    is_it = (value > above[left]) & (value > above[j]) & (value > above[right])
    is_it &= (value > line[left]) | (j == 0)
    is_it &= value >= line[right]
    is_it &= (value >= below[left]) & (value >= below[j]) & (value >= below[right])
    return bool(is_it)


@kernel
def between(before: float, here: float, after: float) -> tuple[float, float]:
    """Return where between its neighbours a maximum lies, and how much higher it is.

    In cells from the middle, by a parabola through the three.
    """
    bend = 2.0 * here - before - after
    if not bend > 0.0:
        return 0.0, 0.0
    shift = min(max(0.5 * (after - before) / bend, -0.5), 0.5)
    return shift, 0.25 * shift * (after - before)


@kernel
def electrons(adu: U16, offset_adu: F32, e_per_adu: F32, k: int) -> float:
    """Return the photo-electrons of a pixel of a line."""
    return (np.float64(adu[k]) - offset_adu[k]) * e_per_adu[k]


@kernel
def noise_excess(
    adu: U16, offset_adu: F32, e_per_adu: F32, variance_e2: F32, excess: float
) -> float:
    """Return measured over predicted noise of a frame, where that is above 1.

    1 for a calibrated camera; more where gain or read noise were told too small. From
    second differences along a few thousand places, evenly spread, of which the smaller
    ones count: spots and edges make large ones.

    Parameters
    ----------
    adu, offset_adu, e_per_adu
        As for `find`.
    variance_e2 : float32 array, shape (height or 1, width)
        Read-noise variance.
    excess : float
        Variance over mean of the light.
    """
    height, width = adu.shape
    if width < 5:
        return 1.0
    stride = max(1, int(math.sqrt(height * width / SAMPLES)))
    below, count = 0, 0
    for i in range(0, height, stride):
        line = adu[i]
        dark = offset_adu[min(i, offset_adu.shape[0] - 1)]
        gain = e_per_adu[min(i, e_per_adu.shape[0] - 1)]
        own = variance_e2[min(i, variance_e2.shape[0] - 1)]
        for j in range(2 + i // stride % stride, width - 2, stride):
            # an index that might be negative is looked at twice
            k = np.uintp(j)
            left, right = np.uintp(j - 1), np.uintp(j + 1)
            before, after = np.uintp(j - 2), np.uintp(j + 2)
            here = electrons(line, dark, gain, k)
            one = electrons(line, dark, gain, left)
            other = electrons(line, dark, gain, right)
            total = electrons(line, dark, gain, before) + one + here + other
            total += electrons(line, dark, gain, after)
            bend = 2.0 * here - one - other
            variance = np.float64(own[left]) + 4.0 * own[k] + own[right]
            variance += 6.0 * excess * max(total, 0.0) / 5.0
            if variance > 0.0:
                below += bend * bend < SMALL * SMALL * variance
                count += 1
    if count < MIN_SAMPLES:
        return 1.0
    share = max(below / count, 1.0 / count)
    low, high = 1.0, 100.0
    for _ in range(40):
        middle = math.sqrt(low * high)
        if math.erf(SMALL * math.sqrt(0.5) / middle) > share:
            low = middle
        else:
            high = middle
    return low


@kernel
def find(
    adu: U16,
    offset_adu: F32,
    e_per_adu: F32,
    dark_e2: F32,
    taps: F32,
    cell: int,
    gain: float,
    z: float,
    scale: float,
    border: int,
    found: F64,
) -> int:
    """Write the spots of a frame to ``found``, line by line; return how many.

    One pass over the rows: each is turned into cells and filtered while the rows
    beside it are still in the processor's cache.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts. Beyond the edge, the edge is repeated.
    offset_adu, e_per_adu : float32 array, shape (height or 1, width)
        Dark level and gain of every pixel, finite; a single row holds for all.
    dark_e2 : float32 array, shape (lines or 1, width // cell)
        Variance that read noise makes in the filtered frame, by cell, times z z.
    taps : float32 array, shape (HALF + 1,)
        From `shape_taps`.
    cell : int
        From `cell_px`.
    gain : float
        Variance that light of one photo-electron a cell makes in the filtered frame:
        `noise_gain` times the camera's excess noise.
    z, scale : float
        Threshold in units of the noise; and what the noise is over that predicted.
    border : int
        Cells along the edge in which no spot is reported.
    found : float64 array, shape (most, FOUND)
        The first rows are overwritten: x, y (pixels of the frame), statistic.
    """
    width = adu.shape[1] // cell
    height = (adu.shape[0] + cell - 1) // cell
    light = np.empty(adu.shape[1], np.float32)
    line = np.empty(width + 2 * REACH, np.float32)
    ring = 2 * REACH + 2
    # arrays of their own: in one, a compiler could not tell what is read from what is
    # written, and would treat cells one by one
    shapes = np.empty((ring, width), np.float32)
    squares = np.empty((ring, width), np.float32)
    # the sums before the first line stand where those of the line before it would
    total = np.zeros((3, width), np.float32)
    responses = np.zeros((3, width), np.float32)
    spare = np.zeros(width, np.float32)
    lift = z * z * gain / AREA * scale * scale
    darks = np.empty((3, width), np.float32)
    for k in range(3):
        multiply(dark_e2[0], np.float32(scale * scale), darks[k])
    marks = np.zeros((3, -(-width // 8) * 8), np.uint8)
    places = np.empty((2, marks.shape[1] + 1), np.int32)
    count = 0
    for n in range(height + REACH + 1 if width > 0 else 0):
        if n < height:
            read_line(adu, offset_adu, e_per_adu, n * cell, cell, light, line)
            along(line, taps, shapes[n % ring], squares[n % ring])
        if n < REACH:  # beyond the upper edge, the first line counts again
            for _ in range(REACH + 1 if n == 0 else 1):
                slide(total[2], squares[min(n, height - 1)], spare)
        i = n - REACH
        if 0 <= i < height:
            if dark_e2.shape[0] > 1:
                multiply(dark_e2[i], np.float32(scale * scale), darks[i % 3])
            respond(
                total[(i + 2) % 3],
                squares[min(n, height - 1) % ring],
                squares[max(i - REACH - 1, 0) % ring] if i > 0 else spare,
                shapes[max(i - 1, 0) % ring],
                shapes[i % ring],
                shapes[min(i + 1, height - 1) % ring],
                taps,
                darks[i % 3],
                lift,
                total[i % 3],
                responses[i % 3],
                marks[i % 3],
            )
        i -= 1
        if border <= i < height - border:
            count = search(
                responses, total[i % 3], darks[i % 3], marks[i % 3], places, i,
                height, lift, z, border, cell, found, count,
            )  # fmt: skip
    return count


@kernel
def search(
    responses: F32,
    total: F32,
    dark_e2: F32,
    marks: U8,
    places: I32,
    i: int,
    height: int,
    lift: float,
    z: float,
    border: int,
    cell: int,
    found: F64,
    count: int,
) -> int:
    """Write the maxima of line ``i`` behind the ``count`` found; return how many.

    ``responses`` keeps line k at k modulo 3. ``marks`` as of `respond`, and zero behind
    the line's end; uint8, shape (a multiple of 8 that is at least the line's length,).
    ``places`` is scratch; int32, shape (2, one more).
    """
    line = responses[i % 3]
    above = responses[(i - 1) % 3]
    below = responses[(i + 1) % 3]
    if i == 0:
        above = np.full(line.size, -np.inf, np.float32)
    if i == height - 1:
        below = np.full(line.size, -np.inf, np.float32)
    last = line.size - 1
    # a place is always written and counted where it holds: a branch that nothing
    # foresees costs more
    high, highs = places[0], 0
    words = marks.view(np.uint64)
    for word in range(words.size):
        if words[word] != 0:
            for j in range(8 * word, 8 * word + 8):
                high[highs] = j
                highs += int(marks[j])
    tops, peaks = places[1], 0
    for k in range(highs):
        j = high[k]
        tops[peaks] = j
        is_within = border <= j <= last - border
        peaks += int(is_peak(above, line, below, j) and is_within)
    middle = 0.5 * (cell - 1)
    for k in range(min(peaks, found.shape[0] - count)):
        j = tops[k]
        value = line[j]
        left, right = line[max(j - 1, 0)], line[min(j + 1, last)]
        up = above[j] if i > 0 else value
        down = below[j] if i < height - 1 else value
        right_by, more_x = between(left, value, right)
        down_by, more_y = between(up, value, down)
        found[count, 0] = (j + right_by) * cell + middle
        found[count, 1] = (i + down_by) * cell + middle
        top = value + more_x + more_y
        noise2 = lift * max(total[j], 0.0) + dark_e2[j]
        found[count, 2] = z * top / math.sqrt(noise2) if noise2 > 0.0 else np.inf
        count += 1
    return count
