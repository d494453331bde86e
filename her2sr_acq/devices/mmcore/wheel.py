"""The wheel or turret of emission filters over MMCore: a state device with labels."""

from __future__ import annotations

import time
from collections.abc import Callable

from her2sr_acq.config_wheel import FilterWheelConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.motion import Drive
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import ConfigError, ReadBackError


class MMFilterWheel:
    """The filter wheel port over MMCore."""

    def __init__(
        self,
        handle: CoreHandle,
        config: FilterWheelConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read its labels and where it stands; turn nothing.

        Raises `DeviceError` when it does not answer, `ConfigError` when it is no state
        device or has no position of a label that the configuration names.
        """
        self._handle = handle
        self._config = config
        self._drive = Drive.of(handle, config, clock, sleep, can_stop=False)
        self._states = self._read_states()
        for label in config.labels:
            if label not in self._states:
                raise ConfigError(
                    f"filter_wheel: {config.label} has no position '{label}'; it has "
                    f"{', '.join(self._states)}; correct it, or name the position by a "
                    f"'Label,{config.label},number,{label}' line in the cfg",
                    device=config.label,
                )
        self.position()

    def turn_to(self, position: str) -> None:
        """Turn, wait, read back. Raises `ReadBackError` when it stands elsewhere."""
        label = self._config.label
        with speaking_to(label):
            self._handle.core.setStateLabel(label, position)
        self._drive.wait()
        found = self.position()
        if not found:
            raise ReadBackError(
                f"{label}: the filter wheel was turned to '{position}' and stands "
                f"between two positions; check that it turns freely",
                device=label,
            )
        if found != position:
            raise ReadBackError(
                f"{label}: the filter wheel was turned to '{position}' and reads "
                f"'{found}'; check that it turns freely, and its cable",
                device=label,
            )

    def position(self) -> str:
        """Return the label of where it stands; empty: between positions, or unsure.

        Number and label are read and must agree, so that a label which the core or an
        adapter remembers does not pass for the place where the wheel is.
        """
        label, core = self._config.label, self._handle.core
        with speaking_to(label):
            number, found = int(core.getState(label)), str(core.getStateLabel(label))
        return found if self._states.get(found) == number else ""

    def _read_states(self) -> dict[str, int]:
        from pymmcore_plus import DeviceType  # slow to import, and loaded by now

        label, core = self._config.label, self._handle.core
        with speaking_to(label):
            is_state = core.getDeviceType(label) == DeviceType.State
        if not is_state:
            raise ConfigError(
                f"filter_wheel: {label} is no state device, such as a wheel or a "
                f"turret; name one that the cfg declares",
                device=label,
            )
        with speaking_to(label):
            names = [str(name) for name in core.getStateLabels(label)]
            return {name: int(core.getStateFromLabel(label, name)) for name in names}
