"""Where nuclei are deep: what labels teach the network, and what its maps lead to.

Depth says how far the outline is, the ways where the centre is. Each pixel votes for
the place that its way leads to; nuclei that touch are one in the depth where the
network is unsure of their contact, but their votes gather at two places.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import segmentation

from her2sr_proc.segmentation.frames import REACH_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

SMOOTH_PX = 1.5
VOTES = 0.1
"""Of the root of the votes beside the depth."""


def landscape(maps: F32, inside: npt.NDArray[np.bool_]) -> F64:
    """Return what has one summit in each nucleus.

    Parameters
    ----------
    maps : float32 array, shape (5, height, width)
        Of `Network.predict`.
    inside : bool array, shape (height, width)
        Pixels that vote.
    """
    depth = maps[1].astype(np.float64) * (1.0 - maps[2])
    gathered = np.sqrt(ndimage.gaussian_filter(votes(maps, inside), SMOOTH_PX))
    return np.asarray(ndimage.gaussian_filter(depth, SMOOTH_PX) + VOTES * gathered)


def votes(maps: F32, inside: npt.NDArray[np.bool_]) -> F64:
    """Return how many ways of the pixels inside lead to each pixel.

    ``maps``: float32, shape (5, height, width), the last two the ways down and right;
    ``inside``: bool, shape (height, width), as is what is returned.
    """
    height, width = inside.shape
    places = np.argwhere(inside)
    ways = (2.0 * maps[3:, inside].T - 1.0) * REACH_PX
    ends = np.clip(np.rint(places + ways).astype(np.intp), 0, (height - 1, width - 1))
    counts = np.bincount(ends[:, 0] * width + ends[:, 1], minlength=height * width)
    return counts.reshape(height, width).astype(np.float64)


def depth_of(labels: I32) -> F64:
    """Return the distance to the outline over its largest value in that nucleus.

    ``labels``: int32, shape (height, width), as is what is returned, from 0
    (outside) to 1.
    """
    inner = segmentation.find_boundaries(labels, mode="inner", background=-1)
    distance = ndimage.distance_transform_edt((labels > 0) & ~inner) + 0.5
    distance = np.where(labels > 0, distance, 0.0)
    number = int(labels.max())
    most = np.ones(number + 1)
    if number:
        most[1:] = ndimage.maximum(distance, labels, np.arange(1, number + 1))
    return np.asarray(distance / np.maximum(most[labels], 0.5), np.float64)


def ways_of(labels: I32) -> F64:
    """Return the ways down and right to the centre of mass of each nucleus.

    Shape (2, height, width): 0.5 is there and outside, 0 and 1 are `REACH_PX` off.
    """
    number = int(labels.max())
    if not number:
        return np.full((2, *labels.shape), 0.5)
    flat = labels.ravel()
    pixels = np.maximum(np.bincount(flat), 1)
    places = np.mgrid[: labels.shape[0], : labels.shape[1]]
    centres = [np.bincount(flat, along.ravel()) / pixels for along in places]
    off = np.stack([centre[labels] for centre in centres]) - places
    ways = np.where(labels > 0, 0.5 + 0.5 * off / REACH_PX, 0.5)
    return np.asarray(np.clip(ways, 0.0, 1.0), np.float64)


def consistency(maps: F32, labels: I32) -> float:
    """Return from 0 to 1 how well depths agree with those of the labels they led to.

    At a size of nuclei that the network does not know, they do not.

    ``maps``: float32, shape (5, height, width), the second the depths; ``labels``:
    int32, shape (height, width). Without a nucleus 0.
    """
    inside = labels > 0
    if not inside.any():
        return 0.0
    return 1.0 - float(np.abs(depth_of(labels) - maps[1])[inside].mean())
