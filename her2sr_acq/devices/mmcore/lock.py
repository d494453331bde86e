"""The focus lock over MMCore: as its autofocus device, or by a device's properties.

A state that reads well once is not believed: some adapters report an old one, so that
two readings in a row have to agree (mmCoreAndDevices#982).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from her2sr_acq.config_focus import FocusLockConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.lock_offset import Offset, offset_of
from her2sr_acq.devices.mmcore.motion import check_limits
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.devices.ports import FocusLock
from her2sr_acq.errors import AcqError, ConfigError, FocusError, ReadBackError

AGREEING = 2
"""So many readings in a row have to say that the focus is held."""
OFFSET_TOLERANCE_UM = 0.05


class Dialect(Protocol):
    """How one kind of lock is spoken to."""

    def prepare(self) -> None:
        """Bring it where it can lock."""
        ...

    def switch(self, *, on: bool) -> None:
        """Tell it to lock, or to let go."""
        ...

    def is_locked(self) -> bool:
        """Return what it reports."""
        ...

    def state(self) -> str:
        """Return its own word."""
        ...


class MMFocusLock:
    """The focus lock port over MMCore, whatever it is spoken to in."""

    def __init__(
        self,
        config: FocusLockConfig,
        dialect: Dialect,
        offset: Offset,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read the state once. Raises `DeviceError` when there is no answer."""
        self._config = config
        self._dialect = dialect
        self._offset = offset
        self._clock = clock
        self._sleep = sleep
        self.state()

    def engage(self) -> None:
        """Lock where it is, wait, read back. Raises `FocusError`, released then."""
        try:
            with speaking_to(self._config.label):
                self._dialect.prepare()
                self._dialect.switch(on=True)
            self._await_lock()
        except AcqError as exc:
            self._let_go()
            if isinstance(exc, FocusError):
                raise
            raise FocusError(f"{exc}; the focus lock cannot be used") from exc

    def release(self) -> None:
        """Let go; the focus stays where it is."""
        with speaking_to(self._config.label):
            self._dialect.switch(on=False)

    def is_locked(self) -> bool:
        """Return whether the device reports now that it holds the focus."""
        with speaking_to(self._config.label):
            return self._dialect.is_locked()

    def state(self) -> str:
        """Return the device's own word for what it does."""
        with speaking_to(self._config.label):
            return self._dialect.state()

    def set_offset(self, um: float) -> None:
        """Choose the plane that is held, and read it back.

        Raises `DeviceError` beyond its limits, where nothing moves, and
        `ReadBackError`.
        """
        if self._config.offset_um is not None:
            limits = {"offset": self._config.offset_um}
            check_limits(self._config.label, {"offset": um}, limits)
        with speaking_to(self._config.label):
            self._offset.write(um / self._config.unit_um)
        found = self.offset_um()
        if not abs(found - um) <= OFFSET_TOLERANCE_UM:
            raise ReadBackError(
                f"{self._config.label}: the offset was set to {um:.2f} um and reads "
                f"{found:.2f} um; check offset_unit_um and the device's own limits",
                device=self._config.label,
            )

    def offset_um(self) -> float:
        """Return the plane that is held, from the device's own zero."""
        with speaking_to(self._config.label):
            return self._offset.read() * self._config.unit_um

    def _await_lock(self) -> None:
        deadline = self._clock() + self._config.timeout_s
        agreeing = 0
        while agreeing < AGREEING:
            agreeing = agreeing + 1 if self.is_locked() else 0
            if agreeing == 0 and self.state() in self._config.failed_values:
                deadline = -math.inf
            if agreeing < AGREEING and self._clock() >= deadline:
                raise FocusError(
                    f"{self._config.label} did not lock within "
                    f"{self._config.timeout_s:g} s and reads '{self.state()}'; check "
                    f"the immersion oil, its calibration and that a slide is there",
                    device=self._config.label,
                )
            self._sleep(self._config.poll_ms / 1000.0)

    def _let_go(self) -> None:
        try:
            self.release()
        except AcqError as exc:
            raise FocusError(
                f"{self._config.label} did not lock, and does not let go either: {exc}",
                device=self._config.label,
            ) from exc


class AutoFocusDialect:
    """MMCore's own calls for an autofocus device, such as Nikon's PFS."""

    def __init__(self, handle: CoreHandle, config: FocusLockConfig) -> None:
        """Make it the core's autofocus device. Raises `DeviceError` when it is none."""
        self._handle = handle
        with speaking_to(config.label):
            handle.core.setAutoFocusDevice(config.label)

    def prepare(self) -> None:
        """Do nothing: the device has one switch."""

    def switch(self, *, on: bool) -> None:
        """Tell it to lock, or to let go."""
        self._handle.core.enableContinuousFocus(on)

    def is_locked(self) -> bool:
        """Return what it reports."""
        return bool(self._handle.core.isContinuousFocusLocked())

    def state(self) -> str:
        """Return ``off``, ``searching`` or ``locked``."""
        core = self._handle.core
        if not core.isContinuousFocusEnabled():
            return "off"
        return "locked" if core.isContinuousFocusLocked() else "searching"


class PropertyDialect:
    """A lock that is a device with a state to read and to set, such as ASI's CRISP."""

    def __init__(self, handle: CoreHandle, config: FocusLockConfig) -> None:
        """Check the names. Raises `ConfigError` for a property that is not there."""
        self._handle = handle
        self._config = config
        for name in (config.state_property, config.offset_property):
            with speaking_to(config.label):
                has_it = name is None or handle.core.hasProperty(config.label, name)
            if not has_it:
                raise ConfigError(
                    f"focus.lock: {config.label} has no property '{name}'; correct it",
                    device=config.label,
                )

    def prepare(self) -> None:
        """Set the state from which it locks, where it has one."""
        if self._config.ready_value is not None:
            self._set_state(self._config.ready_value)

    def switch(self, *, on: bool) -> None:
        """Tell it to lock, or to let go."""
        config = self._config
        self._set_state(config.lock_value if on else config.release_value)

    def is_locked(self) -> bool:
        """Return what it reports."""
        return self.state() in self._config.locked_values

    def state(self) -> str:
        """Return its own word."""
        return self._read(self._config.state_property)

    def _set_state(self, value: str) -> None:
        core, label = self._handle.core, self._config.label
        core.setProperty(label, self._config.state_property, value)

    def _read(self, name: str) -> str:
        return str(self._handle.core.getProperty(self._config.label, name))


def open_lock(handle: CoreHandle, config: FocusLockConfig | None) -> FocusLock | None:
    """Return the focus lock of a configuration; None when it names none.

    Raises `ConfigError` for names that are not there, `DeviceError` without an answer.
    """
    if config is None:
        return None
    is_core = config.kind == "autofocus"
    dialect = AutoFocusDialect if is_core else PropertyDialect
    return MMFocusLock(config, dialect(handle, config), offset_of(handle, config))
