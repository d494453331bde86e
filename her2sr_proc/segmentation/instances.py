"""Maps of the network -> labels, at the resolution of the image.

Nuclei are seeded where they are deep and do not touch, and grow down the depth until
they meet: a watershed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import segmentation, transform
from skimage.morphology import h_maxima

from her2sr_proc.segmentation.frames import DIAMETER_PX, normalised, planes
from her2sr_proc.segmentation.network import Network

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

INSIDE = 0.5
"""Foreground from this probability."""
SMOOTH_PX = 1.5
SEED_HEIGHT = 0.16
"""A maximum of the depth this high over its saddle is a nucleus of its own."""
SEED_DEPTH = 0.2
"""A nucleus is at least this deep somewhere."""
SURE = 0.85
"""Mean foreground of a nucleus, below which the network only suspects one."""
DEEP = 0.5
"""A nucleus is this deep where it is deepest."""
SMALLEST_PX2 = 0.09 * np.pi * (DIAMETER_PX / 2) ** 2
"""Area in the network's frame below which it is debris: a tenth of a nucleus."""
SCALES = (0.25, 0.5, 1.0, 2.0)
"""Tried where nobody says how large nuclei are."""
AGREES = 0.3
"""Largest logarithm of a measured over the trained diameter."""
MOST_PX = 1_200_000
"""Of the network's frame while sizes are tried."""
SMALLEST_SIDE = 16
"""In the network's frame; less holds no nucleus."""


def find(image: F32, network: Network, *, diameter_px: float) -> I32:
    """Return the labels of the nuclei that a network finds in an image, from 1.

    Parameters
    ----------
    image : float32 array, shape (height, width)
        Any unit, any offset; nuclei are bright.
    network : Network
        To ask.
    diameter_px : float
        Of a usual nucleus, in pixels of the image.
    """
    level = normalised(image)
    maps, _ = _asked(level, network, DIAMETER_PX / diameter_px)
    labels = segmentation.relabel_sequential(_grown(maps, image.shape))[0]
    return np.asarray(labels, np.int32)


def measured_diameter_px(image: F32, network: Network) -> float:
    """Return the usual diameter of the nuclei in an image, in its pixels.

    At every scale, coarsest first, the median diameter of what is found is measured.
    The first that agrees with what the network was trained at is the answer; finer
    scales show it the texture inside nuclei, some of which is of that size too. Where
    none agrees, it is the nearest.
    """
    level = normalised(image)
    best, error = DIAMETER_PX, np.inf
    for scale in SCALES:
        if level.size * scale**2 > MOST_PX or min(level.shape) * scale < SMALLEST_SIDE:
            continue
        maps, exact = _asked(level, network, scale)
        sizes = np.bincount(_seeded(maps).ravel())[1:]
        if sizes.size == 0:
            continue
        seen = 2 * float(np.sqrt(np.median(sizes) / np.pi))
        apart = abs(np.log(seen / DIAMETER_PX))
        if apart < error:
            best, error = seen / exact, apart
        if apart < AGREES:
            break
    return float(best)


def _asked(level: F64, network: Network, scale: float) -> tuple[F32, float]:
    """Return the maps of an image at a scale, and the scale that whole pixels gave."""
    shape = [max(8, round(side * scale)) for side in level.shape]
    seen = transform.resize(level, shape, order=1, anti_aliasing=scale < 1)
    return _mirrored(planes(seen), network), shape[0] / level.shape[0]


def _mirrored(seen: F32, network: Network) -> F32:
    """Return the mean of the answers to an image and to its three mirror images."""
    total = np.zeros((3, *seen.shape[1:]), np.float32)
    for down in (1, -1):
        for right in (1, -1):
            turned = np.ascontiguousarray(seen[:, ::down, ::right])
            total += network.predict(turned)[:, ::down, ::right]
    return np.asarray(total / 4, np.float32)


def _landscape(maps: F32) -> F64:
    depth = maps[1].astype(np.float64) * (1.0 - maps[2])
    return np.asarray(ndimage.gaussian_filter(depth, SMOOTH_PX), np.float64)


def _seeds(maps: F32, landscape: F64) -> I32:
    peaks = h_maxima(landscape, SEED_HEIGHT).astype(bool)
    peaks &= (landscape > SEED_DEPTH) & (maps[0] > INSIDE)
    return np.asarray(ndimage.label(peaks, np.ones((3, 3)))[0], np.int32)


def _seeded(maps: F32) -> I32:
    """Return labels in the network's frame, from 1, without debris."""
    landscape = _landscape(maps)
    seeds = _seeds(maps, landscape)
    labels = segmentation.watershed(-landscape, seeds, mask=maps[0] > INSIDE)
    return without_debris(_sure(labels.astype(np.int32), maps), SMALLEST_PX2)


def _sure(labels: I32, maps: F32) -> I32:
    """Return labels without those that the network is not sure of."""
    index = np.arange(1, int(labels.max()) + 1)
    if index.size == 0:
        return labels
    inside = ndimage.mean(maps[0], labels, index)
    depth = ndimage.maximum(maps[1], labels, index)
    kept = np.zeros(index.size + 1, bool)
    kept[1:] = (inside >= SURE) & (depth >= DEEP)
    return np.where(kept[labels], labels, 0).astype(np.int32)


def _grown(maps: F32, shape: tuple[int, ...]) -> I32:
    """Return labels at the resolution of the image.

    Where that is finer than the network's frame, outlines follow the foreground in
    between its pixels, and nuclei that touch meet half way between their cores; where
    it is coarser, the labels are thinned out.
    """
    labels = _seeded(maps)
    if shape[0] * shape[1] <= labels.size or not labels.any():
        return _sampled(labels, shape)
    cores = _sampled(np.where(_core(labels), labels, 0), shape)
    inside = transform.resize(maps[0], shape, order=1) > INSIDE
    inside &= _sampled(ndimage.grey_dilation(labels, (3, 3)), shape) > 0
    nearest = ndimage.distance_transform_edt(
        cores == 0, return_distances=False, return_indices=True
    )
    return np.asarray(np.where(inside, cores[tuple(nearest)], 0), np.int32)


def _core(labels: I32) -> npt.NDArray[np.bool_]:
    """Return labels without the two pixels at their outlines; a thin one is kept."""
    edges = segmentation.find_boundaries(labels, mode="inner")
    deep = ndimage.distance_transform_edt(~edges) >= 2
    kept = np.bincount(labels[deep], minlength=int(labels.max()) + 1) > 0
    return np.asarray(deep | ~kept[labels])


def _sampled(labels: I32, shape: tuple[int, ...]) -> I32:
    """Return labels on another grid of the same area, each pixel as its nearest one."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        for new, old in zip(shape, labels.shape, strict=True)
    )
    return np.asarray(labels[rows[:, None], columns[None, :]], np.int32)


def without_debris(labels: I32, smallest_px2: float) -> I32:
    """Return labels without those of a smaller area, numbered from 1."""
    sizes = np.bincount(labels.ravel())
    kept = np.where(sizes[labels] < smallest_px2, 0, labels).astype(np.int32)
    return np.asarray(segmentation.relabel_sequential(kept)[0], np.int32)
