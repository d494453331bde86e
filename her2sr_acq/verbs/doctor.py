"""``her2sr doctor``: is everything there and as it should be, before a run needs it.

Every device is opened, read back and left dark. A simulated microscope is started for
the examination and ended after it. A microscope that does not open is looked through
device by device, so that whoever reads it knows which one to walk to.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from her2sr_acq.checkup import host, light, microscope
from her2sr_acq.checkup.finding import Finding
from her2sr_acq.config import DeviceConfig, load
from her2sr_acq.devices.ports import Hardware, Seen
from her2sr_acq.errors import AcqError
from her2sr_acq.launcher import Launcher
from her2sr_acq.plan.load import known
from her2sr_acq.runtime import VARIABLE

SYSTEMS = {"linux": "linux", "win32": "windows"}


class Files(Protocol):
    """What the files of a configuration show without hardware."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong."""
        ...

    @property
    def unverified(self) -> tuple[str, ...]:
        """What no source says."""
        ...


class Adapters(Protocol):
    """Opens what a configuration names; `devices.registry` is one."""

    def open_hardware(self, config: DeviceConfig, config_path: Path, /) -> Hardware:
        """Open every device, dark."""
        ...

    def look_around(self, config: DeviceConfig, config_path: Path, /) -> list[Seen]:
        """Return what is there of a microscope that does not open."""
        ...

    def lint_presets(self, config: DeviceConfig, config_path: Path, /) -> list[str]:
        """Return a sentence for every fault of the presets."""
        ...

    def lint_files(self, config: DeviceConfig, config_path: Path, /) -> Files:
        """Return what the files alone show."""
        ...


def examine(
    config_path: Path,
    data: Path,
    *,
    adapters: Adapters | None = None,
    system: str = sys.platform,
) -> list[Finding]:
    """Look at everything and return what was found; a fault does not end the look.

    Raises `ConfigError` when the configuration itself cannot be read.
    """
    config = load(config_path)
    adapters = adapters or _adapters()
    findings = [Finding("configuration", True, f"{config.name}, {config_path}")]
    foreign = _foreign(config, system)
    if foreign is not None:
        findings.append(foreign)
    is_open = foreign is None and _look(config, config_path, adapters, findings)
    if config.simulator is None:
        findings += _files(config, config_path, adapters, is_open=is_open)
    findings.append(light.coverage(config))
    findings += [microscope.protocol(name, config, data) for name in known()]
    findings += [
        host.disk(config, data),
        host.clock(),
        host.permissions(data),
        host.latch(data),
    ]
    return findings


def _foreign(config: DeviceConfig, system: str) -> Finding | None:
    here = SYSTEMS.get(system, system)
    if config.platform in ("any", here):
        return None
    return Finding(
        "platform",
        False,
        f"this microscope's adapters exist for {config.platform} alone and this "
        f"computer runs {here}, so no device was opened; run the doctor on a "
        f"{config.platform} computer",
    )


def _look(
    config: DeviceConfig, path: Path, adapters: Adapters, findings: list[Finding]
) -> bool:
    """Add what the microscope shows; return whether it could be opened."""
    try:
        with _microscope(config, path) as runtime:
            findings += light.paths(config, runtime)
            try:
                findings += _devices(config, path, adapters)
            except AcqError as exc:
                findings += _absent(exc, _seen(adapters.look_around(config, path)))
                return False
            findings.append(microscope.presets(adapters.lint_presets(config, path)))
    except AcqError as exc:
        findings.append(Finding("microscope", False, str(exc)))
        return False
    return True


@contextmanager
def _microscope(config: DeviceConfig, path: Path) -> Iterator[Path]:
    """Start what stands behind simulated devices; yield its runtime folder."""
    if config.simulator is None:
        yield Path()
        return
    with tempfile.TemporaryDirectory(prefix="her2sr-doctor-") as folder:
        runtime = Path(folder) / "r"
        with (
            _variable(VARIABLE, str(runtime)),
            Launcher(path, Path(folder) / "data", only=("microscope",)),
        ):
            yield runtime


def _devices(config: DeviceConfig, path: Path, adapters: Adapters) -> list[Finding]:
    hardware = adapters.open_hardware(config, path)
    try:
        return microscope.devices(config, hardware)
    finally:
        hardware.close()


def _absent(exc: AcqError, seen: list[Finding]) -> list[Finding]:
    """Return what was seen of a microscope that did not open, devices by name."""
    bad = sum(not finding.is_good for finding in seen)
    said = f"it could not be opened: {bad} of {len(seen)} parts fail, as follows"
    return [Finding("microscope", False, said if bad else str(exc)), *seen]


def _seen(seen: list[Seen]) -> list[Finding]:
    return [
        Finding(
            one.subject,
            not one.cure,
            f"{one.detail}; {one.cure}" if one.cure else one.detail,
        )
        for one in seen
    ]


def _files(
    config: DeviceConfig, path: Path, adapters: Adapters, *, is_open: bool
) -> list[Finding]:
    """Look at the files alone; what a device has shown needs no source."""
    notes = [
        Finding("unverified", True, said, is_note=True) for said in config.unverified
    ]
    try:
        report = adapters.lint_files(config, path)
    except AcqError as exc:
        return [Finding("files", False, str(exc)), *notes]
    detail = "; ".join(report.faults) or "lines, names and presets fit together"
    if not is_open:
        notes += [
            Finding("unverified", True, said, is_note=True)
            for said in report.unverified
        ]
    return [Finding("files", not report.faults, detail), *notes]


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
