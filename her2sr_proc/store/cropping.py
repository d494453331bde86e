"""Raw frames of which only the pixels around nuclei are kept; the rest is one picture.

What lies outside the boxes is zero in the array, and read as the mean of the burst.
Besides the boxes a few thousand single pixels stay, those by which the localizer judges
the noise of a frame (`her2sr_proc.kernels.matched.noise_excess`): with them a frame
gives the same spots inside the boxes as the whole one did.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.ledger import Box, CropRecord
from her2sr_proc.store.images import read_tiff, write_tiff

U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

GUARD_PX = 16
"""Spots nearer to the rim of a box than this may be other than in the whole frame."""
SAMPLES = 4096
"""Places by which the noise of a frame is judged; as the kernel has it."""


def boxes_of(labels: I32, margin_px: int) -> tuple[Box, ...]:
    """Return a box for every nucleus with so many pixels around it, in their order.

    ``labels``: int32, shape (height, width); from 1, 0 is background.
    """
    height, width = labels.shape
    found = []
    for label in np.unique(labels[labels > 0]):
        rows = np.flatnonzero((labels == label).any(axis=1))
        columns = np.flatnonzero((labels == label).any(axis=0))
        found.append(
            Box(
                top=max(0, int(rows[0]) - margin_px),
                left=max(0, int(columns[0]) - margin_px),
                bottom=min(height, int(rows[-1]) + 1 + margin_px),
                right=min(width, int(columns[-1]) + 1 + margin_px),
            )
        )
    return tuple(found)


def inside(boxes: tuple[Box, ...], shape: tuple[int, int], *, guard_px: int) -> Mask:
    """Return the pixels of the boxes that are so far from what is not kept.

    The rim of the frame is no rim: nothing lies beyond it in a whole frame either.
    """
    height, width = shape
    mask = np.zeros(shape, np.bool_)
    for box in boxes:
        top = box.top + guard_px if box.top > 0 else 0
        left = box.left + guard_px if box.left > 0 else 0
        bottom = box.bottom - guard_px if box.bottom < height else height
        right = box.right - guard_px if box.right < width else width
        mask[top : max(top, bottom), left : max(left, right)] = True
    return mask


def kept_pixels(boxes: tuple[Box, ...], shape: tuple[int, int]) -> Mask:
    """Return every pixel that stays: boxes, and the places that tell of the noise."""
    return inside(boxes, shape, guard_px=0) | noise_pixels(shape)


def noise_pixels(shape: tuple[int, int]) -> Mask:
    """Return the pixels that the localizer's measure of noise looks at."""
    height, width = shape
    mask = np.zeros(shape, np.bool_)
    stride = max(1, int(math.sqrt(height * width / SAMPLES)))
    for i in range(0, height, stride):
        middles = np.arange(2 + i // stride % stride, width - 2, stride)
        for k in range(-2, 3):
            mask[i, middles + k] = True
    return mask


def mean_picture(blocks: Iterator[U16]) -> U16:
    """Return the mean of all frames, in camera counts.

    ``blocks``: uint16, each of shape (frames, height, width). Rounded; shape (height,
    width). Of no block there is no picture: give one at least.
    """
    total, count = 0.0, 0
    for adu in blocks:
        total = total + adu.sum(axis=0, dtype=np.float64)
        count += len(adu)
    return np.rint(np.asarray(total) / max(count, 1)).astype(np.uint16)


def write_fill(path: Path, picture: U16, *, pixel_nm: float) -> str:
    """Write what stands for the pixels that go; return its SHA-256.

    ``picture``: uint16, shape (height, width), camera counts. Raises `OSError`.
    """
    write_tiff(path, picture, pixel_nm=pixel_nm)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_fill(path: Path, said: CropRecord) -> U16:
    """Return what stands for the pixels that went. Raises `IntegrityError`."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise IntegrityError(
            f"{path.name} cannot be read: {exc.strerror}; restore it from a copy"
        ) from exc
    if digest != said.fill_sha256:
        raise IntegrityError(
            f"{path.name} does not match its checksum; restore it from a copy",
            path=str(path),
        )
    return np.asarray(read_tiff(path), np.uint16)


def whole(adu: U16, mask: Mask, fill: U16) -> U16:
    """Return kept frames with the picture where no pixel was kept.

    ``adu``: uint16, shape (frames, height, width); ``mask`` (True: kept) and ``fill``:
    shape (height, width).
    """
    return np.where(mask, adu, fill)
