"""``her2sr calibrate pixel``: the size of a pixel, from moves of the stage."""

from __future__ import annotations

import numpy as np

from her2sr_acq.calibrating.order import Order
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.errors import PlanRejectedError
from her2sr_proc.errors import DataError
from her2sr_proc.shifts import shift_between
from her2sr_proc.stage_scale import pixel_size

PERCENT = 20.0
SHARE = 0.125
"""Of the frame's smaller side: how far the stage moves."""
PATTERN = ((1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (-1, -1), (1, -1), (-1, 1))
MOST_OFF = 0.01
"""Of the configured pixel: beyond it the card says so."""


def calibrate(taker: Taker, order: Order) -> Measured:
    """Return the size of a pixel and how camera and stage lie to each other.

    The sample is a bead film or a ruler; the stage comes back to where it was.

    Raises `DataError` for pictures that do not tell it.
    """
    nm = taker.lines(order.lines_nm)[0]
    percent = order.percent or PERCENT
    taker.check(nm, percent, order.exposure_ms)
    stage = taker.hardware.stage
    start = stage.position_um()
    model = taker.config.camera.model
    step_um = SHARE * min(taker.shape) * model.pixel_nm / 1000.0
    places = [(start[0] + i * step_um, start[1] + j * step_um) for i, j in PATTERN]
    _require_travel(taker, places)

    def picture() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        found = taker.moments(
            nm, percent, frames=order.frames, exposure_ms=order.exposure_ms
        )
        return np.asarray(found.mean)

    first = picture()
    if not shift_between(first, picture()).is_sure:
        raise DataError(
            "two pictures of the same place have nothing in common; use a bead film "
            "or a ruler, and focus on it"
        )
    moves, shifts = [], []
    try:
        for n, (x_um, y_um) in enumerate(places):
            taker.tell(f"move {n + 1}", n, len(places))
            stage.move_to(x_um=x_um, y_um=y_um)
            x, y = stage.position_um()
            moves.append((x - start[0], y - start[1]))
            shifts.append(shift_between(first, picture()))
    finally:
        stage.move_to(x_um=start[0], y_um=start[1])
    found = pixel_size(np.array(moves), shifts)
    off = found.pixel_nm / model.pixel_nm - 1.0
    return Measured(
        {
            "pixel_nm": round(found.pixel_nm, 3),
            "error_nm": round(found.error_nm, 3),
            "turn_deg": round(found.turn_deg, 3),
            "x_is_mirrored": found.x_is_mirrored,
            "y_is_mirrored": found.y_is_mirrored,
            "residual_px": round(found.residual_px, 3),
            "configured_pixel_nm": model.pixel_nm,
            "agrees": abs(off) <= MOST_OFF,
        }
    )


def _require_travel(taker: Taker, places: list[tuple[float, float]]) -> None:
    for axis, limits in ((0, taker.config.stage.x_um), (1, taker.config.stage.y_um)):
        for place in places:
            if not limits[0] <= place[axis] <= limits[1]:
                raise PlanRejectedError(
                    f"the moves would lead to {'xy'[axis]} = {place[axis]:.1f} um, and "
                    f"the stage goes from {limits[0]:g} to {limits[1]:g} um; begin "
                    f"farther from its end"
                )
