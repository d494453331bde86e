"""Whether frames carry the noise that a camera makes of their light.

Light comes in quanta: whatever the camera, pixels vary between frames by the root of
their photons at least. Frames that vary less were not taken so: they were cleaned by a
network, smoothed, averaged or resampled. Knows arrays; neither files nor runs.

Source: the mean-variance relation of photon transfer (Janesick 2007,
doi:10.1117/3.725073), of the steps between two successive frames, in which what stands
still has no part. Departure: only the alternating part of a 2 x 2 square of a step is
taken, in which spots as wide as a microscope makes them, their blinking and the decay
of the light have next to no part, and a camera's noise has a quarter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.noise import NoiseFacts

U16 = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]
SIDE = 16
"""Pixels of a square piece of the frame that is judged by itself; even."""
LEAST_E = 1.0
"""Photo-electrons a pixel below which the noise of light is not to be seen."""
QUIET_PERCENT = 25.0
"""Of the pieces have less: those where bright spots blink least say most."""
LEAST_PIECES = 4
"""That must have light enough, or nothing is said."""


class CameraNoise:
    """Adds up steps between frames. Not thread-safe: who adds owns it."""

    def __init__(self, camera: CameraMaps) -> None:
        self._camera = camera
        height, width = (size // SIDE * SIDE for size in camera.offset_adu.shape)
        self._inside = slice(height), slice(width)
        shape = height // SIDE, width // SIDE
        self._noise: F64 = np.zeros(shape)
        self._light: F64 = np.zeros(shape)
        self._is_full = np.zeros(shape, np.bool_)
        self._pairs = 0

    def add(self, adu: U16) -> None:
        """Add the step between the first two frames of a block; others cost time.

        Parameters
        ----------
        adu : uint16 array, shape (frames, height, width)
            Camera counts of successive frames; one alone adds nothing.
        """
        if len(adu) < 2 or not self._noise.size:
            return
        camera, inside = self._camera, self._inside
        pair = adu[:2][(slice(None), *inside)]
        light = pair.astype(np.float64) - camera.offset_adu[inside]
        light *= camera.e_per_adu[inside]
        step = light[1] - light[0]
        across = step[:, 0::2] - step[:, 1::2]
        odd = across[0::2] - across[1::2]
        # noise of four pixels in two frames, for each square of four pixels
        self._noise += _pieces(np.asarray(odd * odd), SIDE // 2) / 2.0
        self._light += _pieces(np.asarray(0.5 * (light[0] + light[1])), SIDE)
        full: F64 = np.asarray((pair >= camera.saturation_adu).any(axis=0), np.float64)
        self._is_full |= _pieces(full, SIDE) > 0.0
        self._pairs += 1

    def facts(self) -> NoiseFacts:
        """Return the noise there is, over that which the light alone makes."""
        pixels = SIDE * SIDE * max(self._pairs, 1)
        judged = (self._light >= LEAST_E * pixels) & ~self._is_full
        if not self._pairs or np.count_nonzero(judged) < LEAST_PIECES:
            return NoiseFacts(pairs=self._pairs, share=None)
        light = self._light[judged] * self._camera.excess_noise
        share = float(np.percentile(self._noise[judged] / light, QUIET_PERCENT))
        return NoiseFacts(pairs=self._pairs, share=share)


def _pieces(plane: F64, side: int) -> F64:
    """Return the sums over square pieces."""
    height, width = plane.shape
    cut = plane.reshape(height // side, side, width // side, side)
    return np.asarray(cut.sum(axis=(1, 3)))
