"""Examples for training: the split of the real images, augmentation and targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import measure, transform

from her2sr_proc.segmentation.frames import DIAMETER_PX, normalised, planes
from her2sr_proc.segmentation.landscape import depth_of, ways_of
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
    level: F32
    """The image as `frames.normalised` gives it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Images to draw from.

    An image is drawn by the square root of its nuclei: crowded images hold most of
    them and most of the mistakes.
    """

    pictures: list[Picture]
    weights: F64

    def draw(self, rng: np.random.Generator) -> Picture:
        """Return one image."""
        return self.pictures[rng.choice(len(self.pictures), p=self.weights)]


def pool(pictures: list[Picture]) -> Pool:
    """Return images with how often each is drawn."""
    roots = np.sqrt([float(np.unique(p.labels).size) for p in pictures])
    return Pool(pictures, np.asarray(roots / roots.sum(), np.float64))


def picture(name: str, image: F64, labels: I32) -> Picture:
    """Return an image with what is derived from it and from its labels."""
    level = normalised(image).astype(np.float32)
    return Picture(name, image, labels, diameter_px(labels), level)


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
            found.append(picture(name, image, labels))
    return found


def simulated(seed: int, count: int) -> list[Picture]:
    """Return simulated sections; those without nuclei are left out."""
    found = []
    for number in range(count):
        image, labels = scene(np.random.default_rng([seed, number]))
        if labels.any():
            name = f"scene_{seed}_{number}"
            found.append(picture(name, image, labels))
    return found


def diameter_px(labels: I32) -> float:
    """Return the diameter of a disc with the median area of the labels."""
    sizes = np.bincount(labels.ravel())[1:]
    return float(2 * np.sqrt(np.median(sizes[sizes > 0]) / np.pi))


def example(picture: Picture, rng: np.random.Generator) -> tuple[F32, F32]:
    """Return one augmented crop: input (2, CROP, CROP) and targets (5, CROP, CROP)."""
    image, labels = _cropped(picture, rng)
    if not labels.any():  # mostly: an empty crop teaches little
        image, labels = _cropped(picture, rng)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    if rng.random() < 0.4:
        image = _relit(image, labels, rng)
    return _shaken(image, rng), targets(np.ascontiguousarray(labels))


def targets(labels: I32) -> F32:
    """Return foreground, depth from 0 to 1 inside each nucleus, contact, and two ways.

    Depth is the distance to the outline over its largest value in that nucleus.
    Contact is where two nuclei are within two pixels of each other. The ways lead down
    and right to the centre of mass.
    """
    high = ndimage.maximum_filter(labels, 3)
    big = np.int32(2**30)
    low = ndimage.minimum_filter(np.where(labels > 0, labels, big), 3)
    contact = (high > 0) & (low < high)
    maps = [labels > 0, depth_of(labels), contact, *ways_of(labels)]
    return np.stack(maps).astype(np.float32)


def _cropped(picture: Picture, rng: np.random.Generator) -> tuple[F64, I32]:
    """Return a crop at a random scale near the one that is used later."""
    spread = rng.uniform(-0.8, 0.7) if rng.random() < 0.25 else rng.normal(0, 0.22)
    scale = DIAMETER_PX * np.exp(spread) / picture.diameter_px
    scale = float(np.clip(scale, 0.15, 6.0))
    wanted = max(1, round(CROP_PX / scale))
    height, width = picture.labels.shape
    top = int(rng.integers(0, max(1, height - wanted + 1)))
    left = int(rng.integers(0, max(1, width - wanted + 1)))
    box = slice(top, top + wanted), slice(left, left + wanted)
    image, labels = picture.level[box], picture.labels[box]
    shape = [max(1, min(CROP_PX, round(side * scale))) for side in labels.shape]
    image = transform.resize(image, shape, order=1, anti_aliasing=scale < 1)
    labels = transform.resize(
        labels, shape, order=0, preserve_range=True, anti_aliasing=False
    )
    margins = [(0, CROP_PX - side) for side in shape]
    image = np.pad(image, margins, mode="symmetric")
    labels = np.pad(labels, margins, mode="symmetric").astype(np.int32)
    if shape != [CROP_PX, CROP_PX]:  # a mirrored nucleus is another nucleus
        labels = np.asarray(measure.label(labels), np.int32)
    return np.asarray(image, np.float64), labels


def _relit(image: F64, labels: I32, rng: np.random.Generator) -> F64:
    """Return the image with every nucleus brighter or fainter than it was."""
    dark = np.percentile(image, 5)
    gain = rng.lognormal(0, rng.uniform(0.1, 0.6), int(labels.max()) + 1)
    gain[0] = 1.0
    smooth = ndimage.gaussian_filter(gain[labels], 1.0)
    return np.asarray(dark + (image - dark) * smooth, np.float64)


def _shaken(image: F64, rng: np.random.Generator) -> F32:
    """Return the two input planes of an image with other light, blur and noise."""
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.5))
    image = np.clip(image, 0, None) ** np.exp(rng.normal(0, 0.35))
    image = image * np.exp(rng.normal(0, 0.2)) + rng.normal(0, 0.04)
    if rng.random() < 0.3:
        rows, columns = np.mgrid[:CROP_PX, :CROP_PX] / CROP_PX - 0.5
        slope = rng.normal(0, 0.15, 2)
        image = image + slope[0] * rows + slope[1] * columns
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(0, 0.06), image.shape)
    return planes(image)
