"""From a device configuration to open hardware: the one place that chooses adapters."""

from __future__ import annotations

from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.hardware import MMHardware
from her2sr_acq.devices.ports import Hardware


def open_hardware(config: DeviceConfig, config_path: Path) -> Hardware:
    """Open every device, with all light off. The caller owns the call of `close`.

    Raises `DeviceError`, or `ConfigError` when only names and sizes are wrong, naming
    every device that failed.
    """
    return MMHardware(config, config_path)


def lint_presets(config: DeviceConfig, config_path: Path) -> list[str]:
    """Open the devices, and return a sentence for every preset fault of the cfg.

    No sentence: every preset names what there is. Raises as `open_hardware`.
    """
    hardware = MMHardware(config, config_path)
    try:
        return hardware.lint()
    finally:
        hardware.close()
