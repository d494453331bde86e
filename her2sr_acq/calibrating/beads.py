"""``her2sr calibrate beads``: where each colour lies, across and along the axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from her2sr_acq.calibrating.order import Order
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.errors import PlanRejectedError
from her2sr_proc.beads import Bead, bead_finder, bright_spots, follow
from her2sr_proc.errors import DataError
from her2sr_proc.localizer import Localizer
from her2sr_proc.registration import LEAST_BEADS, register
from her2sr_proc.schema.calibration import (
    REFERENCE_NM,
    AffineTransform,
    ChannelRegistration,
    Registration,
)
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.table import Localizations
from her2sr_proc.through_focus import offset_um

F64 = npt.NDArray[np.float64]
PERCENT = 20.0
FRAMES = 8
MOST_SATURATED = 0.5


@dataclass(frozen=True, slots=True)
class _Stack:
    z_um: F64
    planes: dict[int, list[Localizations]]


def calibrate(taker: Taker, order: Order, camera: CameraMaps) -> Measured:
    """Return the registration of all colours. The sample is a film of beads.

    The first look is at the present place and plane: a film without beads is refused
    before anything moves. The focus comes back to where it was.

    Raises `DataError` for too few, uneven or saturated beads.
    """
    lines = taker.lines(order.lines_nm)
    if REFERENCE_NM not in lines:
        raise PlanRejectedError(
            f"colours are registered to {REFERENCE_NM} nm, which is not among the "
            f"lines; add it"
        )
    percent = order.percent or PERCENT
    for nm in lines:
        taker.check(nm, percent, order.exposure_ms)
    planes_um = _planes(taker, order)
    finder = bead_finder(camera, pixel_nm=taker.config.camera.model.pixel_nm)
    _look(taker, order, finder, percent)
    stack = _through_focus(taker, order, finder, lines, percent, planes_um)
    found = {nm: _followed(nm, stack) for nm in lines}
    return _registered(taker, found, stack)


def _planes(taker: Taker, order: Order) -> F64:
    """Return the planes, upwards. Raises `PlanRejectedError` beyond a limit."""
    middle = taker.hardware.focus.position_um()
    half = int(np.floor(order.range_um / order.step_um + 1e-9))
    planes = middle + order.step_um * np.arange(-half, half + 1)
    low, high = taker.config.focus.z_um
    if planes[0] < low or planes[-1] > high:
        raise PlanRejectedError(
            f"the stack would reach from z = {planes[0]:.2f} to {planes[-1]:.2f} um, "
            f"and the focus goes from {low:g} to {high:g} um; lower --range-um"
        )
    return np.asarray(planes)


def _look(taker: Taker, order: Order, finder: Localizer, percent: float) -> None:
    taker.tell("looking for beads", 0, 1)
    frames = taker.stack(
        REFERENCE_NM, percent, frames=FRAMES, exposure_ms=order.exposure_ms
    )
    spots, saturated = bright_spots(finder, frames)
    if saturated > MOST_SATURATED:
        raise DataError(
            f"{100 * saturated:.0f} % of the beads are saturated; lower --percent or "
            f"--exposure-ms"
        )
    if len(spots) < LEAST_BEADS:
        raise DataError(
            f"{len(spots)} fiducials are seen at {REFERENCE_NM} nm and {LEAST_BEADS} "
            f"are needed; put a film of beads of all colours under the objective, and "
            f"focus on it"
        )


def _through_focus(
    taker: Taker,
    order: Order,
    finder: Localizer,
    lines: tuple[int, ...],
    percent: float,
    planes_um: F64,
) -> _Stack:
    """Take all colours plane by plane, so that a drift along the axis cancels."""
    focus = taker.hardware.focus
    start = focus.position_um()
    z_um: list[float] = []
    planes: dict[int, list[Localizations]] = {nm: [] for nm in lines}
    try:
        for n, plane in enumerate(planes_um):
            focus.move_to(z_um=float(plane))
            z_um.append(focus.position_um())
            for nm in lines:
                taker.tell(f"plane {n + 1}, {nm} nm", n, len(planes_um))
                frames = taker.stack(
                    nm, percent, frames=FRAMES, exposure_ms=order.exposure_ms
                )
                planes[nm].append(bright_spots(finder, frames)[0])
    finally:
        focus.move_to(z_um=start)
    return _Stack(np.array(z_um), planes)


def _followed(nm: int, stack: _Stack) -> Bead:
    try:
        return follow(stack.z_um, stack.planes[nm])
    except DataError as exc:
        raise DataError(f"{nm} nm: {exc}") from exc


def _registered(taker: Taker, found: dict[int, Bead], stack: _Stack) -> Measured:
    pixel_nm = taker.config.camera.model.pixel_nm
    height, width = taker.shape
    frame_nm = (width * pixel_nm, height * pixel_nm)
    reference = found[REFERENCE_NM]
    channels = []
    values: dict[str, JsonValue] = {"planes": len(stack.z_um)}
    for nm, beads in found.items():
        if nm == REFERENCE_NM:
            transform, fiducials, residual = AffineTransform(), len(beads.xy_nm), 0.0
            away, error = 0.0, 0.0
        else:
            transform, fiducials, residual, away, error = _against(
                nm, beads, reference, frame_nm
            )
        channels.append(
            ChannelRegistration(
                laser_nm=nm,
                to_reference=transform,
                fiducials=fiducials,
                residual_nm=round(residual, 2),
                focus_offset_um=round(away, 4),
                focus_error_um=round(error, 4),
                focal_depth_um=round(beads.curve.depth_um, 4),
                spot_sigma_nm=round(beads.curve.sigma_nm, 2),
            )
        )
        values[str(nm)] = {"beads": fiducials, "residual_nm": round(residual, 2)}
    return Measured(values, registration=Registration(channels=tuple(channels)))


def _against(
    nm: int, beads: Bead, reference: Bead, frame_nm: tuple[float, float]
) -> tuple[AffineTransform, int, float, float, float]:
    try:
        own = np.flatnonzero(np.isfinite(beads.xy_nm[:, 0]))
        fixed = np.flatnonzero(np.isfinite(reference.xy_nm[:, 0]))
        fit = register(beads.xy_nm[own], reference.xy_nm[fixed], frame_nm=frame_nm)
        mine, theirs = own[fit.kept[:, 0]], fixed[fit.kept[:, 1]]
        away, error = offset_um(beads.curve.z_um[mine], reference.curve.z_um[theirs])
    except DataError as exc:
        raise DataError(f"{nm} nm: {exc}") from exc
    return fit.transform, fit.pairs, fit.residual_nm, away, error
