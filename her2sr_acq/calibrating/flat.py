"""``her2sr calibrate flat``: how evenly each line lights the field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from her2sr_acq.calibrating.order import Order
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import Taker
from her2sr_proc.illumination import profile_of

PERCENT = 10.0
DARK_FRAMES = 20


def calibrate(taker: Taker, order: Order) -> Measured:
    """Return the illumination profile of every line. The sample is an even film.

    Raises `DataError` for a field that is saturated, dark or structured.
    """
    lines = taker.lines(order.lines_nm)
    percent = order.percent or PERCENT
    for nm in lines:
        taker.check(nm, percent, order.exposure_ms)
    taker.tell("dark frames", 0, len(lines) + 1)
    dark = taker.moments(None, 0.0, frames=DARK_FRAMES, exposure_ms=order.exposure_ms)
    values: dict[str, JsonValue] = {"percent": percent}
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for n, nm in enumerate(lines):
        taker.tell(f"{nm} nm", n + 1, len(lines) + 1)
        lit = taker.moments(
            nm, percent, frames=order.frames, exposure_ms=order.exposure_ms
        )
        found = profile_of(lit.mean, dark.mean, saturated=lit.saturated)
        arrays[f"relative_{nm}"] = found.relative
        values[f"{nm}"] = {
            "darkest": round(found.darkest, 4),
            "centre_x_px": round(found.centre_x_px, 2),
            "centre_y_px": round(found.centre_y_px, 2),
        }
    return Measured(values, arrays)
