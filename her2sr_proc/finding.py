"""Where spots may stand in a frame: two detectors, of which a profile names one.

Knows arrays and parameters, and keeps the planes that it works in; neither fits nor
tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Self

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import RequestError
from her2sr_proc.expression import Expression, parse
from her2sr_proc.kernels import detect, matched, wavelet
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

PLANES = frozenset(
    f"{of}{name}" for of in ("", "Wave.") for name in ("I", "F", "F1", "F2")
)
"""What a threshold's formula may speak of: the frame in photo-electrons, the spots'
plane V1 - V2, and the frame less its first and second smoothing, as in ThunderSTORM."""
SAMPLE_PIXELS = 2**17
"""Pixels from which the noise of a frame is known to 0.2 %: all of a small frame."""
MOST_PER_PIXEL = 1 / 16
"""Spots of a frame, at most: more of them cannot be told apart."""


EARLY = 0.8
"""Deviations below the final threshold from which a spot is looked at: a square that
holds a part of the spot makes the filter's statistic less than the fit's."""
BETWEEN = 1.0
"""Deviations that a spot between pixels loses at the nearest one."""


class Finder(ABC):
    """Finds spots in frames of one size; used by one thread at a time.

    Keeps maps, which are only read, and planes to work in.
    """

    noise_scale: float
    """Measured over predicted noise of the frame looked at last, at least 1."""

    @abstractmethod
    def find(self, adu: U16) -> tuple[I32, I32]:
        """Return rows and columns of the spots, in about the order of rows."""

    @abstractmethod
    def take_planes(self) -> None:
        """Work in planes of its own from now on."""

    def twin(self) -> Self:
        """Return one for another thread: the same maps, planes of its own."""
        other = copy(self)
        other.take_planes()
        return other


class MatchedFinder(Finder):
    """The spot's own shape, at a set rate of false spots."""

    def __init__(self, camera: CameraMaps, params: LocalizeParams) -> None:
        height, width = camera.offset_adu.shape
        self._cell = matched.cell_px(params.sigma_px)
        taps = matched.shape_taps(params.sigma_px)
        self._taps = taps.astype(np.float32)
        self._gain = matched.noise_gain(taps) * camera.excess_noise
        z = threshold(params)
        self._least = z - EARLY
        self._z = z - EARLY - BETWEEN
        offset, e_per_adu = shortest(camera.offset_adu), shortest(camera.e_per_adu)
        is_finite = np.isfinite(offset) & np.isfinite(e_per_adu)
        self._offset = shortest(np.where(is_finite, offset, 0))
        self._e_per_adu = shortest(np.where(is_finite, e_per_adu, 0))
        variance = shortest(camera.variance_e2)
        self._variance = shortest(np.where(np.isfinite(variance), variance, 0))
        dark = matched.dark_noise(self._variance.astype(np.float64), taps, self._cell)
        self._dark = shortest(self._z**2 * dark)
        self._excess = camera.excess_noise
        self._border = params.border_px // self._cell
        self._most = most_spots(height, width)
        self._limits = np.array([[width - 1], [height - 1]], np.int32)
        self.take_planes()

    def take_planes(self) -> None:
        """Work in planes of its own from now on."""
        self._found = np.empty((self._most, matched.FOUND))
        self.noise_scale = 1.0

    def find(self, adu: U16) -> tuple[I32, I32]:
        """Return rows and columns of the spots."""
        self.noise_scale = matched.noise_excess(
            adu, self._offset, self._e_per_adu, self._variance, self._excess
        )
        count = matched.find(
            adu,
            self._offset,
            self._e_per_adu,
            self._dark,
            self._taps,
            self._cell,
            self._gain,
            self._z,
            self.noise_scale,
            self._border,
            self._found,
        )
        found = self._found[:count]
        places = np.rint(found[found[:, 2] > self._least, :2]).astype(np.int32)
        columns, rows = np.clip(places.T, 0, self._limits, order="C")
        return rows, columns


class WaveletFinder(Finder):
    """Maxima of the second wavelet plane, above two thresholds."""

    def __init__(self, camera: CameraMaps, params: LocalizeParams) -> None:
        height, width = camera.offset_adu.shape
        self._params = params
        self._formula = None if params.threshold is None else formula(params.threshold)
        is_sampled = self._formula is None
        self._step = max(1, height * width // SAMPLE_PIXELS) if is_sampled else 1
        sampled = slice(self._step // 2, None, self._step)
        self._all_variance = camera.variance_e2
        self._variance = np.ascontiguousarray(camera.variance_e2[sampled])
        self._offset = shortest(camera.offset_adu)
        self._e_per_adu = shortest(camera.e_per_adu)
        self._taps = wavelet.spline_taps(params.wavelet_order, params.wavelet_scale)
        self._fine_sd, self._band_sd = wavelet.noise_response(self._taps)
        self._shape = camera.offset_adu.shape
        self.take_planes()

    def take_planes(self) -> None:
        """Work in planes of its own from now on."""
        height, width = shape = self._shape
        self._level = np.empty(shape, np.float32)
        self._band = np.empty(shape, np.float32)
        rows = wavelet.sampled_rows(height, self._step)
        self._fine = np.empty((rows, width), np.float32)
        self._visited = np.empty(shape, np.uint8)
        self._stack = np.empty(height * width, np.int32)
        most = ((height + 1) // 2) * ((width + 1) // 2)
        self._maxima = np.empty((2, most), np.int32)
        self.noise_scale = 1.0

    def find(self, adu: U16) -> tuple[I32, I32]:
        """Return rows and columns of the maxima."""
        params = self._params
        wavelet.split(
            adu,
            self._offset,
            self._e_per_adu,
            self._taps,
            self._step,
            self._level,
            self._band,
            self._fine,
        )
        level = np.ascontiguousarray(self._level[self._step // 2 :: self._step])
        sample = (self._fine, level, self._variance)
        measured = detect.noise_ratio(*sample, self._fine_sd)
        noise = measured * self._fine_sd
        clip = params.clip_deviations * noise if params.clip_deviations else np.inf
        spread = detect.clipped_deviation(*sample, clip)
        count = detect.find_maxima(
            self._band,
            self._level,
            self._all_variance,
            self._threshold(spread),
            params.noise_factor * measured * self._band_sd,
            params.line_ratio,
            params.border_px,
            self._visited,
            self._stack,
            self._maxima[0],
            self._maxima[1],
        )
        return self._maxima[0, :count], self._maxima[1, :count]

    def _threshold(self, spread: float) -> float:
        """Return the threshold of the frame whose planes these are."""
        if self._formula is None:
            return self._params.threshold_factor * spread
        first = self._band + self._level
        image = first + self._fine
        planes = {
            "I": image,
            "F": self._band,
            "F1": self._fine,
            "F2": image - self._level,
        }
        planes |= {f"Wave.{name}": plane for name, plane in planes.items()}
        value = np.asarray(self._formula.evaluate(planes))
        if value.ndim:
            raise RequestError(
                f"'{self._formula.text}' gives a plane and not a number; take its std, "
                f"mean, median, max or the like"
            )
        if value.dtype == np.bool_:
            raise RequestError(
                f"'{self._formula.text}' says yes or no; a threshold is a number, such "
                f"as 1.5*std(Wave.F1)"
            )
        return float(value)


def formula(text: str) -> Expression:
    """Return a threshold that was read. Raises `RequestError` for one without sense."""
    read = parse(text)
    unknown = sorted(read.names - PLANES)
    if unknown:
        raise RequestError(
            f"'{unknown[0]}' is not known in the threshold '{text}'; known are "
            f"{', '.join(sorted(PLANES))}"
        )
    if not read.names and not np.isfinite(read.evaluate({})):
        raise RequestError(f"the threshold '{text}' is no number; check the formula")
    return read


def new_finder(camera: CameraMaps, params: LocalizeParams) -> Finder:
    """Return the detector that the parameters name."""
    if params.detector == "matched":
        return MatchedFinder(camera, params)
    return WaveletFinder(camera, params)


def threshold(params: LocalizeParams) -> float:
    """Return the significance from which noise gives few enough false spots."""
    return matched.threshold_for(
        params.false_per_mpx, params.sigma_px, params.radius_px
    )


def most_spots(height: int, width: int) -> int:
    """Return how many spots a frame may hold."""
    return 64 + int(height * width * MOST_PER_PIXEL)


def shortest(plane: npt.NDArray[np.floating]) -> F32:
    """Return a plane as float32, or its first row alone if all rows are equal."""
    is_uniform = (plane == plane[:1]).all()
    return np.ascontiguousarray(plane[:1] if is_uniform else plane, np.float32)
