"""From a device configuration to open hardware: the one place that chooses adapters."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.hardware import MMHardware
from her2sr_acq.devices.ports import Hardware


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


def lint_presets(config: DeviceConfig, config_path: Path) -> list[str]:
    """Open the devices, and return a sentence for every preset fault of the cfg.

    No sentence: every preset names what there is. Raises as `open_hardware`.
    """
    hardware = MMHardware(config, config_path)
    try:
        return hardware.lint()
    finally:
        hardware.close()
