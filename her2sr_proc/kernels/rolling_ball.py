"""Subtract Background of ImageJ: a ball rolled under the surface of a frame.

Knows a frame, a ball and the planes it works in; neither movies nor files. Bit for bit
ImageJ's result, so all arithmetic is float32, in ImageJ's order where order matters.

Source: ImageJ 1.54u, `ij.plugin.filter.BackgroundSubtracter` (public domain), after
Sternberg 1983, doi:10.1109/MC.1983.1654163, with its shrinking of large balls. It is a
grey opening with a square patch of ball heights, zero in the corners.

Departures, none of which shows in a result: minima and maxima are taken of pairs
before the ball's height is added, since rounding is monotone; frames that shrink to a
single row or column, on which ImageJ stops with an error, have the background of that
row or column.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Plane = npt.NDArray[np.uint16] | npt.NDArray[np.float32]

THIRD = np.float32(0.33333333)
ONE, HALF, NONE, FULL = (np.float32(v) for v in (1, 0.5, 0, 65535))
LOWEST, HIGHEST = np.float32(-np.inf), np.float32(np.inf)
SHRINKS = ((10.0, 1, 24), (30.0, 2, 24), (100.0, 4, 32), (math.inf, 8, 40))
"""Up to which radius, by how much a frame is shrunk, and per cent of the ball cut."""
TAPS = 4
"""Taps of one pass along a row."""


class Ball(NamedTuple):
    """What is rolled: the quarter of a patch of heights, symmetric in both axes."""

    shrink: int
    """Pixels of the frame per pixel of the patch, along each axis."""
    half: int
    """The patch has 2 * half + 1 pixels along each axis."""
    heights: F32
    """Shape (half + 1, half + 1); the centre is [0, 0]."""


class Room(NamedTuple):
    """Planes and lines that one frame is worked on in; made once, by `new_room`."""

    ring: F32
    """Shape (3, width): rows smoothed along themselves."""
    low: F32
    """Shape (width,): minimum of the rows of a block so far."""
    small: F32
    """Shape (small height, small width + 4 half), +inf at both ends of every row."""
    centres: F32
    """Shape (small height + 2 half, small width + 2 half): heights of the ball."""
    ground: F32
    """Shape (small height, small width): the shrunk background."""
    pair: F32
    """Shape (small width + 4 half,): two rows taken as one."""
    lines: F32
    """Shape (2, width): two rows of the background, enlarged along themselves."""
    right: I32
    """Shape (width,): the left one of two small columns between which a column is."""
    right_weight: F32
    """Shape (2, width): weights of the two."""
    down: I32
    """Shape (height,): likewise for rows."""
    down_weight: F32
    """Shape (2, height)."""


def new_ball(radius_px: float) -> Ball:
    """Return the ball of a radius in pixels, > 0, as ImageJ makes it."""
    shrink, trim = next((s, t) for most, s, t in SHRINKS if radius_px <= most)
    radius = max(1.0, radius_px / shrink)
    cut = int(trim * radius) // 100
    half = math.floor(radius - cut + 0.5)
    x = np.arange(half + 1)
    root = radius**2 - (x**2)[None, :] - (x**2)[:, None]
    heights = np.where(root > 0, np.sqrt(np.maximum(root, 0.0)), 0.0)
    return Ball(shrink, half, heights.astype(np.float32))


def new_room(height: int, width: int, ball: Ball) -> Room:
    """Return the planes for frames of a size, >= 1 pixel along each axis."""
    h, w = (-(-side // ball.shrink) for side in (height, width))
    right, right_weight = _between(width, w, ball.shrink)
    down, down_weight = _between(height, h, ball.shrink)
    pad = 2 * ball.half
    return Room(
        ring=np.zeros((3, width), np.float32),
        low=np.zeros(width, np.float32),
        small=np.full((h, w + 2 * pad), HIGHEST, np.float32),
        centres=np.zeros((h + pad, w + pad), np.float32),
        ground=np.zeros((h, w), np.float32),
        pair=np.zeros(w + 2 * pad, np.float32),
        lines=np.zeros((2, width), np.float32),
        right=right,
        right_weight=right_weight,
        down=down,
        down_weight=down_weight,
    )


def _between(size: int, small: int, shrink: int) -> tuple[I32, F32]:
    """Return between which two small pixels each pixel is, and their weights."""
    i = np.arange(size)
    if small == 1:
        weights = np.stack([np.ones(size), np.zeros(size)])
        return np.zeros(size, np.int32), weights.astype(np.float32)
    # towards zero, as Java divides: the first pixels extrapolate
    k = np.minimum(np.maximum(i - shrink // 2, 0) // shrink, small - 2)
    at = (i.astype(np.float32) + HALF) / np.float32(shrink)
    weight = ONE - (at - (k.astype(np.float32) + HALF))
    return k.astype(np.int32), np.stack([weight, ONE - weight])


@kernel
def subtract_counts(
    frame: U16, ball: Ball, is_smoothed: bool, room: Room, out: U16
) -> None:
    """Write camera counts without their background, rounded and clipped.

    Parameters
    ----------
    frame : uint16 array, shape (height, width)
        Camera counts.
    ball : Ball
        From `new_ball`.
    is_smoothed : bool
        Whether the ball rolls under the mean of 3 x 3 pixels, as ImageJ's default.
    room : Room
        From `new_room`, for this size and ball; overwritten.
    out : uint16 array, shape (height, width)
        Overwritten; may not be ``frame``.
    """
    shrink_frame(frame, ball.shrink, 2 * ball.half, is_smoothed, room)
    roll(ball, room)
    for i in range(frame.shape[0]):
        round_off(frame[i], background_row(i, ball.shrink, room), out[i])


@kernel
def subtract_values(
    frame: F32, ball: Ball, is_smoothed: bool, room: Room, out: F32
) -> None:
    """Write float32 values without their background; they may be below zero.

    As `subtract_counts`, for finite float32 values of any unit.
    """
    shrink_frame(frame, ball.shrink, 2 * ball.half, is_smoothed, room)
    roll(ball, room)
    for i in range(frame.shape[0]):
        take_off(frame[i], background_row(i, ball.shrink, room), out[i])


@kernel
def shrink_frame(
    frame: Plane, shrink: int, pad: int, is_smoothed: bool, room: Room
) -> None:
    """Write the smoothed frame, by the least value of every block, to ``room.small``.

    One pass over the rows: what is smoothed is never all in memory.
    """
    height = frame.shape[0]
    ring, small = room.ring, room.small
    wide = small.shape[1] - 2 * pad
    for n in range(height + 1):
        if n < height:
            line = ring[n % 3]
            if is_smoothed:
                smooth_along(frame[n], line)
            else:
                convert(frame[n], line)
        i = n - 1
        if i < 0:
            continue
        line = ring[i % 3]
        above, below = ring[max(i - 1, 0) % 3], ring[min(i + 1, height - 1) % 3]
        target = small[i // shrink][pad : pad + wide]
        if shrink == 1:
            if is_smoothed:
                mean_of_three(above, line, below, target)
            else:
                target[:] = line
            continue
        if i % shrink == 0:
            room.low[:] = HIGHEST
        if is_smoothed:
            lower_by_mean(above, line, below, room.low)
        else:
            lower(line, room.low)
        if i % shrink == shrink - 1 or i == height - 1:
            least_of_blocks(room.low, shrink, target)


@kernel
def convert(row: Plane, out: F32) -> None:
    """Write a row as float32."""
    for j in range(out.size):
        out[j] = np.float32(row[j])


@kernel
def smooth_along(row: Plane, out: F32) -> None:
    """Write the mean of every three neighbours; the ends are repeated."""
    size = out.size
    first, last = np.float32(row[0]), np.float32(row[size - 1])
    if size == 1:
        out[0] = (first + first + first) * THIRD
        return
    left, middle, right = row[: size - 2], row[1 : size - 1], row[2:size]
    inner = out[1 : size - 1]
    for j in range(size - 2):
        pair = np.float32(left[j]) + np.float32(middle[j])
        inner[j] = (pair + np.float32(right[j])) * THIRD
    out[0] = (first + first + np.float32(row[1])) * THIRD
    out[size - 1] = (np.float32(row[size - 2]) + last + last) * THIRD


@kernel
def mean_of_three(above: F32, line: F32, below: F32, out: F32) -> None:
    """Write the mean of three rows."""
    for j in range(out.size):
        out[j] = (above[j] + line[j] + below[j]) * THIRD


@kernel
def lower_by_mean(above: F32, line: F32, below: F32, low: F32) -> None:
    """Lower ``low`` to the mean of three rows, where that is less."""
    for j in range(low.size):
        mean = (above[j] + line[j] + below[j]) * THIRD
        low[j] = mean if mean < low[j] else low[j]


@kernel
def lower(line: F32, low: F32) -> None:
    """Lower ``low`` to a row, where that is less."""
    for j in range(low.size):
        low[j] = line[j] if line[j] < low[j] else low[j]


@kernel
def least_of_blocks(line: F32, size: int, out: F32) -> None:
    """Write the least value of every block of ``size``; the last may be shorter."""
    for j in range(out.size):
        least = line[j * size]
        for k in range(j * size + 1, min((j + 1) * size, line.size)):
            least = line[k] if line[k] < least else least
        out[j] = least


@kernel
def roll(ball: Ball, room: Room) -> None:
    """Write the opening of ``room.small`` to ``room.ground``.

    The ball's centre may stand outside, as far as the ball still covers a pixel.
    """
    half, heights = ball.half, ball.heights
    whole = (half + 1) // TAPS * TAPS
    small, centres, ground, pair = room.small, room.centres, room.ground, room.pair
    height = small.shape[0]
    for n in range(centres.shape[0]):
        line = centres[n]
        line[:] = HIGHEST
        for k in range(half + 1):
            above, below = n - half - k, n - half + k
            if above >= height or below < 0 or (above < 0 and below >= height):
                continue
            source = pair
            if above < 0:
                source = small[below]
            elif below >= height or k == 0:
                source = small[above]
            else:
                lesser(small[above], small[below], pair)
            for m in range(0, whole, TAPS):
                press(source, half, heights[k, m : m + TAPS], m, line)
            for m in range(whole, half + 1):
                press_one(source, half, heights[k, m], m, line)
    reach = centres.shape[1]
    for n in range(ground.shape[0]):
        line = ground[n]
        line[:] = LOWEST
        for k in range(half + 1):
            greater(centres[n + half - k], centres[n + half + k], pair[:reach])
            for m in range(0, whole, TAPS):
                lift(pair[:reach], half, heights[k, m : m + TAPS], m, line)
            for m in range(whole, half + 1):
                lift_one(pair[:reach], half, heights[k, m], m, line)


@kernel
def lesser(a: F32, b: F32, out: F32) -> None:
    """Write the lesser of two rows."""
    for j in range(out.size):
        out[j] = a[j] if a[j] < b[j] else b[j]


@kernel
def greater(a: F32, b: F32, out: F32) -> None:
    """Write the greater of two rows."""
    for j in range(out.size):
        out[j] = a[j] if a[j] > b[j] else b[j]


@kernel
def press(source: F32, half: int, heights: F32, first: int, out: F32) -> None:
    """Lower ``out`` to where `TAPS` columns of the ball, left and right, touch.

    ``out[j]`` is the centre over ``source[j + half]``.
    """
    size = out.size
    a, b, c, d = half - first, half - first - 1, half - first - 2, half - first - 3
    e, f, g, h = half + first, half + first + 1, half + first + 2, half + first + 3
    la, lb = source[a : a + size], source[b : b + size]
    lc, ld = source[c : c + size], source[d : d + size]
    ra, rb = source[e : e + size], source[f : f + size]
    rc, rd = source[g : g + size], source[h : h + size]
    za, zb, zc, zd = heights[0], heights[1], heights[2], heights[3]
    for j in range(size):
        va = (la[j] if la[j] < ra[j] else ra[j]) - za
        vb = (lb[j] if lb[j] < rb[j] else rb[j]) - zb
        vc = (lc[j] if lc[j] < rc[j] else rc[j]) - zc
        vd = (ld[j] if ld[j] < rd[j] else rd[j]) - zd
        va = va if va < vb else vb
        vc = vc if vc < vd else vd
        va = va if va < vc else vc
        out[j] = va if va < out[j] else out[j]


@kernel
def press_one(source: F32, half: int, height: float, column: int, out: F32) -> None:
    """As `press`, for one column of the ball."""
    size = out.size
    left = source[half - column : half - column + size]
    right = source[half + column : half + column + size]
    for j in range(size):
        value = (left[j] if left[j] < right[j] else right[j]) - height
        out[j] = value if value < out[j] else out[j]


@kernel
def lift_one(source: F32, half: int, height: float, column: int, out: F32) -> None:
    """As `lift`, for one column of the ball."""
    size = out.size
    left = source[half - column : half - column + size]
    right = source[half + column : half + column + size]
    for j in range(size):
        value = (left[j] if left[j] > right[j] else right[j]) + height
        out[j] = value if value > out[j] else out[j]


@kernel
def lift(source: F32, half: int, heights: F32, first: int, out: F32) -> None:
    """Raise ``out`` to what `TAPS` columns of the ball, left and right, reach.

    ``source[j + half]`` is the centre over ``out[j]``.
    """
    size = out.size
    a, b, c, d = half - first, half - first - 1, half - first - 2, half - first - 3
    e, f, g, h = half + first, half + first + 1, half + first + 2, half + first + 3
    la, lb = source[a : a + size], source[b : b + size]
    lc, ld = source[c : c + size], source[d : d + size]
    ra, rb = source[e : e + size], source[f : f + size]
    rc, rd = source[g : g + size], source[h : h + size]
    za, zb, zc, zd = heights[0], heights[1], heights[2], heights[3]
    for j in range(size):
        va = (la[j] if la[j] > ra[j] else ra[j]) + za
        vb = (lb[j] if lb[j] > rb[j] else rb[j]) + zb
        vc = (lc[j] if lc[j] > rc[j] else rc[j]) + zc
        vd = (ld[j] if ld[j] > rd[j] else rd[j]) + zd
        va = va if va > vb else vb
        vc = vc if vc > vd else vd
        va = va if va > vc else vc
        out[j] = va if va > out[j] else out[j]


@kernel
def background_row(i: int, shrink: int, room: Room) -> F32:
    """Return row i of the background; rows are asked for in order, from 0."""
    if shrink == 1:
        return room.ground[i]
    lines, down = room.lines, room.down
    upper = down[i]
    if i == 0:
        enlarge(room.ground[0], room, lines[0])
        enlarge(room.ground[min(1, room.ground.shape[0] - 1)], room, lines[1])
    elif upper != down[i - 1]:
        enlarge(room.ground[upper + 1], room, lines[(upper + 1) % 2])
    upper_weight, under_weight = room.down_weight[0, i], room.down_weight[1, i]
    first, second = lines[upper % 2], lines[(upper + 1) % 2]
    mix(first, second, upper_weight, under_weight, room.low)
    return room.low


@kernel
def enlarge(line: F32, room: Room, out: F32) -> None:
    """Write a small row at the frame's width, by linear interpolation."""
    right, weight = room.right, room.right_weight
    last = line.size - 1
    for j in range(out.size):
        k = right[j]
        out[j] = line[k] * weight[0, j] + line[min(k + 1, last)] * weight[1, j]


@kernel
def mix(upper: F32, under: F32, a: float, b: float, out: F32) -> None:
    """Write the weighted sum of two rows."""
    for j in range(out.size):
        out[j] = upper[j] * a + under[j] * b


@kernel
def round_off(row: U16, background: F32, out: U16) -> None:
    """Write counts less their background, half up, within 0 and 65535."""
    for j in range(out.size):
        value = np.float32(row[j]) - background[j] + HALF
        value = value if value > NONE else NONE
        value = value if value < FULL else FULL
        out[j] = np.uint16(np.int32(value))


@kernel
def take_off(row: F32, background: F32, out: F32) -> None:
    """Write values less their background."""
    for j in range(out.size):
        out[j] = row[j] - background[j]
