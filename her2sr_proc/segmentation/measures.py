"""What is measured of each labelled nucleus, for its quality and against it.

Works on label images of any origin: a network, a watershed, a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import measure, segmentation

from her2sr_proc.errors import DataError
from her2sr_proc.segmentation.frames import require_image

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

RING_PX = 3
"""Width of what counts as beside an outline."""
SLOPE_UM = 0.13
"""Width of the Gaussian whose gradient is the slope of an edge."""
BAND_UM = 0.8
"""An edge is looked for this far on both sides of its outline."""
NEAR_UM = 1.2
"""As far from a neighbour its light may lie over a nucleus."""
DOUBLED = 1.2
"""Brighter than this times both of two neighbours is light of both."""
FAINTEST = 1e-9
"""Light over the background that stands for none."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one nucleus. Positions in pixels of the frame."""

    label: int
    y_px: float
    x_px: float
    area_um2: float
    solidity: float
    at_border: bool
    edge: float
    """0 to 1: the step at the outline over the step to the background."""
    edge_um: float
    """Width of the edge, foot to top; nan where there is no edge to measure."""
    overlap: float
    """0 to 1: area that is lit by a neighbour too, over that of the nucleus."""
    is_lit: bool
    """Whether it is brighter than the background at all."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """The image, and what all nuclei share of it."""

    labels: I32
    dapi: F64
    slope: F64
    """Steepest change nearby, per micrometre."""
    background: float
    pixel_um: float


def measures(labels: I32, dapi: F32, *, pixel_um: float) -> list[Measures]:
    """Return the measures of every label, in their order.

    Parameters
    ----------
    labels : int32 array, shape (height, width)
        From 1; 0 is background.
    dapi : float32 array, shape (height, width)
        The image that was segmented.
    pixel_um : float
        Width of a pixel in the sample.

    Raises
    ------
    DataError
        When the image is none, or the labels are of another one.
    """
    require_image(dapi)
    if labels.shape != dapi.shape:
        raise DataError(
            f"the labels have shape {labels.shape} and the DAPI image {dapi.shape}; "
            f"give the labels of this image"
        )
    if not labels.any():
        return []
    scene = _scene(labels, dapi, pixel_um)
    inside, around = _beside(scene)
    found = []
    for region in measure.regionprops(labels):
        index = int(region.label) - 1
        step = float(inside[index] - around[index])
        over = max(float(inside[index]) - scene.background, FAINTEST)
        top, left, bottom, right = region.bbox
        height, width = labels.shape
        found.append(
            Measures(
                label=int(region.label),
                y_px=float(region.centroid[0]),
                x_px=float(region.centroid[1]),
                area_um2=float(region.area) * pixel_um**2,
                solidity=float(region.solidity),
                at_border=top == 0 or left == 0 or bottom == height or right == width,
                edge=float(np.clip(np.nan_to_num(step / over), 0.0, 1.0)),
                edge_um=_edge_um(scene, int(region.label), region.bbox, over),
                overlap=_overlap(scene, int(region.label), region.bbox),
                is_lit=over != FAINTEST,
            )
        )
    return found


def _scene(labels: I32, dapi: F32, pixel_um: float) -> _Scene:
    image = dapi.astype(np.float64)
    outside = labels == 0
    slope = ndimage.gaussian_gradient_magnitude(image, SLOPE_UM / pixel_um) / pixel_um
    reach = 2 * max(1, round(BAND_UM / pixel_um)) + 1
    return _Scene(
        labels=labels,
        dapi=image,
        slope=ndimage.maximum_filter(slope, reach),
        background=float(np.median(image[outside])) if outside.any() else 0.0,
        pixel_um=pixel_um,
    )


def _beside(scene: _Scene) -> tuple[F64, F64]:
    """Return, by label from 1, the mean well inside it and the mean around it.

    Where nuclei touch there is no around: the neighbour takes no part in it.
    """
    labels = scene.labels
    grown = segmentation.expand_labels(labels, RING_PX)
    depth = ndimage.distance_transform_edt(
        ~segmentation.find_boundaries(labels, mode="inner")
    )
    index = np.arange(1, int(labels.max()) + 1)
    deep = np.where(depth >= RING_PX, labels, 0)
    ring = np.where(labels == 0, grown, 0)
    with np.errstate(invalid="ignore"):
        means = [_means(scene.dapi, part, index.size + 1) for part in (deep, ring)]
    return means[0], means[1]


def _means(image: F64, labels: I32, count: int) -> F64:
    """Return the mean of every label from 1; nan where it has no pixel."""
    pixels = np.bincount(labels.ravel(), minlength=count)[1:]
    sums = np.bincount(labels.ravel(), image.ravel(), minlength=count)[1:]
    return np.asarray(sums / pixels, np.float64)


def _window(box: tuple[int, ...], reach_px: int) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return (
        slice(max(0, top - reach_px), bottom + reach_px),
        slice(max(0, left - reach_px), right + reach_px),
    )


def _edge_um(scene: _Scene, label: int, box: tuple[int, ...], over: float) -> float:
    """Return the light over its steepest slope, the median along the free outline.

    ``over`` is the light well inside, over the background.
    """
    reach = max(1, round(NEAR_UM / scene.pixel_um))
    window = _window(box, reach)
    labels = scene.labels[window]
    own = labels == label
    rim = own & ~ndimage.binary_erosion(own, border_value=1)
    others = (labels > 0) & ~own
    if others.any():
        rim &= ndimage.distance_transform_edt(~others) > reach
    slope = float(np.median(scene.slope[window][rim])) if rim.any() else 0.0
    if over <= FAINTEST or slope <= 0.0:
        return float("nan")
    return over / slope


def _overlap(scene: _Scene, label: int, box: tuple[int, ...]) -> float:
    """Return the area beside neighbours that is brighter than either, over its own."""
    reach = max(1, round(NEAR_UM / scene.pixel_um))
    window = _window(box, 2 * reach)
    labels = scene.labels[window]
    light = scene.dapi[window] - scene.background
    own = labels == label
    near_own = ndimage.distance_transform_edt(~own) <= reach
    doubled = 0
    for other in np.unique(labels[near_own & (labels > 0) & ~own]):
        theirs = labels == other
        shared = (own & (ndimage.distance_transform_edt(~theirs) <= reach)) | (
            theirs & near_own
        )
        level = max(_level(light, own & ~shared), _level(light, theirs & ~shared))
        doubled += int((shared & (light > DOUBLED * level)).sum())
    return min(1.0, doubled / float(own.sum()))


def _level(light: F64, part: Mask) -> float:
    """Return the usual light of a nucleus away from its neighbour."""
    return float(np.median(light[part])) if part.any() else np.inf
