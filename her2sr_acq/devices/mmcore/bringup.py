"""Loads the devices of a ``.cfg`` one by one, going on after those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from her2sr_acq.devices.mmcore.cfg import CfgFile
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import AcqError

if TYPE_CHECKING:
    from pymmcore_plus.experimental.unicore import UniMMCore


def bring_up(core: UniMMCore, cfg: CfgFile) -> dict[str, str]:
    """Load and initialize every device; return why each that failed did.

    The core must be empty. No preset is applied.
    """
    absent: dict[str, str] = {}
    for device in cfg.devices():
        try:
            with speaking_to(device.label):
                core.loadDevice(device.label, device.library, device.name)
        except AcqError as exc:
            absent.setdefault(device.label, str(exc))
    _apply_pre_init(core, cfg, absent)
    loaded = set(core.getLoadedDevices())
    for label in (device.label for device in cfg.devices() if device.label in loaded):
        try:
            with speaking_to(label):
                core.initializeDevice(label)
        except AcqError as exc:
            absent.setdefault(label, str(exc))
    _name_positions(core, cfg, absent)
    return absent


def _name_positions(core: UniMMCore, cfg: CfgFile, absent: dict[str, str]) -> None:
    """Give wheels and turrets the labels of the file, which the yaml calls them by."""
    for line in cfg.lines:
        if line.command != "Label" or line.arguments[0] in absent:
            continue
        device, number, label = line.arguments[:3]
        try:
            with speaking_to(device):
                core.defineStateLabel(device, int(number), label)
        except (AcqError, ValueError) as exc:
            absent.setdefault(device, f"{device}: position {number}: {exc}")


def _apply_pre_init(core: UniMMCore, cfg: CfgFile, absent: dict[str, str]) -> None:
    for line in cfg.lines:
        if line.command == "Property" and line.arguments[:1] == ("Core",):
            if line.arguments[1:] == ("Initialize", "1"):
                break
            continue
        if line.command not in ("Property", "Parent"):
            continue
        if line.arguments[0] in absent:
            continue
        try:
            with speaking_to(line.arguments[0]):
                if line.command == "Parent":
                    core.setParentLabel(*line.arguments[:2])
                else:
                    core.setProperty(*line.arguments[:3])
        except AcqError as exc:
            absent.setdefault(line.arguments[0], str(exc))
