"""``her2sr calibrate camera``: dark frames and levels of light to maps."""

from __future__ import annotations

import numpy as np

from her2sr_acq.calibrating.order import Order
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import Taker
from her2sr_proc.errors import DataError
from her2sr_proc.photon_transfer import Moments, measure

LOOK_FRAMES = 10
LOOK_SHARE = 0.05
"""Of the limit of a laser: the power of the first look."""
BRIGHTEST = 0.6
"""Of the camera's range, for the brightest level."""
LEAST_ADU = 5.0


def calibrate(taker: Taker, order: Order) -> Measured:
    """Return offset, gain and read noise of every pixel.

    The sample is an even fluorescent film. Raises `DataError` for one that is not, and
    `AcqError` for what devices do.
    """
    nm = taker.lines(order.lines_nm)[0]
    exposure_ms = order.exposure_ms
    taker.check(nm, order.percent or LOOK_SHARE, exposure_ms)
    of = order.levels + 1
    taker.tell("dark frames", 0, of)
    dark = taker.moments(None, 0.0, frames=order.dark_frames, exposure_ms=exposure_ms)
    top = order.percent or _brightest(taker, nm, dark, exposure_ms)
    levels = []
    for n in range(order.levels):
        taker.tell(f"level {n + 1}", n + 1, of)
        percent = top * (n + 1) / order.levels
        levels.append(
            taker.moments(nm, percent, frames=order.frames, exposure_ms=exposure_ms)
        )
    maps = measure(dark, levels, em_gain=taker.config.camera.model.em_gain)
    electrons = maps.e_per_adu * (levels[-1].mean - dark.mean)
    return Measured(
        values={
            "exposure_ms": exposure_ms,
            "dark_frames": dark.frames,
            "levels": len(levels),
            "frames_per_level": order.frames,
            "laser_nm": nm,
            "brightest_percent": round(top, 3),
            "brightest_e": round(float(np.median(electrons)), 1),
            "offset_adu": round(float(np.median(maps.offset_adu)), 3),
            "e_per_adu": round(float(np.median(maps.e_per_adu)), 5),
            "read_noise_e": round(float(np.sqrt(np.median(maps.variance_e2))), 3),
            "gain_spread": round(maps.gain_spread, 5),
            "hot_pixels": int(maps.hot.sum()),
        },
        arrays={
            "offset_adu": maps.offset_adu.astype(np.float32),
            "e_per_adu": maps.e_per_adu.astype(np.float32),
            "variance_e2": maps.variance_e2.astype(np.float32),
            "hot": maps.hot,
        },
    )


def _brightest(taker: Taker, nm: int, dark: Moments, exposure_ms: float) -> float:
    """Return the power at which the film fills the camera's range, within the limit."""
    limit = taker.config.laser(nm).limit_percent
    share = LOOK_SHARE * limit
    look = taker.moments(nm, share, frames=LOOK_FRAMES, exposure_ms=exposure_ms)
    rise = float(np.percentile(look.mean - dark.mean, 99.0))
    if rise < LEAST_ADU:
        raise DataError(
            f"at {share:.1f} % of the {nm} nm laser the film is {rise:.1f} counts over "
            f"the dark; put an even fluorescent film under the objective"
        )
    ceiling = taker.config.camera.model.saturation_adu - float(np.median(dark.mean))
    return min(limit, share * BRIGHTEST * ceiling / rise)
