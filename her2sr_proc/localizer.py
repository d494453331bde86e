"""From camera frames to a table of fitted spots, live and offline alike.

Each frame is treated alone, so a table does not depend on the block's length. Knows
arrays and parameters; neither files nor sockets, and starts no thread: whoever has some
lends them as a `map`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from her2sr_proc.ensemble_light import is_ensemble
from her2sr_proc.finding import Finder, most_spots, new_finder, shortest, threshold
from her2sr_proc.kernels import abreast, crowd, gauss, near, relief, squares
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.stopwatch import Stopwatch

U16 = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Index = npt.NDArray[np.intp]
Range = tuple[float, float]
"""Narrowest and widest, pixels."""


class FitStatus(IntEnum):
    """The values of the table's ``status`` column: rows that may be used."""

    CONVERGED = gauss.CONVERGED
    UNSETTLED = gauss.UNSETTLED
    """Stopped by the iteration limit: position good to less than the bound says."""
    WIDE = gauss.WIDE
    """The width is at its upper bound; position and its bound hold for that width."""
    SATURATED = gauss.SATURATED
    """A pixel of the box was at the camera's ceiling: photons are a lower limit."""
    JOINT = 101
    """Fitted together with others, or on sloping ground; the bound says so."""
    CENTROID = 102
    """A bright blob in a frame of ensemble light: of many dyes, left whole."""


WIDE, SATURATED = int(FitStatus.WIDE), int(FitStatus.SATURATED)
JOINT, CENTROID = int(FitStatus.JOINT), int(FitStatus.CENTROID)
"""As plain numbers: of a member, compiled functions find the type anew at each call."""

Each = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]
"""Calls a function with every item and gives the results in order, as `map` does."""

BROAD = 1.4
"""Over the known width, from which a spot is seen whole in a larger box only."""
WHOLE = 2.8
"""Over the known width, from which a spot with one maximum is no pair of narrow ones:
those would be five widths apart."""
LINK_SIGMAS = 5.0
"""Spots nearer than so many widths share light enough to be fitted together."""
SURPLUS = 4
"""Emitters that may be added to those found one by one."""
LOOK_AGAIN = 3.0
"""Score of the residuals below which no further emitter is tried."""
FAINT = 14.0
"""Deviations of the noise above which a spot is no ripple of the ground."""
UNEVEN = 3.0
"""Chi-squared over its expectation, with eight degrees of freedom: 2 in a thousand."""
NEEDED = 18.0
"""Of twice the log-likelihood, three parameters: one in a thousand by chance."""
RELIEF = 2.5
"""Deviations by which a spot that is not plain stands out of curved ground."""
OWN_NOISE = 0.4
"""By so many deviations a dim spot's own noise lowers what its bound makes of it."""


class _Workspace:
    """Planes of one frame, touched once and used for every frame of a burst."""

    def __init__(self, finder: Finder, sigma_px: float, most: int) -> None:
        self.finder = finder
        self.room = crowd.new_room(sigma_px, most)
        self.results = np.empty((2 * most, gauss.RESULTS))
        self.codes = np.empty(2 * most, np.int16)


class Localizer:
    """Finds and fits the spots of frames of one size, camera and set of parameters.

    Costs some milliseconds and a few planes to make, so make one a burst or more. Its
    methods may be called by several threads at once.
    """

    def __init__(
        self,
        camera: CameraMaps,
        *,
        pixel_nm: float,
        params: LocalizeParams,
        watch: Stopwatch | None = None,
    ) -> None:
        """Take what frames are; ``watch`` is told how long finding and fitting take."""
        self._watch = watch or Stopwatch()
        self._camera = camera
        self._pixel_nm = pixel_nm
        self._params = params
        self._shape = camera.offset_adu.shape
        self._radius_px = params.radius_px
        self._limits = np.array(self._shape[::-1], np.int32)[:, None] - 1
        """Last column and last row."""
        self._offset = shortest(camera.offset_adu)
        self._e_per_adu = shortest(camera.e_per_adu)
        self._variance = shortest(camera.variance_e2)
        self._free_beyond = {
            "known": np.inf, "doubted": params.width_doubt, "free": 0.0
        }[params.width]  # fmt: skip
        self._tells_ensembles = params.tells_ensembles
        most = (min(*self._shape, crowd.SIDE) - 1) // 2
        self._larger_px = min(2 * params.radius_px, most)
        z = threshold(params)
        is_matched = params.detector == "matched"
        self._rule = crowd.Rule(
            gain=float(chi2.isf(params.split_p_value, 3)),
            score=LOOK_AGAIN,
            surplus=SURPLUS,
            significance=6.0,
            misfit=params.misfit,
            reach=LINK_SIGMAS,
            noise_px=crowd.noise_pixels(params.sigma_px, params.radius_px),
            skew_px=crowd.skew_pixels(params.sigma_px, params.radius_px),
            single=z if is_matched else 0.0,
            faint=FAINT if is_matched else 0.0,
            uneven=UNEVEN,
            needed=NEEDED,
            least=z - OWN_NOISE if is_matched else 0.0,
            broad=WHOLE if params.width == "doubted" else np.inf,
        )
        self._taps = crowd.spot_taps(params.sigma_px)
        self._filters = relief.shapes(params.sigma_px, params.radius_px + 1)
        self._idle: deque[_Workspace] = deque()
        self._finder: Finder | None = None
        self._one_at_a_time = threading.Lock()

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
            return self._frame(adu[index])

        if min(self._shape) >= 2 * self._radius_px + 1:
            parts = list(each(frame, range(len(adu))))
        else:
            parts = []
        numbers = first_frame + np.arange(len(parts))
        frames = np.repeat(numbers, [len(part) for part in parts])
        nothing = np.empty((0, gauss.RESULTS + 1))
        return _table(frames, np.concatenate([nothing, *parts]), self._pixel_nm)

    def time_frame(
        self, adu: U16, clock: Callable[[], float] = time.perf_counter
    ) -> tuple[float, float, float]:
        """Return the seconds that one frame takes: to detect, to fit, to select."""
        frame, workspace = _as_message(adu), self._workspace()
        moments = [clock()]
        rows, columns = workspace.finder.find(frame)
        moments.append(clock())
        fits = self._fit(frame, rows, columns, workspace.finder.noise_scale)
        moments.append(clock())
        if self._params.estimator == "mle":
            self._settle(frame, fits, workspace)
        moments.append(clock())
        self._idle.append(workspace)
        detect_s, fit_s, select_s = np.diff(moments)
        return float(detect_s), float(fit_s), float(select_s)

    def _workspace(self) -> _Workspace:
        try:
            return self._idle.pop()
        except IndexError:
            most = most_spots(*self._shape)
            return _Workspace(self._new_finder(), self._params.sigma_px, most)

    def _new_finder(self) -> Finder:
        """Return a finder for one thread; the first one's maps serve all."""
        with self._one_at_a_time:
            if self._finder is not None:
                return self._finder.twin()
            self._finder = new_finder(self._camera, self._params)
            return self._finder

    def _frame(self, adu: U16) -> F64:
        """Return the usable fits of one frame, with the status as last column."""
        frame, workspace = _as_message(adu), self._workspace()
        with self._watch.step("detect"):
            rows, columns = workspace.finder.find(frame)
        with self._watch.step("fit"):
            fits = self._fit(frame, rows, columns, workspace.finder.noise_scale)
            if self._params.estimator == "mle":
                fits = self._settle(frame, fits, workspace)
        self._idle.append(workspace)
        return fits

    def _fit(self, adu: U16, rows: I32, columns: I32, noise_scale: float) -> F64:
        """Return the usable fits at the maxima, with the status as last column."""
        params = self._params
        if params.estimator != "mle":
            fits = self._fit_squares(adu, rows, columns)
            return fits[_is_usable(fits[:, -1])]
        fits, wide = self._fit_abreast(adu, rows, columns)
        is_whole = self._tells_ensembles and is_ensemble(wide)
        blobs = _where((wide > abreast.BRIGHT) & is_whole)
        is_odd = fits[:, -1] < 0
        is_odd[blobs] = False
        odd = _where(is_odd)
        if odd.size and params.detector == "matched":
            where = rows[odd], columns[odd]
            stands = self._relief(adu, *where) > RELIEF * noise_scale
            odd = odd[stands]
        is_doubted = fits[odd, -1] == abreast.DOUBTED
        again = (odd[is_doubted], 0.0), (odd[~is_doubted], self._free_beyond)
        for left, beyond in again:
            if left.size:
                where = rows[left], columns[left]
                fits[left] = self._fit_boxes(
                    adu, *where, self._radius_px, beyond, to_end=not is_whole
                )
        if blobs.size:
            self._fit_blobs(adu, rows, columns, blobs, fits)
        usable = _where(_is_usable(fits[:, -1]))
        fits = fits[usable]
        x, y = fits[:, gauss.X] - columns[usable], fits[:, gauss.Y] - rows[usable]
        is_near = np.hypot(x, y) <= params.maximum_shift_px
        is_finite = np.isfinite(fits[:, gauss.LOG_RATIO])
        return fits[_where(is_near & is_finite)]

    def _fit_squares(self, adu: U16, rows: I32, columns: I32) -> F64:
        """Return all fits by least squares, with the status as last column."""
        params, camera = self._params, self._camera
        # squares of roots give no light below zero: ThunderSTORM lifts such a frame
        under = self._offset - _lift(adu, self._offset)
        results = np.empty((rows.size, squares.RESULTS))
        status = np.empty(rows.size, np.int16)
        squares.fit_spots(
            adu,
            under,
            self._e_per_adu,
            rows,
            columns,
            self._radius_px,
            params.sigma_px,
            params.estimator == "wlsq",
            camera.excess_noise,
            float(camera.saturation_adu),
            params.max_iterations,
            results,
            status,
        )
        return _with_status(results, status)

    def _fit_boxes(
        self,
        adu: U16,
        rows: I32,
        columns: I32,
        radius: int,
        free_beyond: float,
        *,
        to_end: bool,
    ) -> F64:
        """Return all fits in boxes of one size, with the status as last column.

        ``to_end``: what does not settle side by side is fitted alone, else left open.
        """
        lowest, highest = self._params.sigma_range_px
        widths = lowest, highest * radius / self._radius_px
        if free_beyond > 0.0 and not to_end:
            return np.full((rows.size, gauss.RESULTS + 1), float(abreast.OPEN))
        if free_beyond > 0.0:
            return self._fit_alone(adu, rows, columns, radius, free_beyond, widths)
        fits = self._fit_widths(adu, rows, columns, radius, widths)
        left = _where(fits[:, -1] == abreast.OPEN)
        if to_end and left.size:
            fits[left] = self._fit_alone(
                adu, rows[left], columns[left], radius, 0.0, widths
            )
        return fits

    def _fit_widths(
        self,
        adu: U16,
        rows: I32,
        columns: I32,
        radius: int,
        widths: Range,
    ) -> F64:
        """Return fits of a free width, with a status below 0 for what is left open."""
        results = np.empty((rows.size, abreast.RESULTS))
        status = np.empty(rows.size, np.int16)
        abreast.fit_widths(
            adu,
            self._offset,
            self._e_per_adu,
            self._variance,
            rows,
            columns,
            radius,
            self._params.sigma_px,
            *widths,
            self._camera.excess_noise,
            float(self._camera.saturation_adu),
            abreast.WIDE_ROUNDS,
            results,
            status,
        )
        return _with_status(results, status)

    def _fit_alone(
        self,
        adu: U16,
        rows: I32,
        columns: I32,
        radius: int,
        free_beyond: float,
        widths: Range,
    ) -> F64:
        """Return fits made one by one, with the status as last column."""
        camera, params = self._camera, self._params
        results = np.empty((rows.size, gauss.RESULTS))
        status = np.empty(rows.size, np.int16)
        gauss.fit_spots(
            adu,
            self._offset,
            self._e_per_adu,
            self._variance,
            rows,
            columns,
            radius,
            params.sigma_px,
            free_beyond,
            *widths,
            camera.excess_noise,
            float(camera.saturation_adu),
            params.max_iterations,
            results,
            status,
        )
        return _with_status(results, status)

    def _fit_blobs(
        self, adu: U16, rows: I32, columns: I32, blobs: Index, fits: F64
    ) -> None:
        """Write the fits of blobs of ensemble light: each alone, its width free.

        In the larger box, which shows the ground beside a blob, where no other spot
        stands in it and the fit settles there; else in the usual one.
        """
        small, large = self._radius_px, self._larger_px
        is_spot = _is_usable(fits[:, -1])
        is_spot[blobs] = True
        spots = _where(is_spot)
        reach_px = large + LINK_SIGMAS * self._params.sigma_px / 2.0
        which = np.searchsorted(spots, blobs)
        is_alone = _are_alone(columns[spots], rows[spots], which, reach_px)
        is_left = np.ones(blobs.size, np.bool_)
        for radius, is_asked in ((large, is_alone), (small, is_left)):
            which = _where(is_asked)
            if not which.size:
                continue
            left = blobs[which]
            fitted = self._fit_boxes(
                adu, rows[left], columns[left], radius, 0.0, to_end=radius == small
            )
            status = fitted[:, -1].copy()
            is_found = _is_usable(status) & (status != WIDE)
            is_dim = status != SATURATED
            status[is_found & is_dim] = CENTROID
            status[~is_found] = gauss.NARROW
            fitted[:, -1] = status
            fits[left] = fitted
            is_left[which[is_found]] = False

    def _fit_abreast(self, adu: U16, rows: I32, columns: I32) -> tuple[F64, F64]:
        """Return fits of the known width, with a status below 0 for what is odd.

        And by how many deviations evidently wide spots stand out, 0 for others.
        """
        params = self._params
        results = np.zeros((rows.size, abreast.RESULTS))
        status = np.full(rows.size, abreast.OPEN, np.int16)
        significance = np.zeros(rows.size)
        if self._free_beyond > 0.0:
            abreast.fit_spots(
                adu,
                self._offset,
                self._e_per_adu,
                self._variance,
                rows,
                columns,
                self._radius_px,
                params.sigma_px,
                self._free_beyond,
                abreast.BRIGHT if self._free_beyond < np.inf else np.inf,
                self._camera.excess_noise,
                float(self._camera.saturation_adu),
                abreast.ROUNDS,
                results,
                status,
                significance,
            )
        return _with_status(results, status), significance

    def _relief(self, adu: U16, rows: I32, columns: I32) -> F64:
        """Return by how many deviations spots stand out of curved ground."""
        significance = np.empty(rows.size)
        relief.significance(
            adu,
            self._offset,
            self._e_per_adu,
            self._variance,
            self._camera.excess_noise,
            self._filters,
            rows,
            columns,
            significance,
        )
        return significance

    def _settle(self, adu: U16, fits: F64, workspace: _Workspace) -> F64:
        """Return the fits that stand, those of crowds and odd ones made anew."""
        params = self._params
        camera = crowd.Camera(
            adu,
            self._offset,
            self._e_per_adu,
            self._variance,
            self._camera.excess_noise,
        )
        count = crowd.settle(
            camera,
            workspace.room,
            crowd.noisier(self._rule, workspace.finder.noise_scale),
            params.emitters == "multi" and not _is_ensemble_light(fits[:, -1]),
            self._taps,
            self._radius_px,
            params.max_iterations,
            np.ascontiguousarray(fits[:, :-1]),
            fits[:, -1].astype(np.int16),
            SATURATED,
            CENTROID,
            JOINT,
            workspace.results,
            workspace.codes,
        )
        results, codes = workspace.results[:count], workspace.codes[:count]
        if params.width == "doubted":
            count = self._review(adu, camera, results, codes, workspace)
        else:
            count = crowd.compact(results, codes, count)
        return _with_status(results[:count], codes[:count])

    def _review(
        self,
        adu: U16,
        camera: crowd.Camera,
        results: F64,
        codes: npt.NDArray[np.int16],
        workspace: _Workspace,
    ) -> int:
        """Look at broad spots again, in boxes that show the ground beside them."""
        params = self._params
        radius = self._larger_px
        is_broad = results[:, gauss.SIGMA] > BROAD * params.sigma_px
        is_broad &= (codes != SATURATED) & (codes != CENTROID)
        is_whole = _is_ensemble_light(codes)
        # among blobs a faint spot that uneven ground casts doubt on is a part of one
        is_doubted = (codes == crowd.DOUBTED) & (not is_whole)
        broad = _where(is_broad | is_doubted)
        if broad.size:
            reach_px = radius + LINK_SIGMAS * params.sigma_px / 2.0
            middles = results[:, gauss.X], results[:, gauss.Y]
            broad = broad[_are_alone(*middles, broad, reach_px)]
        # a width at its bound is believed only where a larger box confirms it
        codes[codes == WIDE] = crowd.DOUBTED
        if not broad.size or radius <= self._radius_px:
            return int(crowd.compact(results, codes, len(results)))
        places = np.rint(results[broad, : gauss.PHOTONS]).astype(np.int32)
        columns, rows = np.clip(places.T, 0, self._limits, order="C")
        again = self._fit_boxes(adu, rows, columns, radius, 0.0, to_end=not is_whole)
        status = again[:, -1].astype(np.int16)
        is_seen = again[:, gauss.SIGMA] > BROAD * params.sigma_px
        is_found = _is_usable(status) & (status != WIDE)
        status[~(is_found & is_seen)] = -1
        return int(
            crowd.review(
                camera,
                workspace.room,
                self._rule,
                radius,
                params.max_iterations,
                results,
                codes,
                broad.astype(np.int32),
                np.ascontiguousarray(again[:, :-1]),
                status,
            )
        )


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


def _as_message(adu: U16) -> U16:
    """Return a frame as a message brings it: contiguous and read-only.

    Kernels are compiled once, for that.
    """
    frame = np.ascontiguousarray(adu, np.uint16).view()
    frame.flags.writeable = False
    return frame


def _lift(adu: U16, offset_adu: npt.NDArray[np.float32]) -> np.float32:
    """Return by how much the darkest pixel of a frame is below the dark, counts."""
    darkest = adu.min()
    if darkest >= offset_adu.max():  # so is every other one
        return np.float32(0.0)
    if offset_adu.min() == offset_adu.max():
        return np.float32(offset_adu.flat[0] - darkest)
    return np.float32(max(0.0, float((offset_adu - adu).max())))


def _is_ensemble_light(codes: npt.NDArray[np.generic]) -> bool:
    """Return whether a frame's fits were made as those of ensemble light."""
    return bool((codes == CENTROID).any())


def _where(flags: npt.NDArray[np.bool_]) -> Index:
    """Return which flags are set: as `np.flatnonzero`, without its detours.

    They are a tenth of a small frame's time.
    """
    return flags.nonzero()[0]


def _with_status(fits: F64, status: npt.NDArray[np.int16]) -> F64:
    """Return fits with the status as last column."""
    both = np.empty((len(fits), fits.shape[1] + 1))
    both[:, :-1] = fits
    both[:, -1] = status
    return both


def _is_usable(status: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    return _USABLE[status.astype(np.intp)]


# the codes of what is left open are below zero: they come to the end
_USABLE = np.zeros(max(FitStatus) + 1 - abreast.DOUBTED, np.bool_)
_USABLE[list(FitStatus)] = True


def _are_alone(
    x: npt.NDArray[np.generic],
    y: npt.NDArray[np.generic],
    which: Index,
    reach_px: float,
) -> npt.NDArray[np.bool_]:
    """Return whether some of the places have no other one near."""
    is_alone = np.empty(which.size, np.bool_)
    near.are_alone(
        x.astype(np.float64), y.astype(np.float64), which, reach_px, is_alone
    )
    return is_alone


def _table(frames: Index, fits: F64, pixel_nm: float) -> Localizations:
    """Return fits, ended by their status, as a table in nm."""
    sd_x = fits[:, gauss.SD_X] * pixel_nm
    sd_y = fits[:, gauss.SD_Y] * pixel_nm
    values = {
        "frame": frames,
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
        "status": fits[:, -1],
    }
    return Localizations({c.name: values[c.name].astype(c.dtype) for c in COLUMNS})
