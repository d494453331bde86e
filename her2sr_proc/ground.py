"""The steady ground of a unit: what glows in every frame, so that blinks stand on none.

Autofluorescence, haze and hot pixels are the same in all frames; a blink is not. Known
once, the ground goes into the camera's maps, its light as offset and its shot noise as
variance, and a localizer that treats every frame alone finds blinks on flat ground.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import norm

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.camera import CameraMaps

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SAMPLES = 240
"""Frames that are looked at, spread over the burst."""
LOW = 0.15
"""Quantile over frames: a place that is dark for a fifth of them shows its ground."""
CUT = 1.0
"""Deviations above the ground from which a frame is left out: it may hold a blink."""
HOT = 8.0
"""Deviations by which a hot pixel stands out of its surroundings."""
BESIDE = 3.5
"""Widths of a spot from its middle to where its light is gone."""
STANDS_OUT = 0.1
"""Of the ground that a spot in it must have at least: chromatin's texture has less."""
CLEAR = 5.0
"""Deviations by which light of a spot's size is no ground but a dye always lit."""
NARROW = 0.2
"""Of a hot pixel's height that its neighbours show at most."""
PEDESTAL_E = 30.0
"""Photo-electrons a pixel that are left in the frames: what an even ground shows."""


class SteadyGround:
    """Gathers frames of a burst, block by block. Not thread-safe."""

    def __init__(self, camera: CameraMaps, *, frames: int, sigma_px: float) -> None:
        self._camera, self._sigma_px = camera, sigma_px
        self._wanted = set(np.linspace(0, frames - 1, SAMPLES).astype(int).tolist())
        self._kept: list[U16] = []

    def add(self, adu: U16, *, first_frame: int) -> None:
        """Look at a block, uint16 counts of shape (frames, height, width)."""
        if adu.shape[1:] != self._camera.offset_adu.shape:
            raise RequestError(
                f"frames are {adu.shape[1:]}, the camera's maps "
                f"{self._camera.offset_adu.shape}; use maps of that part of the chip"
            )
        wanted = (n for n in range(len(adu)) if first_frame + n in self._wanted)
        self._kept.extend(adu[n].copy() for n in wanted)

    def image(self) -> F32:
        """Return the ground, photo-electrons a pixel, shape (height, width).

        Raises `RequestError` before any frame was added.
        """
        if not self._kept:
            raise RequestError("no frame was looked at yet; add the burst's blocks")
        camera = self._camera
        frames = np.stack(self._kept)
        counts = np.quantile(frames, LOW, axis=0)
        low = (counts - camera.offset_adu) * camera.e_per_adu
        # mean and quantile of noise differ by so many of its own deviations
        mean, noise = low, self._noise(low)
        for _ in range(3):
            mean = np.maximum(low - float(norm.ppf(LOW)) * noise, 0.0)
            noise = self._noise(mean)
        light = (frames - camera.offset_adu) * camera.e_per_adu
        for _ in range(2):
            mean = _below(light, mean, noise)
            noise = self._noise(mean)
        doubt = noise / np.sqrt(len(frames))
        return without_spots(mean, doubt, self._sigma_px).astype(np.float32)

    def _noise(self, mean: F64) -> F64:
        light = self._camera.excess_noise * np.maximum(mean, 0.0)
        return np.asarray(np.sqrt(light + self._camera.variance_e2))


def _below(light: F32, mean: F64, noise: F64) -> F64:
    """Return the mean of what lies no higher than noise, corrected for what is cut."""
    kept = light < mean + CUT * noise
    total = np.where(kept, light, 0.0).sum(axis=0) / np.maximum(kept.sum(axis=0), 1)
    cut = float(norm.pdf(CUT) / norm.cdf(CUT))
    return np.asarray(np.maximum(total + cut * noise, 0.0), np.float64)


def without_spots(ground: F64, noise: F64, sigma_px: float) -> F64:
    """Return the ground with what has a spot's size levelled; hot pixels stay."""
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4.0
    above = ground - ndimage.median_filter(ground, size=5)
    beside = ndimage.convolve(above, cross, mode="nearest")
    is_hot = (above > HOT * noise) & (beside < NARROW * above)
    smooth = _levelled(ground, is_hot, sigma_px)
    is_spot = np.zeros(ground.shape, np.bool_)
    for _ in range(2):
        level = _levelled(smooth, is_spot, sigma_px)
        peak = _summit(ndimage.gaussian_filter(level, sigma_px), sigma_px)
        spread = 1.4826 * float(np.median(np.abs(peak - np.median(peak))))
        seed = peak > np.maximum(CLEAR * spread, STANDS_OUT * smooth)
        is_spot |= ndimage.binary_dilation(seed, iterations=int(np.ceil(sigma_px)))
    return np.where(is_hot, ground, _levelled(smooth, is_spot, sigma_px))


def _summit(image: F64, sigma_px: float) -> F64:
    """Return how far a pixel lies above its surroundings, whichever way one looks.

    The rim of a nucleus is high across, but not along.
    """
    step = max(2, round(BESIDE * sigma_px))
    padded = np.pad(image, step, mode="edge")
    height, width = image.shape

    def moved(dy: int, dx: int) -> F64:
        y, x = step + dy, step + dx
        return padded[y : y + height, x : x + width]

    ways = ((0, step), (step, 0), (step, step), (step, -step))
    falls = [image - (moved(y, x) + moved(-y, -x)) / 2.0 for y, x in ways]
    return np.asarray(np.min(falls, axis=0))


def _levelled(ground: F64, mask: Mask, sigma_px: float) -> F64:
    """Return the ground with masked pixels as their surroundings are."""
    clear = (~mask).astype(np.float64)
    reach = 2.5 * sigma_px
    total = ndimage.gaussian_filter(ground * clear, reach)
    weight = ndimage.gaussian_filter(clear, reach)
    return np.where(mask & (weight > 1e-6), total / np.maximum(weight, 1e-6), ground)


def with_ground(camera: CameraMaps, ground: F32) -> CameraMaps:
    """Return camera maps in which the ground is offset and its shot noise variance."""
    if ground.shape != camera.offset_adu.shape:
        raise RequestError(
            f"the ground is {ground.shape}, the camera's maps "
            f"{camera.offset_adu.shape}; make it of the same frames"
        )
    known = np.maximum(ground - PEDESTAL_E, 0.0)
    offset = camera.offset_adu + known / camera.e_per_adu
    variance = camera.variance_e2 + camera.excess_noise * known
    return replace(
        camera,
        offset_adu=offset.astype(np.float32),
        variance_e2=variance.astype(np.float32),
    )


def ground_of(
    blocks: Iterable[tuple[int, U16]],
    camera: CameraMaps,
    *,
    frames: int,
    sigma_px: float,
) -> F32:
    """Return the steady ground of a burst given as first frames and blocks."""
    found = SteadyGround(camera, frames=frames, sigma_px=sigma_px)
    for first_frame, adu in blocks:
        found.add(adu, first_frame=first_frame)
    return found.image()
