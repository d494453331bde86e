"""From camera frames to a table of fitted spots, live and offline alike.

Each frame is treated alone, so a table does not depend on the block's length. Knows
arrays and parameters; neither files, sockets nor threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Workspace:
    """Planes of one frame, touched once and used for every frame of a block."""

    shape: tuple[int, int]
    adu: U16 = field(init=False)
    photons: F32 = field(init=False)
    planes: F32 = field(init=False)
    visited: npt.NDArray[np.uint8] = field(init=False)
    stack: I32 = field(init=False)
    maxima: I32 = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.shape
        self.adu = np.empty(self.shape, np.uint16)
        self.photons = np.empty(self.shape, np.float32)
        self.planes = np.empty((4, *self.shape), np.float32)
        self.visited = np.empty(self.shape, np.uint8)
        self.stack = np.empty(height * width, np.int32)
        most = ((height + 1) // 2) * ((width + 1) // 2)
        self.maxima = np.empty((2, most), np.int32)


@dataclass(frozen=True, slots=True)
class _Filter:
    """The wavelet, and how it answers to white noise of deviation 1."""

    taps: F64
    fine: float
    band: float

    @staticmethod
    def of(params: LocalizeParams) -> _Filter:
        taps = wavelet.spline_taps(params.wavelet_order, params.wavelet_scale)
        return _Filter(taps, *wavelet.noise_response(taps))


def localize_block(
    adu: U16,
    *,
    first_frame: int,
    camera: CameraMaps,
    pixel_nm: float,
    params: LocalizeParams,
) -> Localizations:
    """Return the spots of every frame of a block, in order of frame.

    Parameters
    ----------
    adu : uint16 array, shape (frames, height, width)
        Camera counts.
    first_frame : int
        Index in the burst of ``adu[0]``.
    camera : CameraMaps
        Of the same height and width.
    pixel_nm : float
        Pixel size in the sample.
    params : LocalizeParams
        Detection and fit.

    Returns
    -------
    Localizations
        Only rows that may be used; empty, but valid, where nothing was found.
    """
    height, width = adu.shape[1:]
    box = 2 * params.fit_radius_px + 1
    parts: list[F64] = [np.empty((0, gauss.RESULTS + 2))]
    if min(height, width) >= box:
        workspace = _Workspace((height, width))
        smoothing = _Filter.of(params)
        for index, frame in enumerate(adu, start=first_frame):
            rows = _localize_frame(frame, camera, params, smoothing, workspace)
            if len(rows):
                parts.append(np.column_stack([np.full(len(rows), index), rows]))
    return _table(np.concatenate(parts), pixel_nm)


def _localize_frame(
    adu: U16,
    camera: CameraMaps,
    params: LocalizeParams,
    smoothing: _Filter,
    workspace: _Workspace,
) -> F64:
    """Return the usable fits of one frame, with the status as last column."""
    # Copied, since kernels are compiled for writable, contiguous frames only.
    workspace.adu[...] = adu
    detect.to_photons(
        workspace.adu, camera.offset_adu, camera.e_per_adu, workspace.photons
    )
    rows, columns = _find(camera, params, smoothing, workspace)
    results = np.empty((rows.size, gauss.RESULTS))
    status = np.empty(rows.size, np.int16)
    gauss.fit_spots(
        workspace.photons,
        camera.variance_e2,
        rows,
        columns,
        params.fit_radius_px,
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
    for n in np.flatnonzero(usable):
        if detect.touches_ceiling(
            workspace.adu,
            rows[n],
            columns[n],
            params.fit_radius_px,
            camera.saturation_adu,
        ):
            status[n] = FitStatus.SATURATED
    return np.column_stack([results, status])[usable]


def _find(
    camera: CameraMaps,
    params: LocalizeParams,
    smoothing: _Filter,
    workspace: _Workspace,
) -> tuple[I32, I32]:
    """Return rows and columns of the maxima that pass both thresholds."""
    v1, v2, fine, band = workspace.planes
    wavelet.decompose(workspace.photons, smoothing.taps, v1, v2, fine, band)
    measured = detect.noise_ratio(fine, v2, camera.variance_e2, smoothing.fine)
    noise = measured * smoothing.fine
    clip = params.clip_deviations * noise if params.clip_deviations else np.inf
    spread = detect.clipped_deviation(fine, v2, camera.variance_e2, clip)
    count = detect.find_maxima(
        band,
        v2,
        camera.variance_e2,
        params.threshold_factor * spread,
        params.noise_factor * measured * smoothing.band,
        params.line_ratio,
        params.border_px,
        workspace.visited,
        workspace.stack,
        workspace.maxima[0],
        workspace.maxima[1],
    )
    return workspace.maxima[0, :count], workspace.maxima[1, :count]


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
