"""Signals of one channel of a field: which spots are one, and which are stray or glow.

A spot is a signal when it is strong enough beside a typical one of its channel. How
strong a typical one is, and how wide a sharp one, is measured on the field's own
isolated signals; where there are few, the device's values weigh in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.spots import Optics, Spots, TwoScales, find_spots

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BACKGROUND_UM = 4.0
"""Side of the window whose median is the background: wider than any signal."""
THINNED = 3
"""Pixels that the background is looked at on each one of: it varies over dozens."""
CLEAR = 3.0
"""Times the least prominence: spots that may tell what is typical."""
ALONE = 6.0
"""Least distance, in fine smoothings, of spots that may tell what is typical."""
KIN = 4.0
"""Signals of one probe differ by less than this factor from their median."""
FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, slots=True)
class Fluctuation:
    """Excess variance between frames at both scales; float32, shape (height, width)."""

    fine: F32
    coarse: F32


@dataclass(frozen=True, slots=True)
class Signals:
    """Spots of a field with their strength over that of a typical signal."""

    spots: Spots
    relative: F64
    typical: float
    isolated: int
    """Spots that told what is typical."""

    def take(self, rows: Mask) -> Signals:
        """Return the signals that a mask selects.

        ``rows``: bool, shape (signals,).
        """
        return Signals(
            self.spots.take(rows), self.relative[rows], self.typical, self.isolated
        )


def conventional_signals(
    light: F32, *, pixel_nm: float, params: CountParams
) -> Signals:
    """Return the spots of the conventional image.

    Parameters
    ----------
    light : float32 array, shape (height, width)
        Mean of the first frames, photo-electrons.
    pixel_nm : float
        Width of a pixel in the sample.
    params : CountParams
        Scales and device values.
    """
    image = light.astype(np.float64)
    image -= _background(image, pixel_nm)
    fine_px, coarse_px = params.fine_nm / pixel_nm, params.coarse_nm / pixel_nm
    scales = TwoScales(
        fine=ndimage.gaussian_filter(image, fine_px, mode="nearest"),
        coarse=ndimage.gaussian_filter(image, coarse_px, mode="nearest"),
        fine_px=fine_px,
        coarse_px=coarse_px,
        optics=Optics(power=1, blob_px=params.probe_sigma_nm / pixel_nm),
    )
    del image
    return _weighed(scales, params.typical_light_e, params)


def conventional_limits(
    signals: Signals, *, pixel_nm: float, params: CountParams
) -> F64:
    """Return the relative strength from which each conventional spot is a signal.

    What is narrow can only be a signal. Texture of the tissue, which looks like a
    weak signal out of focus, is wide.
    """
    width_nm = np.sqrt(signals.spots.width_px2) * pixel_nm
    is_wide = width_nm >= params.haze_nm
    return np.where(is_wide, params.conventional_strength, params.minimum_strength)


def superresolved_signals(
    fluctuation: Fluctuation,
    table: Localizations,
    *,
    pixel_nm: float,
    params: CountParams,
) -> Signals:
    """Return the spots of the fluctuation image that hold up.

    A sharp one must be supported by localizations: a flickering pixel is not. One out
    of focus need not be: single frames do not show it.

    Parameters
    ----------
    fluctuation : Fluctuation
        Of the whole burst.
    table : Localizations
        Of the same burst.
    pixel_nm : float
        Width of a pixel in the sample.
    params : CountParams
        Scales and device values.
    """
    scales = TwoScales(
        fine=fluctuation.fine.astype(np.float64),
        coarse=fluctuation.coarse.astype(np.float64),
        fine_px=params.fine_nm / pixel_nm,
        coarse_px=params.coarse_nm / pixel_nm,
        optics=Optics(power=2, blob_px=params.probe_sigma_nm / pixel_nm),
    )
    found = _weighed(scales, params.typical_fluctuation_e2, params)
    sharp = found.spots.width_px2 < scales.wide_px2
    support = _support(found.spots, table, pixel_nm, params)
    return found.take(~sharp | (support >= params.minimum_localizations))


def sharp_fwhm_nm(signals: Signals, *, pixel_nm: float, params: CountParams) -> float:
    """Return how wide a signal in focus is in the conventional image.

    The lower quartile of isolated signals: the others lie out of focus, and say nothing
    of how near two sharp signals can be told apart.
    """
    alone_px = ALONE * params.fine_nm / pixel_nm
    kin = _isolated(signals.spots, alone_px, params)
    kin &= signals.relative > params.minimum_strength
    weight, device = params.device_weight, params.conventional_fwhm_nm
    if not kin.any():
        return device
    blob = params.probe_sigma_nm / pixel_nm
    widths = FWHM * np.sqrt(signals.spots.width_px2[kin] + blob**2) * pixel_nm
    measured = float(np.percentile(widths, 25.0))
    share = kin.sum() / (kin.sum() + weight)
    return float(share * measured + (1.0 - share) * device)


def steady_glow(one: Signals, other: Signals, *, pixel_nm: float) -> Mask:
    """Return which signals of ``one`` stand at the same place in another colour.

    Lipofuscin is bright in every channel; two probes at one point are not expected.
    """
    if not len(one.spots) or not len(other.spots):
        return np.zeros(len(one.spots), bool)
    nearest, _ = cKDTree(_points(other.spots)).query(_points(one.spots))
    return np.asarray(nearest * pixel_nm < SAME_PLACE_NM, bool)


SAME_PLACE_NM = 100.0
"""Nearer than this in two colours is one thing: beyond what colour errors allow."""


def _weighed(image: TwoScales, device: float, params: CountParams) -> Signals:
    spots = find_spots(image, params.spots)
    kin = spots.strength[_isolated(spots, ALONE * image.fine_px, params)]
    typical, told = typical_strength(kin, device, params.device_weight)
    return Signals(spots, spots.strength / typical, typical, told)


def typical_strength(strengths: F64, device: float, weight: float) -> tuple[float, int]:
    """Return the strength of a typical signal, and how many spots told it.

    Stray dyes are many and far weaker: the upper of the two crowds is followed down to
    its median. The device's value counts as ``weight`` spots.
    """
    kin = strengths[strengths > 0]
    if kin.size:
        level = float(np.percentile(kin, 90.0))
        for _ in range(20):
            near = kin[(kin > level / KIN) & (kin < level * KIN)]
            former, level = level, float(np.median(near))
            if level == former:
                break
        kin = near
    logs = np.log(kin).sum() + weight * np.log(device)
    return float(np.exp(logs / (kin.size + weight))), int(kin.size)


def _isolated(spots: Spots, alone_px: float, params: CountParams) -> Mask:
    clear = spots.clarity > CLEAR * params.spots.prominence
    if len(spots) < 2:
        return clear
    gaps, _ = cKDTree(_points(spots)).query(_points(spots), k=2)
    alone = gaps[:, 1] > alone_px
    return np.asarray(clear & alone, bool)


def _support(
    spots: Spots, table: Localizations, pixel_nm: float, params: CountParams
) -> npt.NDArray[np.int64]:
    """Return the localizations within two widths of each spot."""
    if not len(table) or not len(spots):
        return np.zeros(len(spots), np.int64)
    points = np.column_stack([table["y_nm"], table["x_nm"]]) / pixel_nm
    blob = params.probe_sigma_nm / pixel_nm
    reach = 2.0 * np.sqrt(spots.width_px2 + blob**2)
    found = cKDTree(points).query_ball_point(_points(spots), reach, return_length=True)
    return np.asarray(found, np.int64)


def _points(spots: Spots) -> F64:
    return np.column_stack([spots.y_px, spots.x_px])


def _background(image: F64, pixel_nm: float) -> F64:
    """Return the median about each pixel, looked at on every third one."""
    side = max(3, round(BACKGROUND_UM * 1000.0 / pixel_nm / THINNED))
    thin = image[::THINNED, ::THINNED]
    coarse = ndimage.median_filter(thin, size=side, mode="nearest")
    zoom = [full / half for full, half in zip(image.shape, coarse.shape, strict=True)]
    back = ndimage.zoom(coarse, zoom, order=1, grid_mode=True, mode="nearest")
    return np.asarray(ndimage.gaussian_filter(back, side * THINNED / 8.0), np.float64)
