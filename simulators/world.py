"""The physical world in front of the objective: what one frame of the camera holds.

Time here is simulated and passes only when something happens: a frame, light, rest.
The same calls in the same order give the same frames.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulators import truth
from simulators.background import Background
from simulators.camera import Camera
from simulators.dose import DoseMap
from simulators.dyes import Dyes
from simulators.optics import Drift, Light, View, blur_um, lift_um
from simulators.options import SimulationOptions
from simulators.specimen import Specimen

__all__ = ["Light", "View", "World"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

RING = 16
"""Frames that `replay` shows again and again."""


class World:
    """One microscope with one slide."""

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self._specimen = Specimen(options)
        self._drift = Drift(options.stage, options.seed)
        self._camera = Camera(options)
        self._dyes = Dyes(options, self._specimen)
        self._background = Background(options, self._specimen)
        self._intervals = truth.Intervals()
        shape = (options.height, options.width)
        self._image: F32 = np.zeros(shape, np.float32)
        self._moments: F32 = np.zeros((2, *shape), np.float32)
        self._ring: list[U16] = []
        self._filled: set[int] = set()
        """Slots that hold a frame of `replay` already."""
        self._clock_s = 0.0
        self._frames = 0
        self._bursts = 0
        self._burst_frame: int | None = None
        self._view: View | None = None
        self._start_um: F64 = np.zeros(3)
        self._is_held = False

    @property
    def clock_s(self) -> float:
        """Simulated seconds since the start."""
        return self._clock_s

    @property
    def doses(self) -> DoseMap:
        """Light that every place has had, up to this moment."""
        self._background.settle()
        return self._background.doses

    @property
    def light_e(self) -> F32:
        """Mean photo-electrons of the last frame, before the camera; `exact` alone.

        Shape (height, width). Borrowed: the next frame overwrites it.
        """
        return self._image

    def begin_burst(self, view: View) -> None:
        """Start a burst: a numbered run of frames of one view."""
        self.end_burst()
        self._aim(view)
        if self.options.lit_before_s:
            self._shine(self.options.lit_before_s)
        self._burst_frame = 0
        if self.options.record_intervals:
            self._intervals.begin(self._dyes.table)

    def expose(self, view: View, out: U16, *, slot: int | None = None) -> float:
        """Take one frame; return the simulated time at which its exposure began.

        Parameters
        ----------
        view : View
            What the microscope is set to; in a burst, that of `begin_burst`.
        out : uint16 array, shape (height, width)
            Filled.
        slot : int or None
            Number of ``out`` when nobody else writes to it during the burst: `replay`
            then leaves in it what it has put there, which costs nothing.
        """
        self._turn_to(view)
        self._frame(view, out, slot)
        began = self._clock_s
        self._clock_s += view.exposure_s
        self._frames += 1
        if self._burst_frame is not None:
            self._burst_frame += 1
        return began

    def end_burst(self) -> None:
        """Finish the burst; nothing happens without one."""
        if self._burst_frame is None or self._view is None:
            return
        if self.options.record_intervals:
            lights = sorted(self._view.lights, key=lambda light: -light.power)
            nm = lights[0].nm if lights else 0
            place = (self._view.x_um, self._view.y_um)
            self._intervals.end(self._bursts, nm, place)
        self._bursts += 1
        self._burst_frame = None

    def illuminate(self, view: View, seconds: float) -> None:
        """Light the sample while the camera is not looking."""
        self._turn_to(view)
        self._shine(seconds)
        self._clock_s += seconds

    def rest(self, seconds: float) -> None:
        """Let dark time pass."""
        self._clock_s += seconds

    def surface_um(self, x_um: float, y_um: float) -> float | None:
        """Return z at which the glass lies now under a stage position.

        None where a bubble hides it from a focus lock.
        """
        stage = self.options.stage
        dx, dy, dz = self._drift.at(self._clock_s)
        x, y = x_um - dx, y_um - dy
        if blur_um(stage, x, y) > 0.0:
            return None
        return float(dz + lift_um(stage, x, y))

    def out_of_focus_um(self, x_um: float, y_um: float, z_um: float) -> float:
        """Return how far the plane in focus lies from the middle of the section."""
        stage = self.options.stage
        dx, dy, dz = self._drift.at(self._clock_s)
        x, y = x_um - dx, y_um - dy
        middle = self.options.sample.section_um / 2.0
        plane = z_um - dz - lift_um(stage, x, y) + blur_um(stage, x, y)
        return float(plane - middle)

    def write_truth(self, folder: Path) -> None:
        """Write what is really on the slide, and which dye shone when."""
        card = {
            "focus_um": self.options.sample.section_um / 2.0,
            "bursts": self._bursts,
        }
        truth.write(folder, self._specimen, self._intervals, self.options, card)

    @property
    def _ageing(self) -> float:
        """How much the buffer has aged: 1 when fresh, 2 after its life."""
        return 1.0 + self._clock_s / 3600.0 / self.options.sample.buffer_life_h

    def _turn_to(self, view: View) -> None:
        """Move there unless it is the same place in the same light."""
        if self._view is None or view != replace(
            self._view, exposure_s=view.exposure_s, is_held=view.is_held
        ):
            self.end_burst()
            self._aim(view)
        self._is_held = view.is_held

    def _aim(self, view: View) -> None:
        """Move there. Drift is taken up here, so that maps fit the slide."""
        self._ring.clear()
        self._filled.clear()
        self._start_um = self._drift.at(self._clock_s)
        x, y, z = np.array([view.x_um, view.y_um, view.z_um]) - self._start_um
        stage = self.options.stage
        plane = z - lift_um(stage, x, y) + blur_um(stage, x, y)
        slide = float(x), float(y), float(plane)
        self._dyes.aim(view, slide, self._ageing)
        self._background.aim(view, slide)
        self._view = view

    def _frame(self, view: View, out: U16, slot: int | None) -> None:
        """Fill ``out`` in the way that the noise mode asks for."""
        if self.options.noise == "exact":
            self._render_exact(view, out)
        elif self.options.noise == "fast":
            self._render_fast(view, out)
        else:
            self._replay(view, out, slot)

    def _replay(self, view: View, out: U16, slot: int | None) -> None:
        if slot in self._filled:
            self._shine(view.exposure_s)
            return
        if len(self._ring) < RING:
            self._render_fast(view, out)
            # A slot keeps its pixels, so that no second copy of them is needed.
            self._ring.append(out.copy() if slot is None else out)
        else:
            np.copyto(out, self._ring[self._frames % RING])
            self._shine(view.exposure_s)
        if slot is not None:
            self._filled.add(slot)

    def _render_exact(self, view: View, out: U16) -> None:
        background, _ = self._background.rate(view.exposure_s)
        photons, drift = self._lit(view)
        np.copyto(self._image, background)
        self._dyes.draw(self._image, photons, drift)
        efficiency = self.options.camera.quantum_efficiency * view.passes
        self._image *= np.float32(efficiency)
        self._camera.expose(self._image, view.exposure_s, self._frames, out)

    def _render_fast(self, view: View, out: U16) -> None:
        background, is_new = self._background.rate(view.exposure_s)
        photons, drift = self._lit(view)
        if is_new:
            efficiency = self.options.camera.quantum_efficiency * view.passes
            np.multiply(background, np.float32(efficiency), out=self._image)
            self._camera.moments(self._image, view.exposure_s, self._moments)
        self._camera.expose_fast(self._moments, self._frames, out)
        noise = self._camera.noise(self._frames)
        self._dyes.draw_counts(out, photons * view.passes, drift, noise)

    def _lit(self, view: View) -> tuple[F64, F64]:
        """Let the light of one frame fall; return photons of dyes and drift in um."""
        photons = self._dyes.expose(view.exposure_s, self._ageing)
        self._background.light(view.exposure_s)
        if self._burst_frame is not None and self.options.record_intervals:
            self._intervals.note(self._dyes.inside, photons, self._burst_frame)
        drift = self._drift.at(self._clock_s) - self._start_um
        if self._is_held:
            drift[2] = 0.0
        return photons, drift

    def _shine(self, seconds: float) -> None:
        """Let light fall that makes no image."""
        self._dyes.light(seconds)
        self._background.light(seconds)
