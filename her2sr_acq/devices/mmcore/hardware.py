"""Everything wired to one microscope, over one MMCore."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.mmcore.camera import MMCamera
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.focus import MMFocus
from her2sr_acq.devices.mmcore.laser import MMLaser
from her2sr_acq.devices.mmcore.lint import lint
from her2sr_acq.devices.mmcore.lock import open_lock
from her2sr_acq.devices.mmcore.meter import MMMeter
from her2sr_acq.devices.mmcore.speech import same_value, speaking_to
from her2sr_acq.devices.mmcore.stage import MMStage
from her2sr_acq.devices.mmcore.watch import MMWatch
from her2sr_acq.devices.mmcore.wheel import MMFilterWheel
from her2sr_acq.devices.ports import (
    Camera,
    FilterWheel,
    Focus,
    FocusLock,
    Laser,
    Meter,
    Reading,
    Stage,
    Watch,
)
from her2sr_acq.devices.travel import ClearedStage
from her2sr_acq.errors import (
    AcqError,
    ConfigError,
    DeviceError,
    LightError,
    ReadBackError,
)

Opened = TypeVar("Opened")

log = logging.getLogger(__name__)

PIXEL_TOLERANCE = 0.001


class MMHardware:
    """The hardware port over MMCore. Open it once, close it once."""

    def __init__(
        self,
        config: DeviceConfig,
        config_path: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open every device and leave every light off.

        Waits while there is light are cut into short calls of ``sleep``. Raises
        `DeviceError` naming every device that failed.
        """
        self._config = config
        self._handle = CoreHandle(config, config_path)
        self._faults: list[AcqError] = []
        handle = self._handle
        self._attempt(self._apply_settings)
        # Light first: what comes after may take long.
        lines = {
            line.nm: self._attempt(partial(MMLaser, handle, line, sleep=sleep))
            for line in config.lasers
        }
        camera = self._attempt(
            partial(MMCamera, handle, config.camera, buffer_mb=config.mmcore.buffer_mb)
        )
        stage = self._attempt(partial(MMStage, handle, config.stage))
        focus = self._attempt(partial(MMFocus, handle, config.focus))
        lock = self._attempt(partial(open_lock, handle, config.focus.lock))
        watches = [
            self._attempt(partial(MMWatch, handle, watch))
            for watch in config.all_watches()
        ]
        wheel = (
            None
            if config.filter_wheel is None
            else self._attempt(partial(MMFilterWheel, handle, config.filter_wheel))
        )
        meter = (
            None
            if config.meter is None
            else self._attempt(partial(MMMeter, handle, config.meter))
        )
        self._attempt(self._check_pixel_size)
        if camera is None or stage is None or focus is None or self._faults:
            self._give_up()
        self.camera: Camera = camera
        self.stage: Stage = _cleared(stage, focus, lock, config)
        self.focus: Focus = focus
        self.lock: FocusLock | None = lock
        self.wheel: FilterWheel | None = wheel
        self.meter: Meter | None = meter
        self.watches: Sequence[Watch] = [w for w in watches if w is not None]
        self._lines = {nm: line for nm, line in lines.items() if line is not None}
        self.lasers: Mapping[int, Laser] = self._lines

    def dark(self) -> None:
        """Shut every line, going on after a failure; then raise what failed."""
        faults = []
        # Begun together, so that none waits for one that hangs.
        for finish in [line.begin_off() for line in self._lines.values()]:
            try:
                finish()
            except AcqError as exc:
                faults.append(str(exc))
        if faults:
            raise LightError("; ".join(faults))

    def readings(self) -> list[Reading]:
        """Return what every device says of itself."""
        roles = {
            self._config.camera.label: "camera",
            self._config.stage.label: "stage",
            self._config.focus.label: "focus",
        }
        if self._config.focus.lock is not None:
            roles[self._config.focus.lock.label] = "focus lock"
        if self._config.filter_wheel is not None:
            roles[self._config.filter_wheel.label] = "filter wheel"
        lasers = [
            self._reading(line.label, f"laser {line.nm}", self._lines[line.nm].readings)
            for line in self._config.lasers
        ]
        said = {reading.label for reading in lasers}
        others = [
            self._reading(label, roles.get(label, "other"), partial(self._all, label))
            for label in (device.label for device in self._handle.cfg.devices())
            if label not in said
        ]
        return lasers + sorted(others, key=lambda reading: reading.role == "other")

    def lint(self) -> list[str]:
        """Return one sentence for everything wrong with the presets."""
        return lint(self._handle.core, self._handle.cfg)

    def close(self) -> None:
        """Shut the light, disconnect. Safe to call twice."""
        if not self._handle.is_open:
            return
        try:
            self.camera.disarm()
        except AcqError:
            log.exception("the camera did not stop before it was closed")
        try:
            self.dark()
        finally:
            self._handle.close()

    def _reading(
        self, label: str, role: str, read: Callable[[], dict[str, str]]
    ) -> Reading:
        try:
            with speaking_to(label):
                core = self._handle.core
                library, name = core.getDeviceLibrary(label), core.getDeviceName(label)
            return Reading(label, role, f"{library}/{name}", read())
        except AcqError as exc:
            return Reading(label, role, "", {"fault": str(exc)})

    def _all(self, label: str) -> dict[str, str]:
        with speaking_to(label):
            core = self._handle.core
            values = {
                str(name): str(core.getProperty(label, name))
                for name in core.getDevicePropertyNames(label)
            }
        if label == self._config.stage.label:
            x_um, y_um = self.stage.position_um()
            values |= {"x_um": f"{x_um:.3f}", "y_um": f"{y_um:.3f}"}
        if label == self._config.focus.label:
            values["z_um"] = f"{self.focus.position_um():.3f}"
        return values

    def _attempt(self, act: Callable[[], Opened]) -> Opened | None:
        try:
            return act()
        except AcqError as exc:
            self._faults.append(exc)
            return None

    def _give_up(self) -> NoReturn:
        name, faults = self._config.name, self._faults
        try:
            self._handle.close()
        except AcqError:
            log.exception("closing after a failed start failed too")
        said = "; ".join(dict.fromkeys(map(str, faults)))
        raise _gravest(faults)(f"{name} could not be opened: {said}") from faults[0]

    def _apply_settings(self) -> None:
        """Set what the yaml asks for beyond the presets, and read it back."""
        core = self._handle.core
        for label, settings in self._config.mmcore.settings.items():
            for name, value in settings.items():
                with speaking_to(label):
                    core.setProperty(label, name, value)
                    core.waitForDevice(label)
                    found = str(core.getProperty(label, name))
                if not same_value(found, value):
                    raise ReadBackError(
                        f"{label}: '{name}' was set to '{value}' and reads '{found}'; "
                        f"correct it under mmcore.settings",
                        device=label,
                    )

    def _check_pixel_size(self) -> None:
        """Refuse a pixel size in the cfg that is not the one results will use."""
        with speaking_to("pixel size"):
            found_nm = 1000.0 * self._handle.core.getPixelSizeUm()
        wanted_nm = self._config.camera.model.pixel_nm
        if found_nm and abs(found_nm - wanted_nm) > PIXEL_TOLERANCE * wanted_nm:
            raise ConfigError(
                f"{self._handle.cfg.path.name} gives a pixel of {found_nm:g} nm for "
                f"the present objective, and camera.model.pixel_nm says "
                f"{wanted_nm:g}; correct the wrong one"
            )


def _cleared(
    stage: Stage, focus: Focus, lock: FocusLock | None, config: DeviceConfig
) -> Stage:
    """Return the stage, with the focus lowered for long moves where that is asked."""
    if config.focus.travel_z_um is None:
        return stage
    return ClearedStage(
        stage,
        focus,
        lock=lock,
        long_um=config.stage.long_travel_um,
        clear_z_um=config.focus.travel_z_um,
    )


def _gravest(faults: Sequence[AcqError]) -> type[AcqError]:
    if any(isinstance(fault, LightError) for fault in faults):
        return LightError
    is_config = all(isinstance(fault, ConfigError) for fault in faults)
    return ConfigError if is_config else DeviceError
