"""From camera frames to a table of fitted spots, live and offline alike.

Each frame is treated alone, so a table does not depend on the block's length. Knows
arrays and parameters; neither files nor sockets, and starts no thread: whoever has some
lends them as a `map`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels import detect, gauss, wavelet
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import COLUMNS, Localizations

U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


class FitStatus(IntEnum):
    """The values of the table's ``status`` column: rows that may be used."""

    CONVERGED = gauss.CONVERGED
    UNSETTLED = gauss.UNSETTLED
    """Stopped by the iteration limit: position good to less than the bound says."""
    WIDE = gauss.WIDE
    """The width is at its upper bound; position and its bound hold for that width."""
    SATURATED = 100
    """A pixel of the box was at the camera's ceiling: photons are a lower limit."""


Each = Callable[[Callable[[int], F64], Iterable[int]], Iterable[F64]]
"""Calls a function with every item and gives the results in order, as `map` does."""

SAMPLE_PIXELS = 2**17
"""Pixels from which the noise of a frame is known to 0.2 %: all of a small frame."""


class _Workspace:
    """Planes of one frame, touched once and used for every frame of a burst."""

    def __init__(self, shape: tuple[int, int], step: int) -> None:
        height, width = shape
        self.photons = np.empty(shape, np.float32)
        self.level = np.empty(shape, np.float32)
        self.band = np.empty(shape, np.float32)
        self.fine = np.empty((wavelet.sampled_rows(height, step), width), np.float32)
        self.visited = np.empty(shape, np.uint8)
        self.stack = np.empty(height * width, np.int32)
        most = ((height + 1) // 2) * ((width + 1) // 2)
        self.maxima = np.empty((2, most), np.int32)


class Localizer:
    """Finds and fits the spots of frames of one size, camera and set of parameters.

    Costs some milliseconds and a few planes to make, so make one a burst or more. Its
    methods may be called by several threads at once.
    """

    def __init__(
        self, camera: CameraMaps, *, pixel_nm: float, params: LocalizeParams
    ) -> None:
        self._camera = camera
        self._pixel_nm = pixel_nm
        self._params = params
        self._shape = height, width = camera.offset_adu.shape
        self._step = max(1, height * width // SAMPLE_PIXELS)
        sampled = slice(self._step // 2, None, self._step)
        self._variance = np.ascontiguousarray(camera.variance_e2[sampled])
        self._offset = _shortest(camera.offset_adu)
        self._gain = _shortest(camera.e_per_adu)
        self._taps = wavelet.spline_taps(params.wavelet_order, params.wavelet_scale)
        self._fine_sd, self._band_sd = wavelet.noise_response(self._taps)
        self._idle: deque[_Workspace] = deque()

    def block(self, adu: U16, *, first_frame: int, each: Each = map) -> Localizations:
        """Return the spots of every frame of a block, in order of frame.

        Parameters
        ----------
        adu : uint16 array, shape (frames, height, width)
            Camera counts.
        first_frame : int
            Index in the burst of ``adu[0]``.
        each : callable
            As `map`; that of an executor treats frames side by side. The table does
            not depend on it.

        Returns
        -------
        Localizations
            Only rows that may be used; empty, but valid, where nothing was found.
        """

        def frame(index: int) -> F64:
            rows = self._frame(adu[index])
            number = np.full(len(rows), first_frame + index)
            return np.column_stack([number, rows])

        parts: list[F64] = [np.empty((0, gauss.RESULTS + 2))]
        if min(self._shape) >= 2 * self._params.fit_radius_px + 1:
            parts.extend(each(frame, range(len(adu))))
        return _table(np.concatenate(parts), self._pixel_nm)

    def _frame(self, adu: U16) -> F64:
        """Return the usable fits of one frame, with the status as last column."""
        # Kernels are compiled once, for what a message is: contiguous and read-only.
        frame = np.ascontiguousarray(adu, np.uint16).view()
        frame.flags.writeable = False
        try:
            workspace = self._idle.pop()
        except IndexError:
            workspace = _Workspace(self._shape, self._step)
        rows, columns = self._find(frame, workspace)
        fits = self._fit(frame, rows, columns, workspace)
        self._idle.append(workspace)
        return fits

    def _find(self, adu: U16, workspace: _Workspace) -> tuple[I32, I32]:
        """Return rows and columns of the maxima that pass both thresholds."""
        params = self._params
        wavelet.split(
            adu,
            self._offset,
            self._gain,
            self._taps,
            self._step,
            workspace.level,
            workspace.band,
            workspace.fine,
        )
        level = np.ascontiguousarray(workspace.level[self._step // 2 :: self._step])
        sample = (workspace.fine, level, self._variance)
        measured = detect.noise_ratio(*sample, self._fine_sd)
        noise = measured * self._fine_sd
        clip = params.clip_deviations * noise if params.clip_deviations else np.inf
        spread = detect.clipped_deviation(*sample, clip)
        count = detect.find_maxima(
            workspace.band,
            workspace.level,
            self._camera.variance_e2,
            params.threshold_factor * spread,
            params.noise_factor * measured * self._band_sd,
            params.line_ratio,
            params.border_px,
            workspace.visited,
            workspace.stack,
            workspace.maxima[0],
            workspace.maxima[1],
        )
        return workspace.maxima[0, :count], workspace.maxima[1, :count]

    def _fit(self, adu: U16, rows: I32, columns: I32, workspace: _Workspace) -> F64:
        """Return the usable fits at the maxima, with the status as last column."""
        camera, params = self._camera, self._params
        radius = params.fit_radius_px
        offset, gain = camera.offset_adu, camera.e_per_adu
        photons = workspace.photons
        detect.photons_near(adu, offset, gain, rows, columns, radius, photons)
        results = np.empty((rows.size, gauss.RESULTS))
        status = np.empty(rows.size, np.int16)
        gauss.fit_spots(
            photons,
            camera.variance_e2,
            rows,
            columns,
            radius,
            params.sigma_px,
            params.sigma_free,
            params.minimum_sigma_px,
            params.maximum_sigma_px,
            camera.excess_noise,
            params.max_iterations,
            results,
            status,
        )
        shift = np.hypot(results[:, gauss.X] - columns, results[:, gauss.Y] - rows)
        usable = np.isin(status, list(FitStatus)) & (shift <= params.maximum_shift_px)
        ceiling = camera.saturation_adu
        is_saturated = np.empty(rows.size, np.uint8)
        detect.find_saturated(adu, rows, columns, radius, ceiling, is_saturated)
        status[is_saturated > 0] = FitStatus.SATURATED
        return np.column_stack([results, status])[usable]


def localize_block(
    adu: U16,
    *,
    first_frame: int,
    camera: CameraMaps,
    pixel_nm: float,
    params: LocalizeParams,
) -> Localizations:
    """Return the spots of one block, whose frames have the camera's size.

    Many blocks of a kind are localized faster by one `Localizer`.
    """
    localizer = Localizer(camera, pixel_nm=pixel_nm, params=params)
    return localizer.block(adu, first_frame=first_frame)


def _shortest(plane: F32) -> F32:
    """Return a plane, or its first row alone if all rows are equal."""
    is_uniform = (plane == plane[:1]).all()
    return np.ascontiguousarray(plane[:1] if is_uniform else plane)


def _table(rows: F64, pixel_nm: float) -> Localizations:
    """Return fits, led by their frame and ended by their status, as a table in nm."""
    fits = rows[:, 1:]
    sd_x = fits[:, gauss.SD_X] * pixel_nm
    sd_y = fits[:, gauss.SD_Y] * pixel_nm
    values = {
        "frame": rows[:, 0],
        "x_nm": fits[:, gauss.X] * pixel_nm,
        "y_nm": fits[:, gauss.Y] * pixel_nm,
        "sigma_nm": fits[:, gauss.SIGMA] * pixel_nm,
        "photons": fits[:, gauss.PHOTONS],
        "background_photons": fits[:, gauss.BACKGROUND],
        "background_sd_photons": fits[:, gauss.RESIDUAL_SD],
        "uncertainty_nm": np.sqrt((sd_x**2 + sd_y**2) / 2),
        "uncertainty_x_nm": sd_x,
        "uncertainty_y_nm": sd_y,
        "log_likelihood": fits[:, gauss.LOG_RATIO],
        "status": rows[:, -1],
    }
    return Localizations({c.name: values[c.name].astype(c.dtype) for c in COLUMNS})
