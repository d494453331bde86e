"""The focus drive over MMCore."""

from __future__ import annotations

import time
from collections.abc import Callable

from her2sr_acq.config_focus import FocusConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.motion import (
    Drive,
    check_arrival,
    check_limits,
    check_start,
)
from her2sr_acq.devices.mmcore.speech import speaking_to


class MMFocus:
    """The focus port over MMCore."""

    def __init__(
        self,
        handle: CoreHandle,
        config: FocusConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read the position once.

        Raises `DeviceError` when it does not answer or is outside its limits.
        """
        self._handle = handle
        self._config = config
        self._drive = Drive.of(handle, config, clock, sleep)
        check_start(config.label, {"z": self.position_um()}, {"z": config.z_um})

    def move_to(self, *, z_um: float) -> None:
        """Move, wait, read back. Raises `ReadBackError` outside the tolerance."""
        label = self._config.label
        check_limits(label, {"z": z_um}, {"z": self._config.z_um})
        with speaking_to(label):
            self._handle.core.setPosition(label, z_um)
        self._drive.wait()
        found = {"z": self.position_um()}
        check_arrival(label, {"z": z_um}, found, tolerance_um=self._config.tolerance_um)

    def move_by(self, *, dz_um: float) -> None:
        """Move relative to where it is, wait, read back; raises as `move_to`."""
        label = self._config.label
        wanted = {"z": self.position_um() + dz_um}
        check_limits(label, wanted, {"z": self._config.z_um})
        with speaking_to(label):
            self._handle.core.setRelativePosition(label, dz_um)
        self._drive.wait()
        found = {"z": self.position_um()}
        check_arrival(label, wanted, found, tolerance_um=self._config.tolerance_um)

    def position_um(self) -> float:
        """Return z as read from the device."""
        with speaking_to(self._config.label):
            return float(self._handle.core.getPosition(self._config.label))
