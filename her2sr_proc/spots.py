"""The one counter: spots of any width in an image seen at two scales.

It is given an image smoothed a little and smoothed more, finds maxima that stand out of
either, and tells a spot's width from how much the second smoothing dims it. Wide spots
beside bright narrow ones are found in what the narrow ones leave. It runs alike on the
conventional mean image and on the image of fluctuations; knows no probe and no nucleus.

Positions and widths are in pixels; (0, 0) is the centre of the first pixel. The width
of a spot is that of the microscope's eye at its depth, without blob and smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.kernels.points import (
    blurred_at,
    draw_points,
    middle_of,
    splined_at,
)
from her2sr_proc.maxima import prominent_maxima
from her2sr_proc.schema.count_params import SpotParams

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_] | npt.NDArray[np.intp]

REACH = 4.0
"""Standard deviations of a model spot that are drawn."""
WIDTHS = np.geomspace(0.1, 15.0, 200)
"""Squared widths that are told apart, over the squared fine smoothing."""
WIDE = 3.0
"""From this one on, the coarse image and its own blur tell the width better."""
SHADOW = 0.05
"""Of a spot's strength: fainter ones near it are rings of its own light, or what a
model of it leaves. Signals of one probe differ far less."""
NEAR = 3.0
"""Fine smoothings within which they are."""
ROUNDS = 3
"""Times that spots are measured anew, each with the light of the others taken off."""


@dataclass(frozen=True, slots=True)
class Optics:
    """How a spot of a given depth looks in an image of one kind.

    ``power`` 1: light. ``power`` 2: variance of light, whose spots are the squares of
    those of light, each molecule of the blob by itself.
    """

    power: int
    blob_px: float
    """Standard deviation of the molecules of one signal about its centre."""

    def variance_px2(self, width_px2: F64, smooth_px: float) -> F64:
        """Return the squared width of the spot in the smoothed image."""
        return (width_px2 + smooth_px**2) / self.power + self.blob_px**2

    def height(self, width_px2: F64, smooth_px: float) -> F64:
        """Return the spot's height for strength 1.

        Strength is light for power 1, and for power 2 the variance of that light.
        """
        variance = self.variance_px2(width_px2, smooth_px)
        if self.power == 1:
            return 1.0 / (2.0 * np.pi * variance)
        seen = width_px2 + smooth_px**2
        return seen / (2.0 * variance) / (2.0 * np.pi * seen) ** 2


@dataclass(frozen=True, slots=True)
class TwoScales:
    """One image through a narrow and through a wide Gaussian, of the same shape.

    Zero on average where there is nothing.
    """

    fine: F64
    coarse: F64
    fine_px: float
    coarse_px: float
    optics: Optics

    def parts(self) -> tuple[tuple[F64, float], tuple[F64, float]]:
        """Return each image with its smoothing."""
        return (self.fine, self.fine_px), (self.coarse, self.coarse_px)

    @property
    def wide_px2(self) -> float:
        """Squared width from which a spot is wide for these scales."""
        return WIDE * self.fine_px**2


@dataclass(frozen=True, slots=True)
class Spots:
    """One entry a spot; every array is float64, shape (spots,)."""

    y_px: F64
    x_px: F64
    width_px2: F64
    strength: F64
    clarity: F64
    """Prominence over the noise of the image it was found in."""

    def __len__(self) -> int:
        return len(self.y_px)

    def take(self, rows: Rows) -> Spots:
        """Return the spots that a mask or index array selects."""
        return Spots(*(getattr(self, name)[rows] for name in Spots.__slots__))


def find_spots(image: TwoScales, params: SpotParams) -> Spots:
    """Return every spot that stands out of the noise, in no order that means anything.

    The noise is measured in the image itself; most of it must be empty.
    """
    noise = [noise_of(part) for part, _ in image.parts()]
    spots = _joined([])
    for _ in range(params.passes):
        models = _models(spots, image)
        rest = _rest(models, image)
        found: list[Spots] = []
        for n in range(2):
            candidates = _maxima(rest[n], models[n], noise[n], params)
            known = _joined([spots, *found])
            fresh = candidates.take(_is_apart(candidates, known, image, params))
            found.append(_measured(fresh, rest, image))
        new = _joined(found)
        if not len(new):
            break
        del models, rest  # four pictures, while settling makes its own
        spots = _settled(_joined([spots, new]), image)
        own = _is_no_echo(spots, image, params)
        if not own.all():
            spots = _settled(spots.take(own), image)
    # the last settling may have moved one onto another
    spots = spots.take(_is_no_echo(spots, image, params))
    return spots.take(_is_no_shadow(spots, NEAR * image.fine_px))


def noise_of(image: F64) -> float:
    """Return the standard deviation of a mostly empty image, spots left aside."""
    centre = np.median(image)
    return float(1.4826 * np.median(np.abs(image - centre))) + 1e-12


def draw(spots: Spots, shape: tuple[int, ...], smooth_px: float, optics: Optics) -> F64:
    """Return the image that spots make through a smoothing."""
    image: F64 = np.zeros(shape)
    variance = optics.variance_px2(spots.width_px2, smooth_px)
    height = spots.strength * optics.height(spots.width_px2, smooth_px)
    draw_points(spots.y_px, spots.x_px, variance, height, REACH, image)
    return image


def _models(spots: Spots, image: TwoScales) -> list[F64]:
    return [draw(spots, p.shape, smooth, image.optics) for p, smooth in image.parts()]


def _rest(models: list[F64], image: TwoScales) -> list[F64]:
    return [p - model for (p, _), model in zip(image.parts(), models, strict=True)]


def _maxima(rest: F64, model: F64, noise: float, params: SpotParams) -> Spots:
    """Return maxima of what is left that neither noise nor a poor model explains."""
    # one picture, written over: a field's pictures are what counting takes of memory
    relative = params.model_error * model
    np.hypot(noise, relative, out=relative)
    np.divide(rest, relative, out=relative)
    y, x, prominence = prominent_maxima(relative, params.prominence)
    near = np.rint(y).astype(int), np.rint(x).astype(int)
    above = rest[near] > params.over_model * model[near]
    unknown = np.zeros(len(y))
    return Spots(y, x, unknown, unknown, prominence).take(above)


def _is_apart(
    candidates: Spots, known: Spots, image: TwoScales, params: SpotParams
) -> npt.NDArray[np.bool_]:
    """Return which candidates are not just what is left of a known spot."""
    if not len(known):
        return np.ones(len(candidates), bool)
    gap = np.hypot(
        candidates.y_px[:, None] - known.y_px, candidates.x_px[:, None] - known.x_px
    )
    own = np.sqrt(image.optics.variance_px2(known.width_px2, image.fine_px))
    return np.asarray(np.all(gap > params.apart * own, axis=1), bool)


def _is_no_echo(
    spots: Spots, image: TwoScales, params: SpotParams
) -> npt.NDArray[np.bool_]:
    """Return which spots did not move onto one that was found before them."""
    kept = np.ones(len(spots), bool)
    if len(spots) < 2:
        return kept
    own = np.sqrt(image.optics.variance_px2(spots.width_px2, image.fine_px))
    own *= params.apart
    points = np.column_stack([spots.y_px, spots.x_px])
    pairs = cKDTree(points).query_pairs(own.max(), output_type="ndarray")
    former, later = pairs.min(axis=1), pairs.max(axis=1)
    gap = np.linalg.norm(points[former] - points[later], axis=1)
    is_near = gap <= own[former]
    order = np.argsort(later[is_near], kind="stable")
    for n, m in zip(former[is_near][order], later[is_near][order], strict=True):
        kept[m] &= not kept[n]  # its own fate is known: it is of an earlier pair
    return kept


def _is_no_shadow(spots: Spots, reach_px: float) -> npt.NDArray[np.bool_]:
    """Return which spots are not far outshone by one beside them."""
    kept = np.ones(len(spots), bool)
    if len(spots) > 1:
        tree = cKDTree(np.column_stack([spots.y_px, spots.x_px]))
        pairs = tree.query_pairs(reach_px, output_type="ndarray")
        for faint, bright in (pairs.T, pairs.T[::-1]):
            is_less = spots.strength[faint] < SHADOW * spots.strength[bright]
            kept[faint[is_less]] = False
    return kept


def _measured(spots: Spots, rest: list[F64], image: TwoScales) -> Spots:
    """Return the spots with width and strength from what is theirs at every scale."""
    at = np.array([spots.y_px, spots.x_px])
    heights = [_sampled(part, at) for part in rest]
    heights.append(_blurred_at(rest[1], at, image.coarse_px))
    return _photometry(spots, heights, image)


def _settled(spots: Spots, image: TwoScales) -> Spots:
    """Return the spots in their middles, measured with all others taken off."""
    for _ in range(ROUNDS):
        spots = _settled_once(spots, image)
    return spots


def _settled_once(spots: Spots, image: TwoScales) -> Spots:
    optics = image.optics
    rest = _models(spots, image)
    for (part, _), model in zip(image.parts(), rest, strict=True):
        np.subtract(part, model, out=model)
    spots = _centred(spots, rest, image)
    own = [
        spots.strength * optics.height(spots.width_px2, smooth)
        for _, smooth in image.parts()
    ]
    variance = optics.variance_px2(spots.width_px2, image.coarse_px)
    own.append(own[1] * variance / (variance + image.coarse_px**2))
    at = np.array([spots.y_px, spots.x_px])
    left = [_sampled(part, at) for part in rest]
    left.append(_blurred_at(rest[1], at, image.coarse_px))
    heights = [part + mine for part, mine in zip(left, own, strict=True)]
    return _photometry(spots, heights, image)


def _photometry(spots: Spots, heights: list[F64], image: TwoScales) -> Spots:
    """Return the spots with squared width and strength from their heights.

    ``heights``: in the fine image, in the coarse one, and in the coarse one blurred
    once more by its own smoothing. The pair of neighbours that is not much narrower
    than the spot tells its width.
    """
    optics, widths = image.optics, WIDTHS * image.fine_px**2
    fine, coarse, blurred = (np.maximum(height, 1e-9) for height in heights)
    dims = optics.height(widths, image.fine_px) / optics.height(widths, image.coarse_px)
    narrow = np.interp(fine / coarse, dims[::-1], widths[::-1])
    dims = 1.0 + image.coarse_px**2 / optics.variance_px2(widths, image.coarse_px)
    wide = np.interp(coarse / blurred, dims[::-1], widths[::-1])
    wide = np.maximum(wide, image.wide_px2 / 2)
    width = np.where(narrow > image.wide_px2, wide, narrow)
    strength = coarse / optics.height(width, image.coarse_px)
    return replace(spots, width_px2=width, strength=strength)


def _centred(spots: Spots, rest: list[F64], image: TwoScales) -> Spots:
    """Return the spots moved to the middle of what is theirs."""
    y, x = spots.y_px.copy(), spots.x_px.copy()
    seen = []
    for _, smooth in image.parts():
        height = spots.strength * image.optics.height(spots.width_px2, smooth)
        seen.append((height, image.optics.variance_px2(spots.width_px2, smooth)))
    for n, is_wide in enumerate(spots.width_px2 > image.wide_px2):
        height, variance = (values[n] for values in seen[int(is_wide)])
        part = rest[int(is_wide)]
        total, along_y, along_x = middle_of(part, y[n], x[n], variance, height)
        if total > 0:
            # a spot times a window as wide has its middle half way between theirs
            most = image.fine_px
            y[n] += min(max(2.0 * along_y / total, -most), most)
            x[n] += min(max(2.0 * along_x / total, -most), most)
    return replace(spots, y_px=y, x_px=x)


def _blurred_at(part: F64, at: F64, sigma_px: float) -> F64:
    """Return the values at some points of an image seen through a Gaussian.

    ``at``: y, x, shape (2, points). As blurring it whole, but of those points alone.
    """
    seen = np.empty(at.shape[1])
    blurred_at(part, at[0], at[1], sigma_px, int(REACH * sigma_px + 0.5), seen)
    return seen


def _sampled(part: F64, at: F64) -> F64:
    seen = np.empty(at.shape[1])
    splined_at(part, at[0], at[1], seen)
    return seen


def _joined(parts: list[Spots]) -> Spots:
    columns = (
        [getattr(part, name) for part in parts] or [np.zeros(0)]
        for name in Spots.__slots__
    )
    return Spots(*(np.concatenate(column) for column in columns))
