"""Regions of a field in which signals share their light, and what is measured in them.

Knows images and where signals stand; not what a signal is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.schema.table import Localizations
from her2sr_proc.spots import Spots

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

REACH = 2.0
"""Widths of a spot within which most of its light is taken as the region's."""
LEAST_NM = 390.0
"""Of that radius: what the microscope spreads any light over."""
GROUND_NM = 1200.0
"""Width of the Gaussian that a region's ground is interpolated with."""
THINNED = 2
"""Pixels a side that are one for the ground, which varies over a dozen."""
RIM_PX = 2
"""Around a region, that still holds light of it and is no ground."""
TOUCHING = np.ones((3, 3), np.int8)


@dataclass(frozen=True, slots=True)
class Sparse:
    """The frames of a burst after its ensemble phase."""

    table: Localizations
    """Rows of those frames alone."""
    frames: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is measured in regions, and the scales of it."""

    light: F32
    """Mean of the first frames, photo-electrons; shape (height, width)."""
    sparse: Sparse | None
    """What to count events in."""
    pixel_nm: float
    blob_px: float
    """Standard deviation of a probe's blob."""


@dataclass(frozen=True, slots=True)
class Region:
    """One dense region, as far as it lies in one nucleus."""

    rows: I64
    """Of the signals in it."""
    nucleus: int
    light_e: float
    """Above its ground, photo-electrons a frame."""
    events: float | None
    """Lit dyes times frames after the ensemble phase; None: there was no such phase."""
    is_whole: bool
    """Not shared with a neighbour nucleus."""


def dense_regions(spots: Spots, nucleus: I64, owners: I32, seen: Seen) -> list[Region]:
    """Return the regions that signals form, those of no nucleus left out.

    Parameters
    ----------
    spots : Spots
        Signals that count.
    nucleus : int64 array, shape (spots,)
        The nucleus of each, 0: none.
    owners : int32 array, shape (height, width)
        The nucleus of every pixel.
    seen : Seen
        Light and events.
    """
    light, pixel_nm = seen.light, seen.pixel_nm
    if not len(spots):
        return []
    lit = _discs(spots, light.shape, LEAST_NM / pixel_nm, seen.blob_px)
    above = light - _ground(light, lit, GROUND_NM / pixel_nm)
    labels, _ = ndimage.label(lit, TOUCHING)
    at = _pixels(spots.y_px, spots.x_px, light.shape)
    label = labels[at].astype(np.int64)
    # one number for each pair of region and nucleus
    stride = int(owners.max()) + 1
    place = labels.astype(np.int64) * stride + owners
    shares = np.bincount(place.ravel(), above.ravel())
    total = np.bincount(labels.ravel(), above.ravel())
    events = _events(seen.sparse, place, pixel_nm) if seen.sparse else None
    found = []
    for key in np.unique(label * stride + nucleus):
        region, owner = divmod(int(key), stride)
        if owner == 0:
            continue
        rows = np.flatnonzero((label == region) & (nucleus == owner))
        is_whole = bool((nucleus[label == region] == owner).all())
        light_e = total[region] if is_whole else shares[key] if key < shares.size else 0
        lit_frames = None if events is None else events.get(int(key), 0.0)
        found.append(Region(rows, owner, float(light_e), lit_frames, is_whole))
    return found


def _discs(spots: Spots, shape: tuple[int, ...], least: float, blob_px: float) -> Mask:
    """Return where any spot has most of its light."""
    lit: Mask = np.zeros(shape, np.bool_)
    radii = np.maximum(REACH * np.sqrt(spots.width_px2 + blob_px**2), least)
    for y, x, radius in zip(spots.y_px, spots.x_px, radii, strict=True):
        top, left = max(math.floor(y - radius), 0), max(math.floor(x - radius), 0)
        bottom, right = math.ceil(y + radius) + 1, math.ceil(x + radius) + 1
        part = lit[top:bottom, left:right]
        dy = np.arange(top, top + part.shape[0])[:, None] - y
        dx = np.arange(left, left + part.shape[1])[None, :] - x
        part |= dy**2 + dx**2 <= radius**2
    return lit


def _ground(light: F32, lit: Mask, sigma_px: float) -> F64:
    """Return the ground under regions, from the light around them."""
    free = (~ndimage.binary_dilation(lit, iterations=RIM_PX)).astype(np.float64)
    thin_px = sigma_px / THINNED
    weight = ndimage.gaussian_filter(_thinned(free), thin_px, mode="nearest")
    seen = ndimage.gaussian_filter(_thinned(light * free), thin_px, mode="nearest")
    # in the midst of a region wider than the filter there is nothing to go by
    everywhere = float(np.median(light))
    least = 1e-6
    ground = (seen + least * everywhere) / (weight + least)
    back = ndimage.zoom(ground, THINNED, order=1, grid_mode=True, mode="nearest")
    height, width = light.shape
    return np.asarray(back[:height, :width], np.float64)


def _thinned(image: F64) -> F64:
    """Return the means of squares of pixels; the rim is repeated to whole ones."""
    height, width = image.shape
    rim = ((0, -height % THINNED), (0, -width % THINNED))
    whole = np.pad(image, rim, mode="edge")
    rows, columns = (size // THINNED for size in whole.shape)
    squares = whole.reshape(rows, THINNED, columns, THINNED)
    return np.asarray(squares.mean(axis=(1, 3)), np.float64)


def _events(sparse: Sparse, place: I64, pixel_nm: float) -> dict[int, float]:
    """Return lit dyes times frames of every place: Poisson's law from lit frames.

    Two dyes of a region that are lit at once may be one row, or two: what is counted
    is frames in which it was not dark.
    """
    table = sparse.table
    y, x = (table[n].astype(np.float64) / pixel_nm for n in ("y_nm", "x_nm"))
    keys = place[_pixels(y, x, place.shape)]
    both = np.unique(np.column_stack([keys, table["frame"].astype(np.int64)]), axis=0)
    names, lit = np.unique(both[:, 0], return_counts=True)
    dark = 1.0 - np.minimum(lit, sparse.frames - 0.5) / sparse.frames
    return {
        int(key): float(count)
        for key, count in zip(names, -sparse.frames * np.log(dark), strict=True)
    }


def _pixels(y: F64, x: F64, shape: tuple[int, ...]) -> tuple[I64, I64]:
    row = np.clip(np.rint(y), 0, shape[0] - 1).astype(np.int64)
    column = np.clip(np.rint(x), 0, shape[1] - 1).astype(np.int64)
    return row, column
