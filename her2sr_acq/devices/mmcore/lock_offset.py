"""Where the plane that a focus lock holds is chosen: in the core, a property, a stage.

In the device's own unit; what it is in micrometres the lock's configuration tells.
"""

from __future__ import annotations

from typing import Protocol

from her2sr_acq.config_focus import FocusLockConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.motion import Drive
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import ConfigError


class Offset(Protocol):
    """Where the plane that is held is read and chosen, in the device's own unit."""

    def write(self, value: float) -> None:
        """Choose it."""
        ...

    def read(self) -> float:
        """Return it."""
        ...


class CoreOffset:
    """The offset of MMCore's autofocus device."""

    def __init__(self, handle: CoreHandle) -> None:
        self._handle = handle

    def write(self, value: float) -> None:
        """Choose the plane that is held."""
        self._handle.core.setAutoFocusOffset(value)

    def read(self) -> float:
        """Return the plane that is held."""
        return float(self._handle.core.getAutoFocusOffset())


class PropertyOffset:
    """An offset that is a property of the lock, where it has one."""

    def __init__(self, handle: CoreHandle, config: FocusLockConfig) -> None:
        self._handle = handle
        self._config = config

    def write(self, value: float) -> None:
        """Choose the plane that is held. Raises `ConfigError` without a property."""
        name = self._name()
        self._handle.core.setProperty(self._config.label, name, round(value, 6))

    def read(self) -> float:
        """Return the plane that is held. Raises `ConfigError` without a property."""
        return float(self._handle.core.getProperty(self._config.label, self._name()))

    def _name(self) -> str:
        if self._config.offset_property is None:
            raise ConfigError(
                f"the plane that {self._config.label} holds cannot be chosen: give "
                f"focus.lock.offset_property"
            )
        return self._config.offset_property


class StageOffset:
    """An offset that is a stage device of its own, such as that of Nikon's PFS."""

    def __init__(
        self, handle: CoreHandle, label: str, *, timeout_s: float, lock: str
    ) -> None:
        """Read it once. Raises `ConfigError` when there is no such device."""
        self._handle = handle
        self._label = label
        self._drive = Drive(handle, label, timeout_s=timeout_s, settle_s=0.0)
        if label not in handle.core.getLoadedDevices():
            raise ConfigError(
                f"focus.lock: there is no device '{label}' for the offset of {lock}; "
                f"correct offset_device",
                device=lock,
            )
        with speaking_to(label):
            self.read()

    def write(self, value: float) -> None:
        """Choose the plane that is held, and wait."""
        self._handle.core.setPosition(self._label, value)
        self._drive.wait()

    def read(self) -> float:
        """Return the plane that is held."""
        return float(self._handle.core.getPosition(self._label))


def offset_of(handle: CoreHandle, config: FocusLockConfig) -> Offset:
    """Return where the plane that a lock holds is chosen."""
    if config.offset_device is not None:
        return StageOffset(
            handle,
            config.offset_device,
            timeout_s=config.timeout_s,
            lock=config.label,
        )
    if config.kind == "autofocus":
        return CoreOffset(handle)
    return PropertyOffset(handle, config)
