"""``her2sr calibrate power``: mW in the sample plane per percent of each line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import JsonValue

from her2sr_acq.calibrating.order import MeterStep, Order
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import U16, Taker
from her2sr_acq.plan.estimate import wall_exposure_ms
from her2sr_proc.errors import DataError

MOST_BENT = 0.1
"""Of the largest reading, by which one may lie off a straight line."""
LEAST_MW = 0.001
STEADY_SHARE = 0.3
"""Of a step's readings, from its start, while light and meter settle."""


def calibrate(taker: Taker, order: Order) -> Measured:
    """Light every line at a few powers and note the meter.

    Without a meter in the configuration the steps wait for a person's readings.
    """
    steps: list[MeterStep] = []
    lines = taker.lines(order.lines_nm)
    wall_ms = wall_exposure_ms(order.exposure_ms, taker.config)
    frames = max(4, round(order.seconds * 1000.0 / wall_ms))
    for nm in lines:
        limit = order.percent or taker.config.laser(nm).limit_percent
        taker.check(nm, limit, order.exposure_ms)
    for nm in lines:
        limit = order.percent or taker.config.laser(nm).limit_percent
        for n in range(order.steps):
            percent = round(limit * (n + 1) / order.steps, 3)
            taker.tell(
                f"{nm} nm at {percent:g} %", len(steps), len(lines) * order.steps
            )
            steps.append(_metered(taker, nm, percent, frames, order.exposure_ms))
    if taker.hardware.meter is None:
        return Measured({}, steps=tuple(steps))
    return Measured(values_of(steps))


def values_of(steps: Sequence[MeterStep]) -> dict[str, JsonValue]:
    """Return mW per percent of every line.

    Raises
    ------
    DataError
        A meter that shows nothing, or light that does not follow its setting.
    """
    values: dict[str, JsonValue] = {}
    for nm in sorted({step.laser_nm for step in steps}):
        own = [step for step in steps if step.laser_nm == nm]
        percent = np.array([step.percent for step in own])
        mw = np.array([step.mw or 0.0 for step in own])
        if not mw.max() > LEAST_MW:
            raise DataError(
                f"the meter shows no light of the {nm} nm laser; put its head under "
                f"the objective, and set its wavelength"
            )
        slope = float(percent @ mw / (percent @ percent))
        bent = float(np.abs(mw - slope * percent).max() / mw.max())
        if bent > MOST_BENT:
            raise DataError(
                f"the light of the {nm} nm laser is {100 * bent:.0f} % off a straight "
                f"line through its settings; check the readings and the laser"
            )
        values[str(nm)] = {
            "mw_per_percent": round(slope, 6),
            "bend": round(bent, 4),
            "percent": percent.tolist(),
            "mw": mw.tolist(),
        }
    return values


def _metered(
    taker: Taker, nm: int, percent: float, frames: int, exposure_ms: float
) -> MeterStep:
    meter = taker.hardware.meter
    readings: list[float] = []

    def read(_: U16) -> None:
        if meter is not None:
            readings.append(meter.power_mw())

    taker.lit(nm, percent, frames=frames, exposure_ms=exposure_ms, add=read)
    steady = readings[int(STEADY_SHARE * len(readings)) :]
    mw = round(float(np.median(steady)), 4) if steady else None
    return MeterStep(laser_nm=nm, percent=percent, mw=mw)
