"""``her2sr doctor``: is everything there and as it should be, before a run needs it.

Every device is opened, read back and left dark. A simulated microscope is started for
the examination and ended after it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from her2sr_acq.config import DeviceConfig, load
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.errors import AcqError, DeviceError
from her2sr_acq.launcher import Launcher
from her2sr_acq.plan.estimate import estimate
from her2sr_acq.plan.load import known, packaged
from her2sr_acq.runtime import VARIABLE
from her2sr_acq.verbs.foresight import check_early, free_space

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
CLOCK_PAUSE_S = 0.05
CLOCK_SLACK_S = 0.5


class Adapters(Protocol):
    """Opens what a configuration names; `devices.registry` is one."""

    def open_hardware(self, config: DeviceConfig, config_path: Path, /) -> Hardware:
        """Open every device, dark."""
        ...

    def lint_presets(self, config: DeviceConfig, config_path: Path, /) -> list[str]:
        """Return a sentence for every fault of the presets."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_good: bool
    detail: str

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def examine(
    config_path: Path, data: Path, *, adapters: Adapters | None = None
) -> list[Finding]:
    """Look at everything and return what was found; a fault does not end the look.

    Raises `ConfigError` when the configuration itself cannot be read.
    """
    config = load(config_path)
    findings = [Finding("configuration", True, f"{config.name}, {config_path}")]
    try:
        with _microscope(config, config_path):
            adapters = adapters or _adapters()
            findings += _devices(config, config_path, adapters)
            findings.append(_presets(adapters.lint_presets(config, config_path)))
    except AcqError as exc:
        findings.append(Finding("microscope", False, str(exc)))
    findings += [_protocol(name, config, data) for name in known()]
    findings += [_disk(config, data), _clock(), _permissions(data)]
    return findings


@contextmanager
def _microscope(config: DeviceConfig, path: Path) -> Iterator[None]:
    """Start what stands behind simulated devices; nothing for a real microscope."""
    if config.simulator is None:
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="her2sr-doctor-") as folder,
        _variable(VARIABLE, str(Path(folder) / "r")),
        Launcher(path, Path(folder) / "data", only=("microscope",)),
    ):
        yield


def _devices(config: DeviceConfig, path: Path, adapters: Adapters) -> list[Finding]:
    hardware = adapters.open_hardware(config, path)
    try:
        return [
            _dark(hardware),
            _camera(config, hardware),
            _place(config, hardware),
            *(
                Finding(
                    f"{reading.role} {reading.label}",
                    True,
                    f"{reading.adapter}: "
                    + ", ".join(f"{k}={v}" for k, v in reading.values.items()),
                )
                for reading in hardware.readings()
            ),
        ]
    finally:
        hardware.close()


def _dark(hardware: Hardware) -> Finding:
    try:
        hardware.dark()
        lit = [nm for nm, laser in hardware.lasers.items() if laser.is_on()]
    except DeviceError as exc:
        return Finding("light", False, f"not proven off: {exc}")
    if lit:
        return Finding("light", False, f"on after it was shut: {lit} nm")
    lines = ", ".join(f"{nm}" for nm in sorted(hardware.lasers))
    return Finding("light", True, f"every line reports off ({lines} nm)")


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


def _presets(faults: list[str]) -> Finding:
    detail = "; ".join(faults) or "every one names devices and values that exist"
    return Finding("presets", not faults, detail)


def _protocol(name: str, config: DeviceConfig, data: Path) -> Finding:
    subject = f"protocol {name}"
    try:
        protocol = packaged(name)
        check_early(protocol, config, free_bytes=sys.maxsize)
    except AcqError as exc:
        return Finding(subject, False, str(exc))
    cost = estimate(protocol, config)
    fits = "" if cost.bytes < free_space(data) else ", more than is free here"
    return Finding(
        subject,
        True,
        f"{cost.fields} fields, {cost.frames} frames, {cost.duration_s / 60:.0f} min, "
        f"{cost.bytes / 1e9:.1f} GB{fits}",
    )


def _disk(config: DeviceConfig, data: Path) -> Finding:
    free = free_space(data)
    frame = 2 * config.camera.height * config.camera.width
    return Finding(
        "disk",
        free > 5000 * frame,
        f"{free / 1e9:.1f} GB free at {data.resolve()}, room for {free // frame} "
        f"frames (a burst has up to 5000)",
    )


def _clock() -> Finding:
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_PAUSE_S)
    slip = abs((time.time() - wall) - (time.monotonic() - steady))
    synchronized = (
        "synchronized" if SYNCHRONIZED.exists() else "synchronization unknown"
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if slip > CLOCK_SLACK_S:
        return Finding("clock", False, f"the wall clock jumped by {slip:.1f} s")
    return Finding("clock", True, f"{now}, {synchronized}")


def _permissions(data: Path) -> Finding:
    place = data.resolve()
    while not place.exists():
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("permissions", True, f"{place} can be written")
    return Finding(
        "permissions", False, f"{place} cannot be written; choose another data folder"
    )


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for as long as the devices need it."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if former is None:
            del os.environ[name]
        else:
            os.environ[name] = former


def _adapters() -> Adapters:
    from her2sr_acq.devices import registry  # MMCore is slow to import

    return registry
