"""Nuclei in the mean DAPI image: labels, and which of them may be scored.

A classical watershed on the distance to the outline. It knows neither files nor
signals; a better segmentation replaces `segment` and keeps the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import filters, measure, segmentation
from skimage.morphology import disk, h_maxima

from her2sr_proc.schema.params import NucleiParams

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One labelled nucleus. Positions in pixels of the frame."""

    label: int
    y_px: float
    x_px: float
    area_um2: float
    solidity: float
    quality: float
    """0 to 1: solidity times the contrast of the outline."""
    exclusion_reason: str
    """Empty when the nucleus may be scored."""


def segment(dapi: F32, *, pixel_um: float, params: NucleiParams) -> I32:
    """Return labels from 1, ordered by row and column of appearance; 0 is background.

    Parameters
    ----------
    dapi : float32 array, shape (height, width)
        Mean image; any unit, any offset.
    pixel_um : float
        Width of a pixel in the sample.
    params : NucleiParams
        Lengths and areas in micrometres.
    """
    smooth = ndimage.gaussian_filter(
        dapi.astype(np.float64), params.smooth_um / pixel_um
    )
    mask = _foreground(smooth, pixel_um, params)
    if not mask.any():
        return np.zeros(dapi.shape, np.int32)
    labels = _split(mask, pixel_um, params)
    return _without_crumbs(labels, pixel_um, params)


def describe(
    labels: I32, dapi: F32, *, pixel_um: float, params: NucleiParams
) -> list[Nucleus]:
    """Return every label with its quality and, where there is one, a reason against it.

    Parameters
    ----------
    labels : int32 array, shape (height, width)
        From `segment`, or of a person.
    dapi : float32 array, shape (height, width)
        The image that was segmented.
    pixel_um : float
        Width of a pixel in the sample.
    params : NucleiParams
        Limits of area and solidity.
    """
    contrast = _outline_contrast(labels, dapi)
    height, width = labels.shape
    found = []
    for region in measure.regionprops(labels):
        top, left, bottom, right = region.bbox
        at_border = top == 0 or left == 0 or bottom == height or right == width
        area = float(region.area) * pixel_um**2
        solidity = float(region.solidity)
        reason = _reason(at_border, area, solidity, params)
        found.append(
            Nucleus(
                label=int(region.label),
                y_px=float(region.centroid[0]),
                x_px=float(region.centroid[1]),
                area_um2=area,
                solidity=solidity,
                quality=solidity * contrast.get(int(region.label), 0.0),
                exclusion_reason=reason,
            )
        )
    return found


def outline(labels: I32, label: int) -> npt.NDArray[np.float64]:
    """Return the closed outline of a label, shape (points, 2): y, x in pixels."""
    box = ndimage.find_objects((labels == label).astype(np.int8))[0]
    inside = np.pad(labels[box] == label, 1)
    contours = measure.find_contours(inside.astype(np.float64), 0.5)
    longest = max(contours, key=len)
    corner = np.array([box[0].start - 1, box[1].start - 1], np.float64)
    return np.asarray(measure.approximate_polygon(longest, 0.5) + corner, np.float64)


def _foreground(
    smooth: npt.NDArray[np.float64], pixel_um: float, params: NucleiParams
) -> Mask:
    """Return what is nucleus, where there is any to speak of.

    Otsu's level finds the bright ones and cuts faint, thin ones short. Those are
    found by half of the brightest point near by: that is the outline of a blurred
    disc, and the halo of a bright neighbour lies below it.
    """
    low, high = np.percentile(smooth, (1.0, 99.0))
    noise = float(np.median(np.abs(np.diff(smooth, axis=0)))) + 1e-12
    if high - low < params.minimum_contrast * noise:
        return np.zeros(smooth.shape, bool)
    # hot specks would lift Otsu's level
    level = filters.threshold_otsu(np.clip(smooth, low, high))
    dark = float(np.median(smooth[smooth <= level]))
    near = disk(max(1, round(params.outline_reach_um / pixel_um)))
    top = ndimage.maximum_filter(smooth, footprint=near)
    faint = smooth > dark + np.maximum(
        0.5 * (top - dark), params.faintest * (level - dark)
    )
    mask = ndimage.binary_fill_holes((smooth > level) | faint)
    disc = disk(max(1, round(params.smooth_um / pixel_um)))
    return np.asarray(ndimage.binary_opening(mask, disc), bool)


def _split(mask: Mask, pixel_um: float, params: NucleiParams) -> I32:
    """Return touching nuclei apart: a watershed from the depths of the foreground."""
    radius = params.typical_radius_um / pixel_um
    # padded with the edge: a cut nucleus is deep at the border, not thin
    margin = math.ceil(radius)
    padded = np.pad(mask, margin, mode="edge")
    depth = ndimage.distance_transform_edt(padded)
    depth = depth[margin:-margin, margin:-margin]
    depth = ndimage.gaussian_filter(depth, max(1.0, params.split_smooth * radius))
    peaks = h_maxima(depth, params.split_depth * radius)
    seeds, _ = ndimage.label(peaks & mask, np.ones((3, 3)))
    return np.asarray(segmentation.watershed(-depth, seeds, mask=mask), np.int32)


def _without_crumbs(labels: I32, pixel_um: float, params: NucleiParams) -> I32:
    """Return labels without debris, numbered from 1."""
    smallest = params.debris_area_um2 / pixel_um**2
    sizes = np.bincount(labels.ravel())
    labels = np.where(sizes[labels] < smallest, 0, labels).astype(np.int32)
    return np.asarray(segmentation.relabel_sequential(labels)[0], np.int32)


def _reason(
    at_border: bool, area_um2: float, solidity: float, params: NucleiParams
) -> str:
    if at_border:
        return "touches the border of the frame"
    if area_um2 < params.minimum_area_um2:
        return "too small"
    if area_um2 > params.maximum_area_um2:
        return "too large"
    if solidity < params.minimum_solidity:
        return "not convex: overlapping or torn"
    return ""


def _outline_contrast(labels: I32, dapi: F32) -> dict[int, float]:
    """Return, by label, the step at the outline over the step to the background.

    1: as sharp as the nucleus is bright; 0: no step at all. Where nuclei touch, the
    neighbour takes the place of the background and the step vanishes, as it should.
    """
    if not labels.any():
        return {}
    ring = 3
    outside = labels == 0
    background = float(np.median(dapi[outside])) if outside.any() else 0.0
    grown = segmentation.expand_labels(labels, ring)
    inner = ndimage.distance_transform_edt(
        ~segmentation.find_boundaries(labels, mode="inner")
    )
    index = np.arange(1, int(labels.max()) + 1)
    inside = ndimage.mean(dapi, np.where(inner >= ring, labels, 0), index)
    around = ndimage.mean(dapi, np.where(labels == 0, grown, 0), index)
    step = (inside - around) / np.maximum(inside - background, 1e-9)
    step = np.clip(np.nan_to_num(step), 0.0, 1.0)
    return {int(i): float(s) for i, s in zip(index, step, strict=True)}
