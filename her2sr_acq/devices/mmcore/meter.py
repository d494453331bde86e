"""A power meter that MMCore knows: one property of one device."""

from __future__ import annotations

import math

from her2sr_acq.config import MeterConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import ConfigError, DeviceError


class MMMeter:
    """The meter port over MMCore."""

    def __init__(self, handle: CoreHandle, config: MeterConfig) -> None:
        """Check the names. Raises `ConfigError` for a property that is not there."""
        self._handle = handle
        self._config = config
        with speaking_to(config.label):
            has_it = handle.core.hasProperty(config.label, config.property)
        if not has_it:
            raise ConfigError(
                f"the power meter {config.label} has no property '{config.property}'; "
                f"correct meter.property in the configuration",
                device=config.label,
            )

    def power_mw(self) -> float:
        """Return what it reads now. Raises `DeviceError` when that is no number."""
        config = self._config
        with speaking_to(config.label):
            said = str(self._handle.core.getProperty(config.label, config.property))
        try:
            value = float(said)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DeviceError(
                f"the power meter {config.label} reads '{said}', which is no number; "
                f"check its range and its cable",
                device=config.label,
            )
        return value * (1000.0 if config.unit == "W" else 1.0)
