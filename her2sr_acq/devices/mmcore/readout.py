"""Read-out modes and region of a camera of MMCore: set, and read back.

A call that the core accepts is not yet a setting that the camera has.
"""

from __future__ import annotations

from her2sr_acq.config import CameraConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.speech import same_value, speaking_to
from her2sr_acq.devices.ports import Roi
from her2sr_acq.errors import ConfigError, DeviceError, ReadBackError


class ReadOut:
    """The read-out modes of one camera, and the settings it had when it was opened."""

    def __init__(self, handle: CoreHandle, config: CameraConfig) -> None:
        """Keep the present value of every property that some mode changes.

        Raises `ConfigError` for a property that the camera does not have.
        """
        self._handle = handle
        self._label = config.label
        self._modes = config.readout_modes
        names = [name for mode in self._modes.values() for name in mode]
        for name in names:
            with speaking_to(self._label):
                has_it = handle.core.hasProperty(self._label, name)
            if not has_it:
                raise ConfigError(
                    f"camera.readout_modes: {self._label} has no property '{name}'; "
                    f"correct it",
                    device=self._label,
                )
        self._home = {name: self._read(name) for name in dict.fromkeys(names)}

    def choose(self, mode: str | None) -> None:
        """Set a mode, the properties of other modes as they were at the start.

        Raises `DeviceError` for an unknown mode, `ReadBackError` when a value does not
        stick.
        """
        if mode is not None and mode not in self._modes:
            known = ", ".join(sorted(self._modes)) or "none"
            raise DeviceError(
                f"{self._label} has no read-out mode '{mode}'; there is: {known}",
                device=self._label,
            )
        chosen = self._modes[mode] if mode is not None else {}
        wanted = {k: v for k, v in self._home.items() if k not in chosen} | chosen
        for name, value in wanted.items():
            if not same_value(self._read(name), value):
                with speaking_to(self._label):
                    self._handle.core.setProperty(self._label, name, value)
                    self._handle.core.waitForDevice(self._label)
        # Only now: one setting may have changed another.
        for name, value in wanted.items():
            self._compare(name, value)

    def _compare(self, name: str, value: str) -> None:
        found = self._read(name)
        if not same_value(found, value):
            raise ReadBackError(
                f"{self._label}: '{name}' was set to '{value}' and reads '{found}'; "
                f"correct camera.readout_modes",
                device=self._label,
            )

    def _read(self, name: str) -> str:
        with speaking_to(self._label):
            return str(self._handle.core.getProperty(self._label, name))


class Region:
    """The region of interest of one camera."""

    def __init__(self, handle: CoreHandle, config: CameraConfig) -> None:
        """Keep the region of the whole frame, which must be the configured one.

        Raises `ConfigError` when the frames are not what the configuration says.
        """
        self._handle = handle
        self._label = config.label
        wanted = (config.height, config.width)
        if self.shape != wanted:
            with speaking_to(self._label):
                handle.core.clearROI()
        if self.shape != wanted:
            raise ConfigError(
                f"{self._label} has frames of {self.shape} pixels, and the "
                f"configuration says {wanted}; correct camera.height and camera.width",
                device=self._label,
            )
        self._whole = self._read()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame, read from the device."""
        with speaking_to(self._label):
            core = self._handle.core
            return core.getImageHeight(), core.getImageWidth()

    def choose(self, roi: Roi | None) -> bool:
        """Set the region; None: the whole frame. Return whether it had to change.

        Raises `DeviceError` for a region beyond the frame, which some cameras take,
        `ReadBackError` when the camera reports another one.
        """
        wanted = self._whole if roi is None else roi
        self._require_inside(wanted)
        if has_changed := self._read() != wanted:
            # Cleared first: some adapters count from the corner of the present region.
            with speaking_to(self._label):
                self._handle.core.clearROI()
            if self._read() != wanted:
                with speaking_to(self._label):
                    self._handle.core.setROI(self._label, *wanted)
        found, shape = self._read(), self.shape
        if found != wanted or shape != (wanted[3], wanted[2]):
            raise ReadBackError(
                f"{self._label}: the region was set to {_said(wanted)} and reads "
                f"{_said(found)}, with frames of {shape} pixels; choose a region that "
                f"the camera can do",
                device=self._label,
            )
        return has_changed

    def _require_inside(self, wanted: Roi) -> None:
        (x, y, width, height), (x0, y0, columns, rows) = wanted, self._whole
        if x < x0 or y < y0 or x + width > x0 + columns or y + height > y0 + rows:
            raise DeviceError(
                f"{self._label}: the region {_said(wanted)} does not lie in the frame "
                f"of {columns} x {rows} pixels; choose another",
                device=self._label,
            )

    def _read(self) -> Roi:
        with speaking_to(self._label):
            x, y, width, height = self._handle.core.getROI(self._label)
        return int(x), int(y), int(width), int(height)


def _said(roi: Roi) -> str:
    x, y, width, height = roi
    return f"x {x}, y {y}, {width} x {height}"
