"""Fluorescence images as pictures that a page can hold. Arrays in, text out."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

PROBE_RGB: dict[str, tuple[float, float, float]] = {
    "HER2": (1.0, 0.25, 0.25),
    "CEP17": (0.25, 1.0, 0.35),
    "DAPI": (0.22, 0.32, 0.85),
}
OTHER_RGB = (0.8, 0.8, 0.8)
GAMMA = 0.6
"""Faint signals beside bright ones stay visible; said under the pictures."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The levels of an image that become black and full colour."""

    black: float
    white: float

    def apply(self, image: F32) -> F32:
        """Return the image from 0 to 1."""
        span = max(self.white - self.black, 1e-6)
        scaled = np.clip((image - self.black) / span, 0.0, 1.0)
        return np.asarray(scaled**GAMMA, np.float32)


LEVELS: dict[str, tuple[float, float]] = {"DAPI": (30.0, 99.9)}
SIGNAL_LEVELS = (85.0, 99.9)
"""Percentiles of black and white: of signals, not of the glow that they stand on."""


def stretch(probe: str, image: npt.NDArray[np.float32]) -> Stretch:
    """Return levels from percentiles of an image, or of a sample of its pixels.

    ``image``: float32, shape (height, width), any unit.
    """
    low, high = np.percentile(image, LEVELS.get(probe, SIGNAL_LEVELS))
    return Stretch(float(low), float(high))


def stretch_sparse(image: F32, white: float = 80.0) -> Stretch:
    """Return levels for an image that is empty nearly everywhere.

    ``image``: float32, shape (height, width), any unit.
    """
    lit = image[image > 0]
    return Stretch(0.0, float(np.percentile(lit, white)) if lit.size else 1.0)


def composite(
    layers: list[tuple[str, F32, Stretch]],
    size: int,
    colours: Mapping[str, tuple[float, float, float]] = PROBE_RGB,
) -> U8:
    """Return probes laid over each other in their colours.

    Parameters
    ----------
    layers : list of (probe, image, stretch)
        Images of one field; their pixel sizes may differ.
    size : int
        Height of the picture in pixels.
    colours : mapping
        Probe -> red, green and blue, 0 to 1.

    Returns
    -------
    uint8 array, shape (size, width, 3)
    """
    height, width = layers[0][1].shape
    shape = (size, max(1, round(size * width / height)))
    total = np.zeros((*shape, 3), np.float32)
    for probe, image, levels in layers:
        colour = np.array(colours.get(probe, OTHER_RGB), np.float32)
        total += resized(levels.apply(image), shape)[..., None] * colour
    return np.asarray(np.clip(total, 0, 1) * 255, np.uint8)


def resized(image: F32, shape: tuple[int, int]) -> F32:
    """Return the image at another size: area means down, smooth up.

    Float32, shape (height, width) in and out; the total changes with the area.
    """
    picture = Image.fromarray(np.asarray(image, np.float32))
    shrinks = shape[0] < image.shape[0]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((shape[1], shape[0]), method), np.float32)


def data_uri(picture: U8, quality: int = 88) -> str:
    """Return a JPEG as text that stands in a page by itself.

    ``picture``: uint8, shape (height, width) or (height, width, 3).
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
