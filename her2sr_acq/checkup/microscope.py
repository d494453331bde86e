"""What an open microscope shows of itself, and what protocols would find on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from her2sr_acq.checkup import light
from her2sr_acq.checkup.finding import Finding
from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.errors import AcqError
from her2sr_acq.plan.estimate import estimate
from her2sr_acq.plan.foresight import check_early, free_space
from her2sr_acq.plan.load import packaged


def devices(config: DeviceConfig, hardware: Hardware) -> list[Finding]:
    """Look at every device; the light is shut for it. Raises `DeviceError`."""
    return [
        light.dark(hardware),
        *light.watches(hardware),
        _camera(config, hardware),
        _place(config, hardware),
        *_filters(config, hardware),
        *(
            Finding(
                f"{reading.role} {reading.label}",
                "fault" not in reading.values,
                f"{reading.adapter}: "
                + ", ".join(f"{k}={v}" for k, v in reading.values.items()),
            )
            for reading in hardware.readings()
        ),
    ]


def presets(faults: list[str]) -> Finding:
    """Tell what a look at the presets found."""
    detail = "; ".join(faults) or "every one names devices and values that exist"
    return Finding("presets", not faults, detail)


def protocol(name: str, config: DeviceConfig, data: Path) -> Finding:
    """Look whether a packaged protocol could be run on this microscope."""
    subject = f"protocol {name}"
    try:
        found = packaged(name)
        check_early(found, config, free_bytes=sys.maxsize)
    except AcqError as exc:
        return Finding(subject, False, str(exc))
    cost = estimate(found, config)
    fits = "" if cost.bytes < free_space(data) else ", more than is free here"
    return Finding(
        subject,
        True,
        f"{cost.fields} fields, {cost.frames} frames, {cost.duration_s / 60:.0f} min, "
        f"{cost.bytes / 1e9:.1f} GB{fits}",
    )


def _camera(config: DeviceConfig, hardware: Hardware) -> Finding:
    expected = (config.camera.height, config.camera.width)
    found = hardware.camera.shape
    if found != expected:
        return Finding(
            "frame size",
            False,
            f"the camera delivers {found[0]} x {found[1]}, the configuration says "
            f"{expected[0]} x {expected[1]}; change one of them",
        )
    return Finding("frame size", True, f"{found[0]} x {found[1]} pixels")


def _filters(config: DeviceConfig, hardware: Hardware) -> Iterator[Finding]:
    """Tell which colour is seen through which filter, and where the wheel stands."""
    if config.filter_wheel is None or hardware.wheel is None:
        return
    lines = config.filter_wheel.lines
    pairs = ", ".join(f"{nm} nm by {lines[nm]}" for nm in sorted(lines))
    missing = sorted({laser.nm for laser in config.lasers} - set(lines))
    place = hardware.wheel.position()
    if not place:
        detail = "it stands between two positions; turn it by hand, check its cable"
    elif missing:
        without = ", ".join(map(str, missing))
        detail = f"{pairs}; no filter for {without} nm; it stands at {place}"
    else:
        detail = f"{pairs}; it stands at {place}"
    yield Finding("filter wheel", bool(place), detail)


def _place(config: DeviceConfig, hardware: Hardware) -> Finding:
    x_um, y_um = hardware.stage.position_um()
    z_um = hardware.focus.position_um()
    where = f"x {x_um:.1f}, y {y_um:.1f}, z {z_um:.2f} um"
    ranges = (config.stage.x_um, config.stage.y_um, config.focus.z_um)
    inside = all(
        low <= value <= high
        for value, (low, high) in zip((x_um, y_um, z_um), ranges, strict=True)
    )
    if inside:
        return Finding("position", True, where)
    return Finding("position", False, f"{where}, outside the soft limits; move it back")
