"""One laser line over MMCore, in its adapter's own vocabulary."""

from __future__ import annotations

import time
from collections.abc import Callable

from her2sr_acq.config import LaserConfig
from her2sr_acq.devices.errand import Errand
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.speech import same_value, speaking_to
from her2sr_acq.errors import (
    ConfigError,
    DeviceError,
    DeviceTimeoutError,
    LightError,
    ReadBackError,
)

LEAST = 0.01
"""Below this fraction of full scale a tolerance is taken of this fraction."""

OFF_S = 2.0
"""How long a line may take to answer that it is shut."""
SLICE_S = 0.1
UNITS = {"percent": "%"}


class MMLaser:
    """The laser port over MMCore. Shares no lock: may be shut from any thread."""

    def __init__(
        self,
        handle: CoreHandle,
        config: LaserConfig,
        *,
        sleep: Callable[[float], None] = time.sleep,
        off_s: float = OFF_S,
    ) -> None:
        """Check the names and shut the line.

        Raises `ConfigError` for a property that is not there, `DeviceError` when the
        device does not answer, `LightError` when it does not report the line off.
        """
        self._handle = handle
        self._config = config
        self._power_label = config.power_label or config.label
        self._unit = UNITS.get(config.power_unit, config.power_unit)
        self._sleep = sleep
        self._shutting = Errand(
            f"the {config.nm} nm laser", self._shut, timeout_s=off_s
        )
        self._check_properties()
        self.off()

    @property
    def nm(self) -> int:
        """Wavelength."""
        return self._config.nm

    def set_power(self, percent: float) -> None:
        """Set the power and read it back. Raises `ReadBackError`.

        Above the limit the device is not touched.
        """
        limit = self._config.limit_percent
        if not 0.0 <= percent <= limit:
            asked_mw = percent / 100.0 * self._config.rated_mw
            raise DeviceError(
                f"the {self.nm} nm laser takes 0 to {limit:g} %, and {percent:g} % was "
                f"asked for ({asked_mw:g} mW, and its limit is "
                f"{self._config.limit_mw:g} mW); lower power_percent",
                device=self._config.label,
                limit_percent=limit,
            )
        value = percent / 100.0 * self._config.power_full_scale
        name = self._config.power_property
        with speaking_to(self._power_label):
            self._handle.core.setProperty(self._power_label, name, round(value, 6))
        self._wait(self._config.settle_ms)
        self._compare(self._read(self._power_label, name), value, f"'{name}'")

    def on(self) -> None:
        """Let light out; raise when the device does not report it on."""
        self._switch(on=True)
        if not self.is_on():
            raise ReadBackError(
                f"the {self.nm} nm laser was switched on and does not report it; check "
                f"key, interlock and shutter",
                device=self._config.label,
            )
        self._wait(self._config.emission_delay_ms)
        if self._config.readback_property is not None:
            power = self._read(self._power_label, self._config.power_property)
            self._compare(self._measured(), power, "the measured output")

    def off(self) -> None:
        """Shut the light; raise `LightError` when the device does not report it off.

        From any thread. A device that does not answer is a `LightError`, too.
        """
        self.begin_off()()

    def begin_off(self) -> Callable[[], None]:
        """Begin to shut the light; return what waits for it, and raises as `off`."""
        finish = self._shutting.begin()

        def wait() -> None:
            try:
                finish()
            except DeviceTimeoutError as exc:
                raise LightError(
                    f"{exc} when it was shut; switch it off by hand", nm=self.nm
                ) from exc

        return wait

    def _shut(self) -> None:
        self._switch(on=False)
        is_dark = not self.is_on()
        if is_dark and self._config.readback_property is not None:
            is_dark = abs(self._measured()) <= LEAST * self._config.power_full_scale
        if not is_dark:
            raise LightError(
                f"the {self.nm} nm laser was switched off and does not report it; "
                f"switch it off by hand",
                nm=self.nm,
            )

    def is_on(self) -> bool:
        """Return what the device reports. Anything but its word for off is on."""
        label, name = self._config.label, self._config.enable_property
        with speaking_to(label):
            if name is None:
                return bool(self._handle.core.getShutterOpen(label))
            found = str(self._handle.core.getProperty(label, name))
        return not same_value(found, self._config.off_value)

    def readings(self) -> dict[str, str]:
        """Return emission, set point and, if measured, output as the device says."""
        config = self._config
        values = {
            "emission": "on" if self.is_on() else "off",
            "power": str(self._read(self._power_label, config.power_property)),
            "limit_percent": f"{config.limit_percent:g}",
        }
        if config.readback_property is not None:
            values["output"] = str(self._measured())
        return values

    def _switch(self, *, on: bool) -> None:
        label, name = self._config.label, self._config.enable_property
        with speaking_to(label):
            if name is None:
                self._handle.core.setShutterOpen(label, on)
            else:
                value = self._config.on_value if on else self._config.off_value
                self._handle.core.setProperty(label, name, value)
            self._handle.core.waitForDevice(label)

    def _wait(self, ms: float) -> None:
        """Sleep in slices, so that who lends `sleep` may act in between."""
        left = ms / 1000.0
        while left > 0.0:
            self._sleep(min(left, SLICE_S))
            left -= SLICE_S

    def _measured(self) -> float:
        return self._read(self._power_label, str(self._config.readback_property))

    def _read(self, label: str, name: str) -> float:
        with speaking_to(label):
            return float(self._handle.core.getProperty(label, name))

    def _compare(self, found: float, wanted: float, what: str) -> None:
        config = self._config
        allowed = config.tolerance * max(abs(wanted), LEAST * config.power_full_scale)
        if not abs(found - wanted) <= allowed:
            raise ReadBackError(
                f"the {self.nm} nm laser was set to {wanted:g} {self._unit} and {what} "
                f"of {self._power_label} reads {found:g} {self._unit}; check its mode "
                f"and its warm-up",
                device=self._power_label,
            )

    def _check_properties(self) -> None:
        config, core = self._config, self._handle.core
        wanted = {
            (config.label, config.enable_property),
            (self._power_label, config.power_property),
            (self._power_label, config.readback_property),
        }
        for label, name in sorted((a, b) for a, b in wanted if b is not None):
            with speaking_to(label):
                has_it = core.hasProperty(label, name)
            if not has_it:
                raise ConfigError(
                    f"the {self.nm} nm laser: {label} has no property '{name}'; "
                    f"correct the laser's names in the configuration",
                    device=label,
                )
