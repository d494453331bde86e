"""Offset, gain and read noise of every pixel, by photon transfer. Arrays only.

In the dark a pixel shows its offset and its read noise. Under steady light its variance
grows in proportion to its mean, and the slope is its gain (Janesick, Photon Transfer,
SPIE 2007; per pixel as Huang et al. 2013, doi:10.1038/nmeth.2488).

Two hundred frames a level leave a pixel's own slope uncertain by some per cent, which
is more than pixels differ: each is drawn towards what its row, its column and all
have in common, as far as their true spread, known from the same data, says
(empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError

U16 = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LEAST_FRAMES = 10
LEAST_LEVELS = 3
HOT_NOISE = 6.0
"""Times the median variance in the dark, beyond which a pixel is hot."""
HOT_DEVIATIONS = 12.0
"""Robust deviations of the offset, beyond which a pixel is hot."""
MOST_SATURATED = 0.001
"""Of pixels, beyond which a level is too bright to say anything."""
LEAST_SIGNAL = 10.0
"""The brightest level's mean over the dark must exceed this many deviations of it."""
NOT_STRAIGHT = 0.1
"""Of the slope, by which the brightest half may differ from the whole."""


class Moments:
    """Mean and variance of every pixel over the frames of one level."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.frames = 0
        self._reference: I64 = np.zeros(shape, np.int64)
        self._sum: I64 = np.zeros(shape, np.int64)
        self._squares: I64 = np.zeros(shape, np.int64)
        self._brightness: list[float] = []
        self._ceiling: I64 = np.zeros(shape, np.int64)

    def add(self, adu: U16, *, saturation_adu: int = 65535) -> None:
        """Add one frame, uint16, shape (height, width)."""
        if not self.frames:
            self._reference += adu
        away = adu - self._reference
        self._sum += away
        self._squares += away * away
        self._brightness.append(float(away.mean()))
        self._ceiling += adu >= saturation_adu
        self.frames += 1

    @property
    def mean(self) -> F64:
        """Counts, float64, shape (height, width)."""
        return np.asarray(self._reference + self._sum / self.frames)

    @property
    def variance(self) -> F64:
        """Counts squared, unbiased, without what the light as a whole flickered."""
        plain = (self._squares - self._sum**2 / self.frames) / (self.frames - 1)
        return np.asarray(np.maximum(plain, 0.0))

    @property
    def flicker(self) -> float:
        """Variance of the frames' means, counts squared."""
        return float(np.var(self._brightness, ddof=1)) if self.frames > 1 else 0.0

    @property
    def saturated(self) -> float:
        """Share of pixels that were at their ceiling in any frame."""
        return float((self._ceiling > 0).mean())


@dataclass(frozen=True, slots=True)
class Maps:
    """A camera, pixel by pixel; every array has shape (height, width)."""

    offset_adu: F64
    e_per_adu: F64
    """Before electron multiplication is divided out, as in a camera-maps file."""
    variance_e2: F64
    """Read noise with that of counting in whole numbers, electrons squared."""
    hot: Mask
    levels: int
    gain_spread: float
    """True relative spread of the gain between pixels."""


def measure(dark: Moments, levels: list[Moments], *, em_gain: float = 1.0) -> Maps:
    """Return the maps of a camera.

    Parameters
    ----------
    dark : Moments
        Of frames without light, at the exposure of the measurements to come.
    levels : list of Moments
        Of frames of steady, even light, one a level, at the same exposure.
    em_gain : float
        Of electron multiplication; above 1 the light has twice its variance.

    Raises
    ------
    DataError
        Too few frames or levels, saturated or dark levels, a response that is not
        straight: nothing is to be learnt from them.
    """
    _check(dark, levels)
    excess = 2.0 if em_gain > 1.0 else 1.0
    noise = dark.variance
    rise = np.array([level.mean - dark.mean for level in levels])
    spread = np.array([_own_variance(level, dark) - noise for level in levels])
    own, error = _slopes(rise, spread, noise, levels)
    half = len(levels) // 2
    upper = _slopes(rise[half:], spread[half:], noise, levels[half:])[0]
    bright = float(np.median(upper))
    common = float(np.median(own))
    if not common > 0.0 or abs(bright / common - 1.0) > NOT_STRAIGHT:
        raise DataError(
            "the camera's noise does not grow in proportion to the light; keep the "
            "levels below saturation, and the light steady"
        )
    slope, true_spread = _drawn_in(own, error, common)
    e_per_adu = em_gain * excess / slope
    offset = dark.mean
    return Maps(
        offset_adu=offset,
        e_per_adu=e_per_adu,
        variance_e2=noise * e_per_adu**2,
        hot=_hot(offset, noise),
        levels=len(levels),
        gain_spread=true_spread,
    )


def _check(dark: Moments, levels: list[Moments]) -> None:
    if len(levels) < LEAST_LEVELS:
        raise DataError(
            f"{len(levels)} levels of light and {LEAST_LEVELS} are needed; add levels"
        )
    few = min(level.frames for level in (dark, *levels))
    if few < LEAST_FRAMES:
        raise DataError(
            f"a level has {few} frames and {LEAST_FRAMES} are needed; take more frames"
        )
    for level in levels:
        if level.saturated > MOST_SATURATED:
            raise DataError(
                f"{100 * level.saturated:.1f} % of the pixels are saturated at the "
                f"level of {np.median(level.mean):.0f} counts; lower the power or the "
                f"exposure"
            )
    best = max(float(np.median(level.mean - dark.mean)) for level in levels)
    if best < LEAST_SIGNAL * float(np.sqrt(np.median(dark.variance))):
        raise DataError(
            "the brightest level is hardly brighter than the dark frames; put a "
            "uniform fluorescent film under the objective, or raise the power"
        )


def _own_variance(level: Moments, dark: Moments) -> F64:
    """Return variance without the flicker of the light, which all pixels share."""
    rise = level.mean - dark.mean
    mean = float(rise.mean())
    share = (rise / mean) ** 2 if mean > 0.0 else 0.0
    steady = float(np.median(level.variance)) / rise.size
    return np.asarray(level.variance - share * max(0.0, level.flicker - steady))


def _slopes(
    rise: F64, spread: F64, noise: F64, levels: list[Moments]
) -> tuple[F64, F64]:
    """Return variance over mean of every pixel, and its standard error.

    Weights are of the level, not of the pixel: a pixel's own variance is low by chance
    where its weight would be high, and the slope would come out too small.
    """
    typical = np.array([float(np.median(level.variance)) for level in levels])
    frames = np.array([level.frames for level in levels])
    weight = (frames - 1) / (2.0 * typical**2)
    power = np.einsum("l,lyx,lyx->yx", weight, rise, rise)
    power = np.maximum(power, np.finfo(float).tiny)
    slope = np.einsum("l,lyx,lyx->yx", weight, rise, spread) / power
    # what a variance of so many frames scatters by, where the light really is
    expected = noise + float(np.median(slope)) * rise
    scatter = 2.0 * expected**2 / (frames - 1)[:, None, None]
    error = np.sqrt(np.einsum("l,lyx,lyx->yx", weight**2, rise**2, scatter)) / power
    return slope, error


def _drawn_in(own: F64, error: F64, common: float) -> tuple[F64, float]:
    """Return slopes drawn towards the common one, and their true relative spread."""
    centre = np.full_like(own, common)
    for axis in (0, 1):  # amplifiers serve rows, columns or halves of a sensor
        centre = centre * _lines(own / centre, error / centre, axis)
    away = own - centre
    core = np.abs(away) < 6.0 * np.median(error) + 0.1 * common
    seen = float(np.mean(away[core] ** 2))
    true = max(0.0, seen - float(np.mean(error[core] ** 2)))
    share = true / (true + error**2)
    slope = np.maximum(centre + share * away, 0.05 * common)
    return slope, float(np.sqrt(true + np.var(centre))) / common


def _lines(ratio: F64, error: F64, axis: int) -> F64:
    """Return what lines of pixels have in common, as far as it is no chance."""
    middle = np.median(ratio, axis=axis, keepdims=True)
    chance = 1.5708 * float(np.mean(error**2)) / ratio.shape[axis]  # of a median
    true = max(0.0, float(np.var(middle)) - chance)
    return np.asarray(1.0 + true / (true + chance + 1e-300) * (middle - 1.0))


def _hot(offset: F64, noise: F64) -> Mask:
    middle = float(np.median(offset))
    spread = 1.4826 * float(np.median(np.abs(offset - middle))) + 1e-9
    far = np.abs(offset - middle) > HOT_DEVIATIONS * spread
    return np.asarray(far | (noise > HOT_NOISE * float(np.median(noise))), np.bool_)
