"""The dyes of the whole slide, and those that the light of a view reaches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulators._kernels import image as images
from simulators._kernels import life
from simulators.optics import (
    Beam,
    View,
    chromatic_um,
    excitations,
    lift_um,
    powers,
    sigmas_um,
)
from simulators.options import SimulationOptions
from simulators.photophysics import (
    DARK,
    DEAD,
    FRAME_DOSE,
    LASERS_NM,
    LATENT,
    SPECIES,
    Emitters,
    emitters_of,
    joined,
    kinetics,
)
from simulators.specimen import Specimen, Tile

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]

CONVERTING_NM = 405
MARGIN_PX = 24.0
"""Dyes this far out of the frame still throw light into it."""
MERGE_PX = 2.2
"""Spots this wide hide where inside a signal its dyes sit, to 3 % of the peak."""
WIDEST_PX = 512
FAINTEST = 1e-9
"""Dose per second below which light is no light."""


class Dyes:
    """Lights dyes and draws them. One view at a time; `aim` changes it."""

    def __init__(self, options: SimulationOptions, specimen: Specimen) -> None:
        self._options, self._specimen = options, specimen
        self._beam = Beam.of(options)
        self._kinetics = kinetics(options)
        self._usual_off = self._kinetics[:, 1].copy()
        self._wakes: F64 = np.ones(len(SPECIES))
        self._photons = np.array([s.photons / FRAME_DOSE for s in SPECIES])
        self._widths_px = sigmas_um(options.optics) / options.pixel_um
        shifts = [chromatic_um(options.optics, s.emission_nm) for s in SPECIES]
        self._shifts_um = np.array(shifts)
        self._scratch = np.zeros((2, WIDEST_PX))
        self._kept: dict[int, Emitters] = {}
        """By tile; of those that are not in the table."""
        self._spans: list[tuple[int, int, int]] = []
        self._lit_s = self._seen_s = 0.0
        self.table = joined([])
        self.inside: I64 = np.zeros(0, np.int64)
        """Which dyes of the table lie in the frame, or shine into it from beside."""

    def aim(
        self, view: View, slide_um: tuple[float, float, float], ageing: float
    ) -> None:
        """Look at a place with some light.

        Parameters
        ----------
        view : View
            What the microscope is set to.
        slide_um : three floats
            Slide point really under the centre of the frame and in focus: x, y, z.
        ageing : float
            Of the buffer, 1: fresh.
        """
        self.leave(ageing)
        self._gather(self._specimen.near(*slide_um[:2], self._beam.reach_um))
        self._place(slide_um)
        self._light_up(view, slide_um)
        self._choose()

    def expose(self, seconds: float, ageing: float) -> F64:
        """Let light fall, and return the photons of the dyes `inside`, lent."""
        self._catch_up(ageing)
        self._lit_s += seconds
        self._catch_up(ageing)
        self._light *= self._yield
        return self._light

    def light(self, seconds: float) -> None:
        """Note light that makes no image."""
        self._lit_s += seconds

    def leave(self, ageing: float) -> None:
        """Give the dyes all the light they have had."""
        if self._lit_s > 0.0:
            self._catch_up(ageing)
            unseen = np.zeros(self._outside.size)
            self._advance(self._outside, 0.0, ageing, unseen)
            rate = np.where(self.table.state == LATENT, self._latent_rate, self._rate)
            self.table.dose += rate * self._lit_s
            self._lit_s = self._seen_s = 0.0
        self._wake_by(np.ones(len(SPECIES)))

    def _catch_up(self, ageing: float) -> None:
        """Let the light since the last frame fall on the dyes `inside`."""
        if self._lit_s > self._seen_s:
            self._advance(self.inside, self._seen_s, ageing, self._light)
            self._seen_s = self._lit_s

    @property
    def places(self) -> F64:
        """Where the dyes of the table are imaged: y, x in pixels, um from focus."""
        return np.column_stack([self._y_px, self._x_px, self._focus_um])

    def draw(self, image: F32, photons: F64, drift_um: F64) -> None:
        """Add the dyes `inside` to an image.

        Parameters
        ----------
        image : float32 array, shape (height, width)
            Updated.
        photons : float64 array, shape (dyes inside,)
            From `expose`.
        drift_um : float64 array, shape (3,)
            Of the slide since `aim`: x, y, z.
        """
        images.draw(
            image,
            self.inside,
            self._bounds,
            photons,
            self._y_px,
            self._x_px,
            self._focus_um,
            self._sigma_px,
            self._options.optics.focal_depth_um,
            self._shift(drift_um),
            MERGE_PX,
            self._scratch,
        )

    def draw_counts(self, counts: U16, photons: F64, drift_um: F64, noise: F32) -> None:
        """Add the dyes `inside` to a frame of counts, one spot a signal: rates only.

        Parameters
        ----------
        counts : uint16 array, shape (height, width)
            Updated.
        photons, drift_um
            As in `draw`.
        noise : float32 array, shape (many,)
            Standard normal.
        """
        camera = self._options.camera
        images.draw_counts(
            counts,
            self._bounds,
            photons,
            self._spots,
            self._options.optics.focal_depth_um,
            self._shift(drift_um),
            camera.quantum_efficiency / camera.e_per_adu,
            noise,
            self._scratch,
        )

    def _shift(self, drift_um: F64) -> F64:
        pixel = self._options.pixel_um
        return np.array([drift_um[1] / pixel, drift_um[0] / pixel, drift_um[2]])

    def _gather(self, tiles: list[Tile]) -> None:
        """Take the dyes of tiles together into one table, and put those there back.

        The table stays where another laser shines on the same place: copies of it
        would be memory that a second burst takes and no other.
        """
        if [tile.number for tile in tiles] == [number for number, *_ in self._spans]:
            return
        for number, start, stop in self._spans:
            self._kept[number] = self.table.part(start, stop)
        self._spans, self.table = [], joined([])
        start, parts = 0, []
        for tile in tiles:
            part = self._kept.pop(tile.number, None)
            if part is None:
                haze = self._specimen.kind_of(tile).haze
                part = emitters_of(tile, self._options, haze)
            self._spans.append((tile.number, start, start + len(part)))
            start += len(part)
            parts.append(part)
        self.table = joined(parts)

    def _place(self, slide_um: tuple[float, float, float]) -> None:
        """Find where the dyes are in the frame."""
        table, options = self.table, self._options
        shift, pixel = self._shifts_um[table.species], options.pixel_um
        x = table.x_um - slide_um[0] + shift[:, 0]
        y = table.y_um - slide_um[1] + shift[:, 1]
        self._x_px: F64 = x / pixel + (options.width - 1) / 2.0
        self._y_px: F64 = y / pixel + (options.height - 1) / 2.0
        lift = lift_um(options.stage, table.x_um, table.y_um)
        tilt = lift - lift_um(options.stage, slide_um[0], slide_um[1])
        self._focus_um: F64 = table.z_um + tilt - slide_um[2] - shift[:, 2]
        self._sigma_px: F64 = self._widths_px[table.species]

    def _light_up(self, view: View, slide_um: tuple[float, float, float]) -> None:
        """Find how fast the dyes take up light, and when each will next turn."""
        table = self.table
        dx, dy = table.x_um - slide_um[0], table.y_um - slide_um[1]
        beam, power = self._beam.at(dx, dy), powers(view.lights)
        self._wake_by(self._woken(power))
        self._rate: F64 = beam * (excitations() @ power)[table.species]
        self._latent_rate: F64 = beam * power[LASERS_NM.index(CONVERTING_NM)]
        rate = np.where(table.state == LATENT, self._latent_rate, self._rate)
        wait = np.full(len(table), np.inf)
        np.divide(table.until - table.dose, rate, out=wait, where=rate > FAINTEST)
        self._turn_s: F64 = np.where(table.state == DEAD, np.inf, wait)

    def _woken(self, power: F64) -> F64:
        """Return how much shorter 405 nm light makes dark states, by species."""
        own = excitations() @ power
        violet = power[LASERS_NM.index(CONVERTING_NM)]
        waking = self._options.sample.reactivation * violet
        found = np.ones(len(SPECIES))
        np.divide(own, own + waking, out=found, where=own > FAINTEST)
        return np.asarray(found)

    def _wake_by(self, wakes: F64) -> None:
        """Shorten dark states, those that run and those to come, to these shares."""
        if (wakes == self._wakes).all():
            return
        table = self.table
        dark = table.state == DARK
        share = (wakes / self._wakes)[table.species[dark]]
        left = table.until[dark] - table.dose[dark]
        table.until[dark] = table.dose[dark] + left * share
        self._kinetics[:, 1] = self._usual_off * wakes
        self._wakes = wakes

    def _choose(self) -> None:
        """Part the dyes into those that are seen and those that are only lit."""
        height, width = self._options.height, self._options.width
        seen = (
            (self._x_px > -MARGIN_PX)
            & (self._x_px < width + MARGIN_PX)
            & (self._y_px > -MARGIN_PX)
            & (self._y_px < height + MARGIN_PX)
        )
        awake = np.isfinite(self._turn_s)
        self.inside = np.flatnonzero(seen & awake)
        self._outside = np.flatnonzero(~seen & awake)
        signal = self.table.signal[self.inside]
        # the dyes of a signal stand side by side; a dye without one stands alone
        first = np.ones(signal.size, bool)
        first[1:] = (signal[1:] != signal[:-1]) | (signal[1:] < 0)
        start = np.flatnonzero(first)
        self._bounds = np.append(start, signal.size)
        self._light: F64 = np.zeros(signal.size)
        species = self.table.species[self.inside]
        self._yield = self._photons[species] * self.table.brightness[self.inside]
        self._spots = self._groups(start)

    def _groups(self, start: I64) -> F64:
        """Return y, x, focus, width and blob of every group, shape (groups, 5)."""
        many = np.diff(self._bounds)
        columns = [
            np.add.reduceat(values[self.inside], start) / many if start.size else many
            for values in (self._y_px, self._x_px, self._focus_um, self._sigma_px)
        ]
        blob = self._options.sample.blob_nm / self._options.pixel_nm
        return np.column_stack([*columns, np.where(many > 1, blob, 0.0)])

    def _advance(self, index: I64, begin_s: float, ageing: float, on: F64) -> None:
        table = self.table
        life.advance(
            index,
            begin_s,
            self._lit_s,
            self._rate,
            self._kinetics,
            ageing,
            table.species,
            table.key,
            table.pace,
            table.state,
            table.step,
            table.dose,
            table.until,
            table.death,
            self._turn_s,
            on,
        )
