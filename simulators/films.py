"""What a microscope is calibrated by, in place of a slide: beads, an even film, glass.

A world with the same doors as that of the slide. Beads are of one size, shine in every
colour and do not fade. Knows nothing of what a calibration makes of its frames.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.store import atomic
from simulators._kernels import image as images
from simulators.camera import Camera
from simulators.optics import (
    Beam,
    Drift,
    View,
    chromatic_um,
    lift_um,
    powers,
    sigma_um,
)
from simulators.options import SimulationOptions
from simulators.photophysics import FRAME_DOSE, LASERS_NM

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

EMISSION_NM = {405: 460.0, 488: 525.0, 561: 615.0}
"""Colour in which a film answers each laser."""
REFERENCE_NM = 561
TILE_UM = 40.0
BEAD_UM = 0.1
BRIGHTNESS_SD = 0.25
"""Of the logarithm, between beads."""
GLASS_PHOTONS = 20.0
MARGIN_UM = 4.0


class FilmWorld:
    """One microscope with a film on its stage."""

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self._camera = Camera(options)
        self._drift = Drift(options.stage, options.seed)
        self._beam = Beam.of(options)
        self._tiles: dict[tuple[int, int], F64] = {}
        shape = options.height, options.width
        self._still: F32 = np.zeros(shape, np.float32)
        self._view: View | None = None
        self._place_um: F64 = np.zeros(3)
        self._weights = np.zeros((2, 256))
        self._clock_s = 0.0
        self._frames = self._bursts = 0
        self._has_shown_camera = False

    def begin_burst(self, view: View) -> None:
        """Start a burst."""
        self._bursts += 1
        self._draw(view)

    def expose(self, view: View, out: U16, *, slot: int | None = None) -> float:
        """Take one frame into ``out``; return when it began, in simulated seconds."""
        now_um = self._drift.at(self._clock_s)
        moved = np.abs(now_um - self._place_um).max() > 0.0005
        if view != self._view or moved:
            self._draw(view)
        self._camera.expose(self._still, view.exposure_s, self._frames, out)
        began = self._clock_s
        self._clock_s += view.exposure_s
        self._frames += 1
        return began

    def end_burst(self) -> None:
        """Finish the burst: nothing of a film remembers it."""

    def illuminate(self, view: View, seconds: float) -> None:
        """Let light fall that makes no image: a film does not fade."""
        self._clock_s += seconds

    def rest(self, seconds: float) -> None:
        """Let dark time pass."""
        self._clock_s += seconds

    def surface_um(self, x_um: float, y_um: float) -> float | None:
        """Return z at which the glass lies now under a stage position."""
        dx, dy, dz = self._drift.at(self._clock_s)
        return float(dz + lift_um(self.options.stage, x_um - dx, y_um - dy))

    def out_of_focus_um(self, x_um: float, y_um: float, z_um: float) -> float:
        """Return how far the plane in focus lies from the film on the glass."""
        dx, dy, dz = self._drift.at(self._clock_s)
        lift = lift_um(self.options.stage, x_um - dx, y_um - dy)
        return float(z_um - dz - lift)

    def write_truth(self, folder: Path) -> None:
        """Write how the colours really lie and, once, the camera of a 30 ms frame."""
        optics = self.options.optics
        mine = chromatic_um(optics, EMISSION_NM[REFERENCE_NM])
        channels = {}
        for nm, emission in EMISSION_NM.items():
            own = chromatic_um(optics, emission)
            channels[str(nm)] = {
                "to_reference_x_nm": 1000.0 * (mine[0] - own[0]),
                "to_reference_y_nm": 1000.0 * (mine[1] - own[1]),
                # a plane is in focus where the drive stands at z - shift
                "focus_offset_um": mine[2] - own[2],
            }
        card = {
            "version": 1,
            "film": self.options.film,
            "seed": self.options.seed,
            "reference_nm": REFERENCE_NM,
            "channels": channels,
            "pixel_nm": self.options.pixel_nm,
            "focal_depth_um": optics.focal_depth_um,
            "bursts": self._bursts,
        }
        atomic.write_text(folder / "instrument.json", json.dumps(card, indent=1) + "\n")
        if not self._has_shown_camera:
            with atomic.replacing(folder / "camera.npz") as path:
                np.savez(path, allow_pickle=False, **self._camera.truth(0.03))
            self._has_shown_camera = True

    def _draw(self, view: View) -> None:
        """Make the image that the frames of a view share."""
        options = self.options
        self._view = view
        self._place_um = self._drift.at(self._clock_s)
        self._still[:] = 0.0
        x, y, z = np.array([view.x_um, view.y_um, view.z_um]) - self._place_um
        doses = powers(view.lights) * view.exposure_s / FRAME_DOSE
        for nm, dose in zip(LASERS_NM, doses, strict=True):
            if dose > 0.0 and nm in EMISSION_NM:
                if options.film == "bead_film":
                    self._add_beads(EMISSION_NM[nm], float(dose), (x, y, z))
                self._add_light(float(dose))
        self._still *= np.float32(options.camera.quantum_efficiency * view.passes)

    def _add_light(self, dose: float) -> None:
        options = self.options
        is_even = options.film == "uniform_film"
        level = options.films.uniform_photons if is_even else GLASS_PHOTONS
        pixel = options.pixel_um
        dx: F64 = (
            np.arange(options.width, dtype=np.float64) - (options.width - 1) / 2.0
        ) * pixel
        dy: F64 = (
            np.arange(options.height, dtype=np.float64) - (options.height - 1) / 2.0
        ) * pixel
        light = self._beam.at(dx[None, :], dy[:, None])
        self._still += (dose * level * light).astype(np.float32)

    def _add_beads(
        self, emission_nm: float, dose: float, slide_um: tuple[float, float, float]
    ) -> None:
        options, pixel = self.options, self.options.pixel_um
        shift = chromatic_um(options.optics, emission_nm)
        own_um = math.hypot(
            sigma_um(options.optics, emission_nm), BEAD_UM / math.sqrt(20.0)
        )
        depth = options.optics.focal_depth_um
        for x, y, brightness in self._near(slide_um[:2]):
            tilt = lift_um(options.stage, x, y)
            z = options.sample.section_um / 2.0 + tilt
            away = float(z - slide_um[2] - shift[2])
            sigma = own_um * math.sqrt(1.0 + (away / depth) ** 2) / pixel
            dx, dy = x - slide_um[0], y - slide_um[1]
            light = float(self._beam.at(np.array(dx), np.array(dy)))
            images.add_spot(
                self._still,
                (dy + shift[1]) / pixel + (options.height - 1) / 2.0,
                (dx + shift[0]) / pixel + (options.width - 1) / 2.0,
                sigma,
                dose * brightness * light * options.films.bead_photons,
                self._weights,
            )

    def _near(self, centre_um: tuple[float, float]) -> Iterator[F64]:
        """Yield x, y in um and brightness of the beads in the frame."""
        pixel = self.options.pixel_um
        spans = []
        for centre, size in zip(
            centre_um, (self.options.width, self.options.height), strict=True
        ):
            half = size * pixel / 2.0 + MARGIN_UM
            first = math.floor((centre - half) / TILE_UM)
            spans.append(range(first, math.floor((centre + half) / TILE_UM) + 1))
        for j in spans[1]:
            for i in spans[0]:
                yield from self._tile(i, j)

    def _tile(self, i: int, j: int) -> F64:
        """Return the beads of a tile, the same at every call, shape (beads, 3)."""
        if (i, j) not in self._tiles:
            key = [self.options.seed, 31, i + (1 << 20), j + (1 << 20)]
            rng = np.random.default_rng(key)
            count = int(rng.poisson(self.options.films.beads_per_um2 * TILE_UM**2))
            places = (np.array([i, j]) + rng.random((count, 2))) * TILE_UM
            bright = np.exp(BRIGHTNESS_SD * rng.standard_normal(count))
            self._tiles[i, j] = np.column_stack([places, bright])
        return self._tiles[i, j]
