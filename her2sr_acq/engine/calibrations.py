"""Which calibrations of the data folder a run is taken with, and which it lacks.

Looks at files alone: a run that lacks one is refused before anything moves.
"""

from __future__ import annotations

from datetime import datetime

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.station import Station
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Protocol
from her2sr_proc.errors import DataError
from her2sr_proc.schema.calibration import (
    KINDS,
    CalibrationKind,
    CalibrationUse,
    RunCalibration,
)
from her2sr_proc.store.calibrations import Stored, copy_camera_maps, latest
from her2sr_proc.store.layout import DataFolder, RunFolder

DAY_S = 86_400.0
CLOCKS_DAYS = 0.01
"""By so much a clock may have been set back since."""


def require(protocol: Protocol, station: Station) -> None:
    """Raise `PlanRejectedError` for a calibration that is asked for and not in force.

    Asked for by the protocol or by the microscope's configuration.
    """
    for kind in required(protocol, station.config):
        stored, said = look(kind, station)
        if stored is None or said:
            is_asked = kind in protocol.calibration.require
            who = "the protocol" if is_asked else station.config.name
            raise PlanRejectedError(
                f"{who} requires the calibration '{kind}': {said}", kind=kind
            )


def required(protocol: Protocol, config: DeviceConfig) -> tuple[CalibrationKind, ...]:
    """Return the calibrations that a run may not do without."""
    wanted = {*protocol.calibration.require, *config.calibration.required}
    return tuple(kind for kind in KINDS if kind in wanted)


def look(kind: CalibrationKind, station: Station) -> tuple[Stored | None, str]:
    """Return the calibration that may be used, and what is wrong with it or its lack.

    An expired one may be used where none is required: it is still the best knowledge.
    """
    cure = f"run `her2sr calibrate {kind}`"
    try:
        stored = latest(station.data, kind)
    except DataError as exc:
        return None, str(exc)
    if stored is None:
        return None, f"there is none; {cure}"
    if said := _misfit(stored, station):
        return None, f"{said}; {cure}"
    age, days = age_days(stored, station.clock.utc()), _days(kind, station)
    if age < -CLOCKS_DAYS:
        return stored, (
            f"that of {stored.card.made_utc} is of the future; check the computer's "
            f"clock, then {cure}"
        )
    if age > days:
        return stored, (
            f"that of {stored.card.made_utc} is {age:.1f} days old and holds for "
            f"{days:g}, so it has expired; {cure}"
        )
    return stored, ""


def age_days(stored: Stored, now: datetime) -> float:
    """Return how old a calibration is; below 0: it is of the future."""
    made = datetime.fromisoformat(stored.card.made_utc)
    return (now - made).total_seconds() / DAY_S


def record(protocol: Protocol, station: Station, folder: RunFolder) -> RunCalibration:
    """Return what a run's manifest says, and put the camera's maps into its folder."""
    used, unused = [], []
    registration = None
    height, width = station.sensor_shape
    region = protocol.camera.roi or (0, 0, width, height)
    for kind in KINDS:
        stored, said = look(kind, station)
        if stored is None:
            if _any(station.data, kind):
                unused.append(f"the calibration '{kind}' was not used: {said}")
            continue
        digest = stored.card.arrays_sha256
        if kind == "camera":
            digest = copy_camera_maps(stored, folder, region=region)
        if kind == "beads":
            registration = stored.card.registration
        used.append(
            CalibrationUse(
                kind=kind,
                id=stored.card.id,
                made_utc=stored.card.made_utc,
                sha256=stored.sha256,
                arrays_sha256=digest,
                values=stored.card.values,
                age_days=max(0.0, round(age_days(stored, station.clock.utc()), 3)),
                expired=bool(said),
            )
        )
    return RunCalibration(
        used=tuple(used),
        unused=tuple(unused),
        registration=registration,
        crop=region[:2],
    )


def _any(data: DataFolder, kind: CalibrationKind) -> bool:
    return any(data.calibrations(kind).glob("*.json"))


def _days(kind: CalibrationKind, station: Station) -> float:
    return station.config.calibration.days(kind)


def _misfit(stored: Stored, station: Station) -> str:
    """Return why a calibration is of another instrument; empty: it is not."""
    card = stored.card
    found = card.frame_height, card.frame_width
    wanted = station.sensor_shape
    if card.configuration != station.config.name:
        return (
            f"that of {card.made_utc} is of '{card.configuration}' and this is "
            f"'{station.config.name}'"
        )
    if card.kind in ("camera", "beads", "flat") and found != wanted:
        return (
            f"that of {card.made_utc} is of {found[0]} x {found[1]} pixels and the "
            f"camera has {wanted[0]} x {wanted[1]}"
        )
    return ""
