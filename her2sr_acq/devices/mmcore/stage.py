"""The xy stage over MMCore."""

from __future__ import annotations

import time
from collections.abc import Callable

from her2sr_acq.config import StageConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.motion import (
    Drive,
    check_arrival,
    check_limits,
    check_start,
)
from her2sr_acq.devices.mmcore.speech import speaking_to


class MMStage:
    """The stage port over MMCore."""

    def __init__(
        self,
        handle: CoreHandle,
        config: StageConfig,
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
        found = dict(zip(("x", "y"), self.position_um(), strict=True))
        check_start(config.label, found, {"x": config.x_um, "y": config.y_um})

    def move_to(self, *, x_um: float, y_um: float) -> None:
        """Move, wait, read back. Raises `ReadBackError` outside the tolerance."""
        label = self._config.label
        target = {"x": x_um, "y": y_um}
        check_limits(label, target, {"x": self._config.x_um, "y": self._config.y_um})
        with speaking_to(label):
            self._handle.core.setXYPosition(label, x_um, y_um)
        self._drive.wait()
        found = dict(zip(("x", "y"), self.position_um(), strict=True))
        check_arrival(label, target, found, tolerance_um=self._config.tolerance_um)

    def position_um(self) -> tuple[float, float]:
        """Return x and y as read from the device."""
        with speaking_to(self._config.label):
            x_um, y_um = self._handle.core.getXYPosition(self._config.label)
        return float(x_um), float(y_um)
