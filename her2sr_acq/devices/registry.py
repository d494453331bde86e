"""From a device configuration to open hardware: the one place that chooses adapters."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.cfg import CfgFile
from her2sr_acq.devices.mmcore.hardware import MMHardware
from her2sr_acq.devices.mmcore.lint_static import StaticReport, lint_static
from her2sr_acq.devices.mmcore.survey import survey
from her2sr_acq.devices.ports import Hardware, Seen


def open_hardware(
    config: DeviceConfig,
    config_path: Path,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Hardware:
    """Open every device, with all light off. The caller owns the call of `close`.

    Waits while there is light are cut into calls of ``sleep`` of 0.1 s at most.

    Raises `DeviceError`, or `ConfigError` when only names and sizes are wrong, naming
    every device that failed.
    """
    return MMHardware(config, config_path, sleep=sleep)


def look_around(config: DeviceConfig, config_path: Path) -> list[Seen]:
    """Return what is there and what is not of a microscope that does not open.

    Light is shut where it can be, and everything let go again. Raises `AcqError` when
    not even the files can be read.
    """
    return survey(config, config_path)


def lint_files(config: DeviceConfig, config_path: Path) -> StaticReport:
    """Return what the files alone show. Raises `ConfigError` without a cfg."""
    return lint_static(config, CfgFile(config_path.parent / config.mmcore.cfg))


def lint_presets(config: DeviceConfig, config_path: Path) -> list[str]:
    """Open the devices, and return a sentence for every preset fault of the cfg.

    No sentence: every preset names what there is. Raises as `open_hardware`.
    """
    hardware = MMHardware(config, config_path)
    try:
        return hardware.lint()
    finally:
        hardware.close()
