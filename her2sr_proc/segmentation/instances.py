"""Maps of the network -> labels, at the resolution of the image.

Nuclei are seeded where they are deep, do not touch and where ways to a centre lead,
and grow down that landscape until they meet: a watershed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import segmentation, transform
from skimage.morphology import h_maxima

from her2sr_proc.segmentation.frames import DIAMETER_PX, normalised, planes
from her2sr_proc.segmentation.landscape import consistency, landscape
from her2sr_proc.segmentation.network import MAPS, Network

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

INSIDE = 0.5
"""Foreground from this probability."""
SEED_HEIGHT = 0.12
"""A summit of the landscape this high over its saddle is a nucleus of its own."""
SEED_DEPTH = 0.2
"""A nucleus is at least this high somewhere."""
SURE = 0.85
"""Mean foreground of a nucleus, below which the network only suspects one."""
DEEP = 0.5
"""A nucleus is this deep where it is deepest."""
SMALLEST_PX2 = 0.05 * np.pi * (DIAMETER_PX / 2) ** 2
"""Area in the network's frame below which it is debris: a twentieth of a nucleus."""
SCALES = (0.25, 0.5, 1.0, 2.0)
"""Tried where nobody says how large nuclei are."""
AGREES = 0.5
"""Largest logarithm of a measured over the trained diameter, to be believed."""
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
    seen, _ = _seen(level, DIAMETER_PX / diameter_px)
    maps = _mirrored(seen, network)
    labels = segmentation.relabel_sequential(_grown(maps, image.shape))[0]
    return np.asarray(labels, np.int32)


def measured_diameter_px(image: F32, network: Network) -> float:
    """Return the usual diameter of the nuclei in an image, in its pixels.

    At every scale the median diameter of what is found is measured. Of the scales at
    which it agrees with what the network was trained at, the one counts whose maps are
    most consistent with the labels they lead to: clumps seen from afar and texture seen
    from near may be of that size too, but they do not look like nuclei inside. Where
    none agrees, it is the nearest.
    """
    level = normalised(image)
    tried = []
    for scale in SCALES:
        if level.size * scale**2 > MOST_PX or min(level.shape) * scale < SMALLEST_SIDE:
            continue
        seen, exact = _seen(level, scale)
        maps = network.predict(seen)
        labels = _seeded(maps)
        sizes = np.bincount(labels.ravel())[1:]
        if sizes.size:
            found_px = 2 * float(np.sqrt(np.median(sizes) / np.pi))
            apart = abs(np.log(found_px / DIAMETER_PX))
            is_near = bool(apart < AGREES)
            worth = consistency(maps, labels) if is_near else -float(apart)
            tried.append((is_near, worth, found_px / exact))
    return max(tried)[2] if tried else DIAMETER_PX


def _seen(level: F64, scale: float) -> tuple[F32, float]:
    """Return the planes of an image at a scale, and the scale that it truly got."""
    shape = [max(8, round(side * scale)) for side in level.shape]
    seen = transform.resize(level, shape, order=1, anti_aliasing=scale < 1)
    return planes(seen), shape[0] / level.shape[0]


def _mirrored(seen: F32, network: Network) -> F32:
    """Return the mean of the answers to an image and to its three mirror images.

    A way down is a way up in the mirror.
    """
    total = np.zeros((MAPS, *seen.shape[1:]), np.float32)
    for down in (1, -1):
        for right in (1, -1):
            turned = np.ascontiguousarray(seen[:, ::down, ::right])
            found = network.predict(turned)[:, ::down, ::right]
            for way, turn in zip(found[3:], (down, right), strict=True):
                way[:] = 0.5 + turn * (way - 0.5)
            total += found
    return np.asarray(total / 4, np.float32)


def _seeds(maps: F32, ground: F64) -> I32:
    peaks = h_maxima(ground, SEED_HEIGHT).astype(bool)
    peaks &= (ground > SEED_DEPTH) & (maps[0] > INSIDE)
    return np.asarray(ndimage.label(peaks, np.ones((3, 3)))[0], np.int32)


def _seeded(maps: F32) -> I32:
    """Return labels in the network's frame, from 1, without debris."""
    inside = maps[0] > INSIDE
    ground = landscape(maps, inside)
    labels = segmentation.watershed(-ground, _seeds(maps, ground), mask=inside)
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
    """Return labels without those of a smaller area, numbered from 1.

    Int32, shape (height, width); 0 is background.
    """
    sizes = np.bincount(labels.ravel())
    kept = np.where(sizes[labels] < smallest_px2, 0, labels).astype(np.int32)
    return np.asarray(segmentation.relabel_sequential(kept)[0], np.int32)
