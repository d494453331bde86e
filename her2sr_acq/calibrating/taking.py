"""Frames for a calibration, under the rules of a burst: lit while frames are taken.

Light goes through the engine's own burst, with its permit, its read-backs and its
darkness in `finally`. Dark frames are taken with every line proven off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Frame, Hardware
from her2sr_acq.engine.burst import SLICE_S, Burst
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.dose import DoseBook
from her2sr_acq.engine.outcome import Light
from her2sr_acq.errors import (
    CameraStalledError,
    DeviceError,
    LightError,
    PlanRejectedError,
    RunConflictError,
)
from her2sr_acq.plan.estimate import wall_exposure_ms
from her2sr_acq.plan.filters import filter_of
from her2sr_acq.plan.models import CameraPlan, Channel
from her2sr_proc.photon_transfer import Moments
from her2sr_proc.schema.manifest import FieldFacts

U16 = npt.NDArray[np.uint16]
Add = Callable[[U16], None]
Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


def lines_of(config: DeviceConfig, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lines that are asked for, longest wavelength first; none: all.

    Raises `PlanRejectedError` for one that is not there.
    """
    known = sorted((laser.nm for laser in config.lasers), reverse=True)
    for nm in wanted:
        if nm not in known:
            raise PlanRejectedError(
                f"{config.name} has no laser of {nm} nm; choose of "
                f"{', '.join(map(str, known))}",
                nm=nm,
            )
    return tuple(nm for nm in known if not wanted or nm in wanted)


def check_light(
    config: DeviceConfig, nm: int, percent: float, exposure_ms: float
) -> None:
    """Raise `PlanRejectedError` for what is beyond a limit, or without a filter."""
    laser = config.laser(nm)
    filter_of(str(nm), nm, "", config)
    if percent > laser.limit_percent:
        raise PlanRejectedError(
            f"{percent:g} % of the {nm} nm laser is above its limit of "
            f"{laser.limit_percent:g} %; lower --percent, or choose another --line",
            nm=nm,
        )
    low, high = config.camera.exposure_ms
    if not low <= exposure_ms <= high:
        raise PlanRejectedError(
            f"an exposure of {exposure_ms:g} ms is outside the camera's {low:g} "
            f"to {high:g} ms; change --exposure-ms"
        )


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes frames on one microscope, for one calibration."""

    hardware: Hardware
    config: DeviceConfig
    clock: Clock
    light: Light
    tell: Tell

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.config.camera.height, self.config.camera.width

    def lines(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lines that are asked for; raises as `lines_of`."""
        return lines_of(self.config, wanted)

    def check(self, nm: int, percent: float, exposure_ms: float) -> None:
        """Raise as `check_light`."""
        check_light(self.config, nm, percent, exposure_ms)

    def lit(
        self, nm: int, percent: float, *, frames: int, exposure_ms: float, add: Add
    ) -> None:
        """Take a burst of one line's light. Raises what ended it early."""
        self.check(nm, percent, exposure_ms)
        x_um, y_um = self.hardware.stage.position_um()
        here = FieldFacts(name="r00_c00", row=0, column=0, x_um=x_um, y_um=y_um)
        channel = Channel(
            name=str(nm),
            probe="none",
            laser_nm=nm,
            power_percent=percent,
            exposure_ms=exposure_ms,
            frames=frames,
            role="signal",
        )

        def take(frame: Frame) -> bool:
            add(frame.adu)
            return True

        burst = Burst(
            self.hardware,
            self.config,
            clock=self.clock,
            light=self.light,
            dose=DoseBook(self.config, None),  # of a film, which is no slide
        )
        outcome = burst.take(here, channel, CameraPlan(), take)
        if outcome.fault is not None:
            raise outcome.fault
        self._require_all(outcome.delivered, frames)

    def dark(self, *, frames: int, exposure_ms: float, add: Add) -> None:
        """Take frames without light; every line is proven off before."""
        camera = self.hardware.camera
        self.hardware.dark()
        for laser in self.hardware.lasers.values():
            if laser.is_on():
                raise LightError(
                    f"the {laser.nm} nm laser is on in the dark; switch it off by "
                    f"hand, and find out why"
                )
        camera.arm(frames=frames, exposure_ms=exposure_ms)
        if camera.shape != self.shape:
            raise DeviceError(
                f"the camera reports frames of {camera.shape} pixels and the "
                f"configuration says {self.shape}; check its region of interest"
            )
        try:
            camera.start()
            for _ in range(frames):
                if self.light.reins.drops_burst:
                    break
                add(self._next(exposure_ms).adu)
            else:
                return
        finally:
            camera.disarm()
        self._require_all(0, frames)

    def moments(
        self, nm: int | None, percent: float, *, frames: int, exposure_ms: float
    ) -> Moments:
        """Return mean and variance of a burst; without a line, of dark frames."""
        found = Moments(self.shape)
        ceiling = self.config.camera.model.saturation_adu

        def add(adu: U16) -> None:
            found.add(adu, saturation_adu=ceiling)

        if nm is None:
            self.dark(frames=frames, exposure_ms=exposure_ms, add=add)
        else:
            self.lit(nm, percent, frames=frames, exposure_ms=exposure_ms, add=add)
        return found

    def stack(self, nm: int, percent: float, *, frames: int, exposure_ms: float) -> U16:
        """Return a burst, uint16 array, shape (frames, height, width)."""
        found: list[U16] = []
        self.lit(
            nm,
            percent,
            frames=frames,
            exposure_ms=exposure_ms,
            add=lambda adu: found.append(adu.copy()),
        )
        return np.stack(found)

    def _next(self, exposure_ms: float) -> Frame:
        period_s = wall_exposure_ms(exposure_ms, self.config) / 1000.0
        wait_s = self.config.camera.first_frame_timeout_s + 10.0 * period_s
        deadline = self.clock.monotonic() + wait_s
        while True:
            self.light.guard.pulse()
            try:
                return self.hardware.camera.next_frame(timeout_s=SLICE_S)
            except CameraStalledError:
                if self.clock.monotonic() > deadline:
                    raise

    def _require_all(self, delivered: int, frames: int) -> None:
        if self.light.reins.stopped.is_set():
            raise RunConflictError("the calibration was stopped; nothing was written")
        if delivered != frames:
            raise DeviceError(
                f"the camera delivered {delivered} of {frames} frames; check its "
                f"cable, then calibrate again"
            )
