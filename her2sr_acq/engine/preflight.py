"""What would keep a run from starting now, line by line, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from her2sr_acq.engine import calibrations
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.views import Check, Preflight, RunRequest
from her2sr_acq.errors import AcqError
from her2sr_acq.plan import limits
from her2sr_acq.plan.estimate import Estimate, estimate
from her2sr_acq.plan.models import Protocol
from her2sr_proc.schema.manifest import FieldFacts


def preflight(
    request: RunRequest,
    protocol: Protocol,
    tiles: tuple[FieldFacts, ...],
    station: Station,
    *,
    busy_with: str,
    free_bytes: int,
) -> Preflight:
    """Return every check of a request. Touches no device."""
    config = station.for_protocol(protocol).config
    cost = estimate(protocol, config)
    checks = (
        _plan(protocol, tiles, station, free_bytes),
        _room(cost, station),
        _latch(station),
        _calibration(protocol, station),
        *_conditions(station),
        _queue(busy_with, request),
    )
    begins = request.not_before or station.clock.utc()
    return Preflight(
        ok=all(check.ok for check in checks),
        checks=checks,
        estimate=cost,
        finish_utc=_stamp(begins + timedelta(seconds=cost.duration_s)),
    )


def refused(exc: AcqError) -> Preflight:
    """Return the pre-flight of a request that could not even be read as a plan."""
    return Preflight(
        ok=False, checks=(Check(subject="plan", ok=False, detail=str(exc)),)
    )


def _plan(
    protocol: Protocol,
    tiles: tuple[FieldFacts, ...],
    station: Station,
    free_bytes: int,
) -> Check:
    try:
        limits.check(protocol, tiles, station.config, free_bytes=free_bytes)
    except AcqError as exc:
        return Check(subject="plan", ok=False, detail=str(exc))
    return Check(
        subject="plan",
        ok=True,
        detail=f"{len(tiles)} fields, {len(protocol.channels)} channels, within limits",
    )


def _room(cost: Estimate, station: Station) -> Check:
    trouble = station.room.trouble(cost.bytes)
    detail = trouble or f"room for {cost.bytes / 1e9:.1f} GB without compression"
    return Check(subject="disk", ok=not trouble, detail=detail)


def _latch(station: Station) -> Check:
    latched = station.guard.latched
    detail = f"{latched}; find out why, then rearm" if latched else "not latched"
    return Check(subject="guard", ok=not latched, detail=detail)


def _calibration(protocol: Protocol, station: Station) -> Check:
    try:
        calibrations.require(protocol, station)
    except AcqError as exc:
        return Check(subject="calibration", ok=False, detail=str(exc))
    wanted = calibrations.required(protocol, station.config)
    detail = f"in force: {', '.join(wanted)}" if wanted else "none is required"
    return Check(subject="calibration", ok=True, detail=detail)


def _conditions(station: Station) -> Iterator[Check]:
    watches = {watch.name for watch in station.hardware.watches}
    troubles = station.safety.troubles
    for trouble in troubles:
        yield Check(subject="microscope", ok=False, detail=trouble)
    if not troubles:
        detail = f"{len(watches)} interlocks and conditions are good"
        yield Check(subject="microscope", ok=True, detail=detail)


def _queue(busy_with: str, request: RunRequest) -> Check:
    if not busy_with:
        return Check(subject="free", ok=True, detail="no run has the microscope")
    waits = request.queue or request.not_before is not None
    cure = "it waits in the queue" if waits else "wait for its end, or queue this run"
    return Check(
        subject="free", ok=waits, detail=f"run {busy_with} has the microscope; {cure}"
    )


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
