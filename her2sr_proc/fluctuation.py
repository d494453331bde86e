"""Where molecules switch on and off: the variance between frames that light has not.

What glows steadily, however brightly, has none: autofluorescence, loose probe out of
focus, the slow decay. A probe does, also where it lies so far out of focus that no
single frame shows a spot; and its image is the square of the microscope's, so narrower.

Source: second-order fluctuation imaging, Dertinger et al. 2009,
doi:10.1073/pnas.0907866106; here from the squared steps between successive frames,
less their trend, so that decay is no fluctuation, and less the camera's own noise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.kernels import fluctuate
from her2sr_proc.schema.camera import CameraMaps

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
TREND_STEPS = 12
"""Steps over which the decay is taken as a straight line."""
REACH = 3.0
"""Standard deviations of the smoothing's taps."""


class Fluctuations:
    """Adds up a movie block by block. Not thread-safe: who adds owns it."""

    def __init__(self, camera: CameraMaps, smooth_px: float) -> None:
        """``smooth_px``: width of the Gaussian that each frame is seen through."""
        self._camera = camera
        self._taps = _taps(smooth_px)
        shape = camera.offset_adu.shape
        self._first: F32 = np.zeros(shape, np.float32)
        self._previous: F32 = np.zeros(shape, np.float32)
        self._steps: F64 = np.zeros(shape)
        self._total: F64 = np.zeros(shape)
        self._frames = 0
        self._weight = 0.0
        """Steps, less those that taking off the trend costs."""
        self._done = -1
        self._next_frame = -1

    def add(self, adu: U16, *, first_frame: int) -> None:
        """Add a block; across a gap before it no step is counted.

        Parameters
        ----------
        adu : uint16 array, shape (frames, height, width)
            Camera counts, in order.
        first_frame : int
            Index in the burst of ``adu[0]``.
        """
        if first_frame != self._next_frame:
            self._end_window()
        before = self._done
        self._done = fluctuate.add_steps(
            np.ascontiguousarray(adu),
            self._camera.offset_adu,
            self._camera.e_per_adu,
            self._taps,
            before,
            TREND_STEPS,
            self._first,
            self._previous,
            self._steps,
            self._total,
        )
        windows = (before + len(adu)) // TREND_STEPS
        self._weight += windows * _weight(TREND_STEPS)
        self._frames += len(adu)
        self._next_frame = first_frame + len(adu)

    def _end_window(self) -> None:
        """Finish a window that stops early, as at a gap."""
        if self._done > 1:
            fluctuate.take_trend(self._first, self._previous, self._done, self._steps)
            self._weight += _weight(self._done)
        elif self._done == 1:  # one step is all trend
            fluctuate.take_trend(self._first, self._previous, 1, self._steps)
        self._done = -1

    def image(self) -> F32 | None:
        """Return the excess variance of a frame, in photo-electrons squared.

        Zero on average where nothing switches, so about half of it is negative there.
        None before three successive frames were added. Shape (height, width).
        """
        self._end_window()
        self._next_frame = -1
        if self._weight == 0.0:
            return None
        variance = self._steps / (2.0 * self._weight)
        light = np.maximum(self._total / self._frames, 0.0) + self._camera.variance_e2
        down, across = (_squared_weights(self._taps, size) for size in light.shape)
        noise = down @ light @ across.T
        # a gain that is off by some percent shows as a factor on every quiet pixel
        factor = float(np.median(variance / np.maximum(noise, 1e-9)))
        return np.asarray(variance - factor * noise, np.float32)


def _squared_weights(taps: F32, size: int) -> F64:
    """Return how the variance of pixels adds up along an axis, shape (size, size).

    Not a convolution: at the edge one pixel is repeated, and its noise with it.
    """
    weights = ndimage.convolve1d(
        np.eye(size), taps.astype(np.float64), axis=0, mode="nearest"
    )
    return np.asarray(weights**2, np.float64)


def _weight(steps: int) -> float:
    """Return how many steps' worth of variance a window keeps without its trend."""
    return steps - 1.0 / steps


def _taps(smooth_px: float) -> F32:
    radius = max(1, math.ceil(REACH * smooth_px))
    x = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (x / smooth_px) ** 2)
    return np.asarray(taps / taps.sum(), np.float32)
