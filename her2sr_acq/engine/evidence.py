"""Whether the pictures of a burst show the light that was asked for.

A laser can read back its set point and emit next to nothing, a gate can stay shut, a
room lamp can stand in for a laser. Each shows in the pictures: in the step from dark
to lit, and in how large it is.
"""

from __future__ import annotations

import math

import numpy as np

from her2sr_acq.config_light import SampleLight
from her2sr_acq.devices.ports import Frame
from her2sr_acq.plan.models import Channel
from her2sr_proc.schema.camera import CameraModel

FIRST_FRAMES = 5
"""Their mean is held against the range: later ones have faded."""
STRIDE = 4
"""Of rows and columns: a mean needs no more pixels."""
LEAST_SIGMA = 8.0
"""A step of fewer standard deviations of a dark picture's mean is none."""
OUT_SHARE = 0.02
"""With less than this of the first step left, the light went out."""


class LightProof:
    """Watches one burst. Used by the engine's thread."""

    def __init__(
        self, channel: Channel, light: SampleLight, camera: CameraModel, dark_adu: float
    ) -> None:
        """``dark_adu``: mean of a picture of the same exposure without light."""
        self._channel = channel
        self._light = light
        self._dark_adu = dark_adu
        self._noise_e = camera.read_noise_e / camera.e_per_adu
        self._firsts: list[float] = []
        self._least_adu = 0.0
        self._out_at: int | None = None

    def frame(self, frame: Frame) -> None:
        """Look at one picture; the first few are measured."""
        if frame.index < FIRST_FRAMES:
            part = frame.adu[::STRIDE, ::STRIDE]
            self._firsts.append(float(part.mean()))
            self._least_adu = LEAST_SIGMA * self._noise_e / math.sqrt(part.size)

    def block(self, frame: Frame) -> None:
        """Look at the last picture of a block, whether there is still light."""
        if self._out_at is not None or not self._firsts:
            return
        step = float(frame.adu[::STRIDE, ::STRIDE].mean()) - self._dark_adu
        first = float(np.mean(self._firsts)) - self._dark_adu
        if step < max(self._least_adu, OUT_SHARE * first):
            self._out_at = frame.index

    def verdict(self) -> str:
        """Return why the unit may not be scored; empty when the light is proven."""
        if not self._firsts or self._light.step_adu is None:
            return ""
        step = float(np.mean(self._firsts)) - self._dark_adu
        name, nm = self._channel.name, self._channel.laser_nm
        if step < self._least_adu:
            return (
                f"{name}: the pictures are as dark with the {nm} nm laser on as "
                f"without it; check laser, gate and filters"
            )
        per = self._channel.power_percent * self._channel.exposure_ms
        low, high = (per * bound for bound in self._light.step_adu)
        if not low <= step <= high:
            which = "darker" if step < low else "brighter"
            return (
                f"{name}: the pictures are {which} than "
                f"{self._channel.power_percent:g} % of the {nm} nm laser make tissue "
                f"({step:.1f} counts above dark, "
                f"and {low:.1f} to {high:.1f} are usual); check the laser's output, "
                f"and whether there is tissue and no other light"
            )
        if self._out_at is not None:
            return (
                f"{name}: the light went out before frame {self._out_at}; check laser, "
                f"gate and shutter"
            )
        return ""
