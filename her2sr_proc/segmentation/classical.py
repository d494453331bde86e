"""Nuclei by a classical watershed on the distance to the outline.

The reference that the network is held against, and what takes its place where it
cannot run.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import filters, segmentation
from skimage.morphology import disk, h_maxima

from her2sr_proc.schema.count_params import NucleiParams

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


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
    smooth = _smoothed(dapi, pixel_um, params)
    mask = _foreground(smooth, pixel_um, params)
    if not mask.any():
        return np.zeros(dapi.shape, np.int32)
    labels = _split(mask, pixel_um, params)
    return _without_crumbs(labels, pixel_um, params)


def has_contrast(dapi: F32, pixel_um: float, params: NucleiParams) -> bool:
    """Return whether an image holds anything beyond its noise.

    Parameters
    ----------
    dapi : float32 array, shape (height, width)
        Mean image; any unit, any offset.
    pixel_um : float
        Width of a pixel in the sample.
    params : NucleiParams
        Its smoothing and least contrast.
    """
    return _stands_out(_smoothed(dapi, pixel_um, params), params)


def _smoothed(
    dapi: F32, pixel_um: float, params: NucleiParams
) -> npt.NDArray[np.float64]:
    sigma = params.smooth_um / pixel_um
    return np.asarray(ndimage.gaussian_filter(dapi.astype(np.float64), sigma))


def _stands_out(smooth: npt.NDArray[np.float64], params: NucleiParams) -> bool:
    low, high = np.percentile(smooth, (1.0, 99.0))
    noise = float(np.median(np.abs(np.diff(smooth, axis=0)))) + 1e-12
    return bool(high - low >= params.minimum_contrast * noise)


def _foreground(
    smooth: npt.NDArray[np.float64], pixel_um: float, params: NucleiParams
) -> Mask:
    """Return what is nucleus, where there is any to speak of.

    Otsu's level finds the bright ones and cuts faint, thin ones short. Those are
    found by half of the brightest point near by: that is the outline of a blurred
    disc, and the halo of a bright neighbour lies below it.
    """
    if not _stands_out(smooth, params):
        return np.zeros(smooth.shape, bool)
    low, high = np.percentile(smooth, (1.0, 99.0))
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
