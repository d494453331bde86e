"""Examples for training: the split of the real images, augmentation and targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import segmentation, transform

from her2sr_proc.segmentation.frames import DIAMETER_PX, normalised, planes
from training.nuclei.scenes import scene

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

SPLIT_SEED = 2018
CROP_PX = 192
PARTS = (0.7, 0.1)
"""Shares of training and validation; what is left is held out."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, its labels, and what size its nuclei are."""

    name: str
    image: F64
    labels: I32
    diameter_px: float


@dataclass(frozen=True, slots=True)
class Split:
    """Names of the real images by what they may be used for."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]


def split_of(path: Path) -> Split:
    """Return the fixed split of the real images, every size of image in each part."""
    by_size: dict[tuple[int, ...], list[str]] = {}
    with np.load(path) as archive:
        for name in sorted(archive.files):
            if name.startswith("img_"):
                by_size.setdefault(archive[name].shape, []).append(name[4:])
    rng = np.random.default_rng(SPLIT_SEED)
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for size in sorted(by_size):
        names = rng.permutation(by_size[size]).tolist()
        first = round(PARTS[0] * len(names))
        second = round(sum(PARTS) * len(names))
        for part, chosen in zip(
            parts, (names[:first], names[first:second], names[second:]), strict=True
        ):
            part += chosen
    training, validation, held_out = (tuple(sorted(part)) for part in parts)
    return Split(training, validation, held_out)


def read(path: Path, names: tuple[str, ...]) -> list[Picture]:
    """Return real images by name."""
    found = []
    with np.load(path) as archive:
        for name in names:
            labels = archive[f"lab_{name}"].astype(np.int32)
            image = archive[f"img_{name}"].astype(np.float64)
            found.append(Picture(name, image, labels, diameter_px(labels)))
    return found


def simulated(seed: int, count: int) -> list[Picture]:
    """Return simulated sections; those without nuclei are left out."""
    found = []
    for number in range(count):
        image, labels = scene(np.random.default_rng([seed, number]))
        if labels.any():
            name = f"scene_{seed}_{number}"
            found.append(Picture(name, image, labels, diameter_px(labels)))
    return found


def diameter_px(labels: I32) -> float:
    """Return the diameter of a disc with the median area of the labels."""
    sizes = np.bincount(labels.ravel())[1:]
    return float(2 * np.sqrt(np.median(sizes[sizes > 0]) / np.pi))


def example(picture: Picture, rng: np.random.Generator) -> tuple[F32, F32]:
    """Return one augmented crop: input (2, CROP, CROP) and targets (3, CROP, CROP)."""
    image, labels = _cropped(picture, rng)
    if not labels.any():  # mostly: an empty crop teaches little
        image, labels = _cropped(picture, rng)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return _shaken(image, rng), targets(np.ascontiguousarray(labels))


def targets(labels: I32) -> F32:
    """Return foreground, depth from 0 to 1 inside each nucleus, and contact.

    Depth is the distance to the outline over its largest value in that nucleus.
    Contact is where two nuclei are within two pixels of each other.
    """
    inner = segmentation.find_boundaries(labels, mode="inner", background=-1)
    distance = ndimage.distance_transform_edt((labels > 0) & ~inner) + 0.5
    distance = np.where(labels > 0, distance, 0.0)
    number = int(labels.max())
    most = np.ones(number + 1)
    if number:
        most[1:] = ndimage.maximum(distance, labels, np.arange(1, number + 1))
    depth = distance / np.maximum(most[labels], 0.5)
    high = ndimage.maximum_filter(labels, 3)
    big = np.int32(2**30)
    low = ndimage.minimum_filter(np.where(labels > 0, labels, big), 3)
    contact = (high > 0) & (low < high)
    return np.stack([labels > 0, depth, contact]).astype(np.float32)


def _cropped(picture: Picture, rng: np.random.Generator) -> tuple[F64, I32]:
    """Return a crop at a random scale near the one that is used later."""
    spread = rng.uniform(-0.8, 0.7) if rng.random() < 0.15 else rng.normal(0, 0.22)
    scale = DIAMETER_PX * np.exp(spread) / picture.diameter_px
    scale = float(np.clip(scale, 0.15, 6.0))
    wanted = max(1, round(CROP_PX / scale))
    height, width = picture.labels.shape
    top = int(rng.integers(0, max(1, height - wanted + 1)))
    left = int(rng.integers(0, max(1, width - wanted + 1)))
    box = slice(top, top + wanted), slice(left, left + wanted)
    image, labels = normalised(picture.image)[box], picture.labels[box]
    shape = [max(1, min(CROP_PX, round(side * scale))) for side in labels.shape]
    image = transform.resize(image, shape, order=1, anti_aliasing=scale < 1)
    labels = transform.resize(
        labels, shape, order=0, preserve_range=True, anti_aliasing=False
    )
    margins = [(0, CROP_PX - side) for side in shape]
    image = np.pad(image, margins, mode="symmetric")
    labels = np.pad(labels, margins, mode="symmetric")
    return np.asarray(image, np.float64), labels.astype(np.int32)


def _shaken(image: F64, rng: np.random.Generator) -> F32:
    """Return the two input planes of an image with other light, blur and noise."""
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.5))
    image = np.clip(image, 0, None) ** np.exp(rng.normal(0, 0.25))
    image = image * np.exp(rng.normal(0, 0.2)) + rng.normal(0, 0.04)
    if rng.random() < 0.3:
        rows, columns = np.mgrid[:CROP_PX, :CROP_PX] / CROP_PX - 0.5
        slope = rng.normal(0, 0.15, 2)
        image = image + slope[0] * rows + slope[1] * columns
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(0, 0.06), image.shape)
    return planes(image)
