"""Images of dyes: integrated Gaussians, one by one or a signal at a time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
CUT = 2.5
"""Sigmas at which spots in counts are cut off."""
STEPS = 512
"""Entries per sigma in the table below."""


def _ramp() -> F64:
    """Return the share of a Gaussian left of a place, from -CUT - 1 to CUT + 1."""
    places = np.arange(-(CUT + 1.0), CUT + 1.0, 1.0 / STEPS) / math.sqrt(2.0)
    return np.array([0.5 * (1.0 + math.erf(place)) for place in places])


RAMP = _ramp()


@kernel
def _profile(centre: float, sigma: float, size: int, weights: F64) -> tuple[int, int]:
    """Fill ``weights`` with the share of a Gaussian in each pixel of a line.

    Return the first pixel and how many: those within 4.5 sigma that exist and for
    which there is room.
    """
    reach = math.ceil(4.5 * sigma)
    low = max(0, round(centre) - reach)
    high = min(size, round(centre) + reach + 1)
    count = max(0, min(high - low, weights.size))
    scale = 1.0 / (math.sqrt(2.0) * sigma)
    before = math.erf((low - 0.5 - centre) * scale)
    for n in range(count):
        after = math.erf((low + n + 0.5 - centre) * scale)
        weights[n] = 0.5 * (after - before)
        before = after
    return low, count


@kernel
def add_spot(
    image: F32, y: float, x: float, sigma: float, photons: float, weights: F64
) -> None:
    """Add an integrated Gaussian to ``image``, cut off beyond 4.5 sigma.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    y, x, sigma : float; pixels, the first pixel's centre at 0
    photons : float; in the whole spot
    weights : float64 array, (2, room); scratch, as wide as the widest spot
    """
    top, rows = _profile(y, sigma, image.shape[0], weights[0])
    left, columns = _profile(x, sigma, image.shape[1], weights[1])
    for j in range(rows):
        share = photons * weights[0, j]
        line = image[top + j]
        for i in range(columns):
            line[left + i] += np.float32(share * weights[1, i])


@kernel
def _table_profile(
    centre: float, sigma: float, size: int, weights: F64
) -> tuple[int, int]:
    """Do as `_profile` from a table, right to 1e-3, within `CUT` sigma."""
    reach = math.floor(CUT * sigma) + 1
    low = max(0, round(centre) - reach)
    high = min(size, round(centre) + reach + 1)
    count = max(0, min(high - low, weights.size))
    scale, last = STEPS / sigma, RAMP.size - 1
    start = (low - 0.5 - centre) * scale + (CUT + 1.0) * STEPS
    before = RAMP[min(max(int(start), 0), last)]
    for n in range(count):
        start += scale
        after = RAMP[min(max(int(start), 0), last)]
        weights[n] = after - before
        before = after
    return low, count


@kernel
def _add_counts(
    counts: U16,
    y: float,
    x: float,
    sigma: float,
    electrons: float,
    gain: float,
    noise: F32,
    weights: F64,
    line: F32,
) -> None:
    """Add a noisy integrated Gaussian to counts; see `draw_counts`."""
    top, rows = _table_profile(y, sigma, counts.shape[0], weights[0])
    left, columns = _table_profile(x, sigma, counts.shape[1], weights[1])
    mean, root = line[0, :columns], line[1, :columns]
    for i in range(columns):
        mean[i] = weights[1, i]
        root[i] = math.sqrt(weights[1, i])
    high = np.float32(65535.0)
    for j in range(rows):
        share = electrons * weights[0, j]
        light, shot = np.float32(gain * share), np.float32(gain * math.sqrt(share))
        row = counts[top + j, left : left + columns]
        first = (top + j) * 977 % (noise.size - columns)
        drawn = noise[first : first + columns]
        for i in range(columns):
            value = np.float32(row[i]) + light * mean[i] + shot * root[i] * drawn[i]
            row[i] = np.uint16(np.int32(min(value, high)))


@kernel
def _moments(
    index: I64, photons: F64, start: int, stop: int, y: F64, x: F64, focus: F64
) -> tuple[float, float, float, float, float]:
    """Return light, mean y, x and focus, and variance of a group of dyes."""
    total, mid_y, mid_x, mid_z, spread = 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(start, stop):
        if photons[n] > 0.0:
            i = index[n]
            total += photons[n]
            mid_y += photons[n] * y[i]
            mid_x += photons[n] * x[i]
            mid_z += photons[n] * focus[i]
            spread += photons[n] * (y[i] * y[i] + x[i] * x[i])
    if total > 0.0:
        mid_y, mid_x, mid_z = mid_y / total, mid_x / total, mid_z / total
        spread = max(0.5 * (spread / total - mid_y * mid_y - mid_x * mid_x), 0.0)
    return total, mid_y, mid_x, mid_z, spread


@kernel
def draw(
    image: F32,
    index: I64,
    bounds: I64,
    photons: F64,
    y: F64,
    x: F64,
    focus: F64,
    sigma: F64,
    depth: float,
    shift: F64,
    merge: float,
    weights: F64,
) -> None:
    """Add dyes to an image, group by group.

    A group as wide as ``merge`` is drawn as one spot with the group's centre and
    second moment: its dyes lie much closer than they are wide.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    index : int64 array, (n,); dyes, the members of a group side by side
    bounds : int64 array, (groups + 1,); where groups start in ``index``
    photons : float64 array, (n,)
    y, x, focus : float64 array, (dyes,); pixels, pixels, um from the plane in focus
    sigma : float64 array, (dyes,); in focus, pixels
    depth : float; um of defocus that widen a spot by sqrt(2)
    shift : float64 array, (3,); y, x in pixels and focus in um, added
    merge : float; width in pixels
    weights : float64 array, (2, room); scratch
    """
    for group in range(bounds.size - 1):
        start, stop = bounds[group], bounds[group + 1]
        total, at_y, at_x, at_z, spread = _moments(
            index, photons, start, stop, y, x, focus
        )
        if total <= 0.0:
            continue
        wide = sigma[index[start]] * math.hypot(1.0, (at_z + shift[2]) / depth)
        if wide >= merge:
            whole = math.sqrt(wide * wide + spread)
            add_spot(image, at_y + shift[0], at_x + shift[1], whole, total, weights)
            continue
        for n in range(start, stop):
            if photons[n] > 0.0:
                i = index[n]
                wide = sigma[i] * math.hypot(1.0, (focus[i] + shift[2]) / depth)
                at_y, at_x = y[i] + shift[0], x[i] + shift[1]
                add_spot(image, at_y, at_x, wide, photons[n], weights)


@kernel
def draw_counts(
    counts: U16,
    bounds: I64,
    electrons: F64,
    spots: F64,
    depth: float,
    shift: F64,
    gain: float,
    noise: F32,
    weights: F64,
) -> None:
    """Add dyes to a frame of counts, one fixed spot a group, with noise from a bank.

    Cut off beyond `CUT` sigma: for rates, not for photometry.

    Parameters
    ----------
    counts : uint16 array, (height, width), updated; saturates
    bounds : int64 array, (groups + 1,); where groups start in ``electrons``
    electrons : float64 array, (n,)
    spots : float64 array, (groups, 5); y, x, focus, width in focus, blob: pixels, um
    depth, shift, weights : as in `draw`
    gain : float; counts per electron
    noise : float32 array, (many,); standard normal, from where to start
    """
    line = np.empty((2, weights.shape[1]), np.float32)
    for group in range(bounds.size - 1):
        total = 0.0
        for n in range(bounds[group], bounds[group + 1]):
            total += electrons[n]
        if total <= 0.0:
            continue
        y, x, focus, sigma, blob = spots[group]
        wide = sigma * math.hypot(1.0, (focus + shift[2]) / depth)
        whole = math.hypot(wide, blob)
        y, x = y + shift[0], x + shift[1]
        _add_counts(counts, y, x, whole, total, gain, noise, weights, line)
