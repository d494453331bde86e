"""What of a microscope is there, when not all of it is.

For people who must find the one device that is off: everything is tried, nothing is
given up, light is shut first, and all of it is let go again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.camera import MMCamera
from her2sr_acq.devices.mmcore.cfg import DeviceLine
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.focus import MMFocus
from her2sr_acq.devices.mmcore.laser import MMLaser
from her2sr_acq.devices.mmcore.lock import open_lock
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.devices.mmcore.stage import MMStage
from her2sr_acq.devices.mmcore.watch import MMWatch
from her2sr_acq.devices.mmcore.wheel import MMFilterWheel
from her2sr_acq.devices.ports import Seen
from her2sr_acq.errors import AcqError

log = logging.getLogger(__name__)


def survey(config: DeviceConfig, config_path: Path) -> list[Seen]:
    """Return what is there and what is not: devices, then what they are used for.

    Raises `AcqError` when not even the files can be read.
    """
    handle = CoreHandle(config, config_path, is_partial=True)
    try:
        devices = [_device(handle, line, config) for line in handle.cfg.devices()]
        _start(handle)
        return devices + list(_roles(handle, config))
    finally:
        try:
            handle.close()
        except AcqError as exc:
            log.warning("System/Shutdown could not be applied whole: %s", exc)


def _device(handle: CoreHandle, line: DeviceLine, config: DeviceConfig) -> Seen:
    adapter = f"{line.library}/{line.name}"
    fault = handle.absent.get(line.label, "").removeprefix(f"{line.label}: ")
    if not fault:
        return Seen(f"device {line.label}", f"{adapter} answers", "")
    return Seen(f"device {line.label}", fault, _cure(handle, line, config))


def _cure(handle: CoreHandle, line: DeviceLine, config: DeviceConfig) -> str:
    parents = {
        words[0]: words[1]
        for command, words in ((ln.command, ln.arguments) for ln in handle.cfg.lines)
        if command == "Parent" and len(words) == 2
    }
    if not line.is_python and line.library not in handle.core.getDeviceAdapterNames():
        return (
            f"install the adapter '{line.library}' of Micro-Manager for this computer, "
            f"or correct its name in {config.mmcore.cfg}"
        )
    if line.library == "SerialManager":
        return "plug in its adapter, and let this user open the port"
    if parents.get(line.label) in handle.absent:
        return f"bring up its hub '{parents[line.label]}' first"
    return (
        f"switch it on, check its cable and its names and port in {config.mmcore.cfg}, "
        f"and end every other program that holds it"
    )


def _start(handle: CoreHandle) -> None:
    """Apply System/Startup as far as its devices are there; faults show elsewhere."""
    for setting in handle.cfg.settings():
        if (setting.group, setting.preset) != ("System", "Startup"):
            continue
        if setting.device in handle.absent:
            continue
        try:
            with speaking_to(setting.device):
                handle.core.setProperty(setting.device, setting.property, setting.value)
        except AcqError as exc:
            log.info("System/Startup: %s", exc)


def _roles(handle: CoreHandle, config: DeviceConfig) -> Iterator[Seen]:
    uses: list[tuple[str, str, Callable[[], object]]] = [
        (f"laser {line.nm}", line.label, partial(MMLaser, handle, line))
        for line in config.lasers
    ]
    buffer_mb = config.mmcore.buffer_mb
    camera = partial(MMCamera, handle, config.camera, buffer_mb=buffer_mb)
    uses += [
        ("camera", config.camera.label, camera),
        ("stage", config.stage.label, partial(MMStage, handle, config.stage)),
        ("focus", config.focus.label, partial(MMFocus, handle, config.focus)),
    ]
    if (lock := config.focus.lock) is not None:
        uses.append(("focus lock", lock.label, partial(open_lock, handle, lock)))
    if (wheel := config.filter_wheel) is not None:
        turn = partial(MMFilterWheel, handle, wheel)
        uses.append(("filter wheel", wheel.label, turn))
    uses += [
        (watch.name, watch.label, partial(MMWatch, handle, watch))
        for watch in config.all_watches()
    ]
    declared = [line.label for line in handle.cfg.devices()]
    for role, label, use in uses:
        if label not in declared:
            yield Seen(
                role,
                f"{handle.cfg.path.name} declares no device '{label}'",
                f"name one that it declares: {', '.join(declared)}",
            )
            continue
        if label in handle.absent:
            yield Seen(role, f"{label} is not there", f"see device {label}")
            continue
        try:
            use()
        except AcqError as exc:
            yield Seen(role, str(exc), "see the manual of the device")
        else:
            yield Seen(role, f"{label} does as it should", "")
