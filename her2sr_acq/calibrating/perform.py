"""One order from hardware to card. Knows no process and no terminal."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.calibrating import beads, camera, flat, pixel, power
from her2sr_acq.calibrating.order import MeterStep, Order, Outcome
from her2sr_acq.calibrating.result import Measured
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.clock import Clock
from her2sr_proc.schema.calibration import CalibrationCard, CalibrationKind
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.store.calibrations import latest, write_calibration
from her2sr_proc.store.camera_maps import read_camera_maps
from her2sr_proc.store.layout import DataFolder


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card goes, and what it says of its instrument."""

    data: DataFolder
    config: DeviceConfig
    config_sha256: str
    clock: Clock


def perform(order: Order, taker: Taker, place: Place) -> Outcome:
    """Carry out an order and write its card. Raises `AcqError` or `ProcError`."""
    found = _measured(order, taker, place)
    if found.steps:
        return Outcome(steps=found.steps)
    return store(order, found, place)


def store(order: Order, found: Measured, place: Place) -> Outcome:
    """Write a card with its arrays; return where it stands."""
    now, config = place.clock.utc(), place.config
    card = CalibrationCard(
        kind=order.kind,
        id=now.strftime("%Y%m%dT%H%M%SZ"),
        made_utc=place.clock.stamp(),
        operator=order.operator,
        configuration=config.name,
        configuration_sha256=place.config_sha256,
        simulated=config.simulator is not None,
        frame_height=config.camera.height,
        frame_width=config.camera.width,
        values=found.values,
        registration=found.registration,
    )
    stored = write_calibration(place.data, card, found.arrays)
    return Outcome(card=str(stored.path), values=stored.card.values)


def from_readings(order: Order, steps: tuple[MeterStep, ...], place: Place) -> Outcome:
    """Write the card of powers that a person read. Raises `DataError`."""
    return store(order, Measured(power.values_of(steps)), place)


def _measured(order: Order, taker: Taker, place: Place) -> Measured:
    kind: CalibrationKind = order.kind
    if kind == "camera":
        return camera.calibrate(taker, order)
    if kind == "beads":
        return beads.calibrate(taker, order, _camera_maps(place))
    if kind == "power":
        return power.calibrate(taker, order)
    if kind == "flat":
        return flat.calibrate(taker, order)
    return pixel.calibrate(taker, order)


def _camera_maps(place: Place) -> CameraMaps:
    """Return the newest maps of this camera, or one camera for all pixels."""
    model = place.config.camera.model
    shape = place.config.camera.height, place.config.camera.width
    stored = latest(place.data, "camera")
    if stored is None or stored.card.configuration != place.config.name:
        return CameraMaps.uniform(model, shape)
    if (stored.card.frame_height, stored.card.frame_width) != shape:
        return CameraMaps.uniform(model, shape)
    return read_camera_maps(stored.arrays, model, shape)
