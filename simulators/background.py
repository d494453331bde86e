"""The background of a view: maps that fade with the dose of their place."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels import glow
from simulators.dose import DoseMap, Window
from simulators.optics import Beam, View, powers
from simulators.options import SimulationOptions
from simulators.photophysics import FRAME_DOSE, LASERS_NM
from simulators.specimen import Specimen
from simulators.tissue import GLOWS, Grid, maps

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

TOLERANCE = {"exact": 0.002, "fast": 0.05, "replay": 0.05}
"""Relative change of the light at which a cached background is made anew."""
REUSE_UM = 0.05
"""Maps are kept while the view has moved less than this."""


class Background:
    """Background of wherever the microscope looks, and the doses that fade it."""

    def __init__(self, options: SimulationOptions, specimen: Specimen) -> None:
        self._options, self._specimen = options, specimen
        self._beam = Beam.of(options)
        self.doses = DoseMap()
        shape = (options.height, options.width)
        self._rate: F32 = np.zeros(shape, np.float32)
        self._maps: F32 = np.zeros((len(GLOWS), *shape), np.float32)
        self._mean: F64 = np.zeros(len(GLOWS))
        self._photons = np.array([g.photons for g in GLOWS]) / FRAME_DOSE
        self._fading = np.array([g.fading for g in GLOWS])
        self._surveyed = (math.nan, math.nan, math.nan)
        self._window = Window(0, 0, 1, 1)
        self._middle = (0, 0)
        self._shape: F64 = np.zeros((1, 1))
        self._doses: F64 = np.zeros((len(LASERS_NM), 1, 1))
        self._powers: F64 = np.zeros(len(LASERS_NM))
        self._seconds, self._level = 0.0, math.nan
        self._cells: tuple[I32, F32, I32, F32] | None = None

    def aim(self, view: View, slide_um: tuple[float, float, float]) -> None:
        """Look at a place with some light.

        Parameters
        ----------
        view : View
            What the microscope is set to.
        slide_um : three floats
            Slide point really under the centre of the frame and in focus: x, y, z.
        """
        self.settle()
        self._powers = powers(view.lights)
        away = np.abs(np.subtract(slide_um, self._surveyed)).max()
        if not away <= REUSE_UM:
            self._survey(slide_um)
        self._doses = self.doses.read(self._window)
        self._level = math.nan

    def light(self, seconds: float) -> None:
        """Note light on the present place."""
        self._seconds += seconds

    def rate(self, exposure_s: float) -> tuple[F32, bool]:
        """Return photons a pixel in one frame, and whether they are new.

        Parameters
        ----------
        exposure_s : float
            Of the frame.

        Returns
        -------
        float32 array, shape (height, width), and bool
            The array is lent until the next call.
        """
        row, column = self._middle
        centre = self._factors(self._doses[:, row, column], self._shape[row, column])
        level = float(self._mean @ centre) * exposure_s
        tolerance = TOLERANCE[self._options.noise]
        if abs(level - self._level) <= tolerance * abs(self._level):
            return self._rate, False
        self._level = level
        coarse = exposure_s * self._factors(self._doses, self._shape)
        lit = np.flatnonzero(self._photons @ self._powers > 0.0)
        assert self._cells is not None
        glow.compose(
            self._rate, self._maps, coarse.astype(np.float32), lit, *self._cells
        )
        return self._rate, True

    def settle(self) -> None:
        """Write the light noted since `aim` to the slide."""
        if self._seconds > 0.0:
            self._doses += self._fresh(self._shape)
            self._seconds = 0.0
            self.doses.write(self._window, self._doses)

    def _fresh(self, beam: F64 | float) -> F64:
        return np.asarray(np.multiply.outer(self._powers * self._seconds, beam))

    def _factors(self, doses: F64, beam: F64) -> F64:
        """Return photons per second where the map is 1, shape (glows, ...)."""
        frames = np.tensordot(self._fading, doses + self._fresh(beam), 1) / FRAME_DOSE
        frames *= self._options.kinetics_factor
        left = [
            (1.0 + f / source.frames) ** -source.shape
            for f, source in zip(frames, GLOWS, strict=True)
        ]
        light = np.multiply.outer(self._photons @ self._powers, beam)
        return np.asarray(light * np.array(left))

    def _survey(self, slide_um: tuple[float, float, float]) -> None:
        """Draw the maps of a place and lay the coarse grid over it."""
        options, pixel = self._options, self._options.pixel_um
        left = slide_um[0] - (options.width - 1) / 2.0 * pixel
        top = slide_um[1] - (options.height - 1) / 2.0 * pixel
        middle = options.sample.section_um / 2.0
        shape = options.height, options.width
        grid = Grid(left, top, *shape, pixel, slide_um[2] - middle)
        place = slide_um[:2]
        tiles = self._specimen.near(*place, self._beam.reach_um)
        self._maps = maps(self._specimen, tiles, grid, options)
        self._mean = self._maps.mean(axis=(1, 2), dtype=np.float64)
        self._window = window = _around(place, self._beam.reach_um)
        self._shape = self._beam.at(
            window.x_um[None, :] - slide_um[0], window.y_um[:, None] - slide_um[1]
        )
        self._middle = (window.rows // 2, window.columns // 2)
        rows = _cells(top - window.top_um, pixel, options.height)
        columns = _cells(left - window.left_um, pixel, options.width)
        self._cells = (*rows, *columns)
        self._surveyed = slide_um


def _around(centre_um: tuple[float, float], reach_um: tuple[float, float]) -> Window:
    """Return the window that holds all light, and a cell more on every side."""
    left, top = (
        math.floor(c - r) - 1 for c, r in zip(centre_um, reach_um, strict=True)
    )
    right, bottom = (
        math.ceil(c + r) + 1 for c, r in zip(centre_um, reach_um, strict=True)
    )
    return Window(left, top, right - left, bottom - top)


def _cells(start_um: float, pixel_um: float, count: int) -> tuple[I32, F32]:
    """Return the cell with its centre before each pixel, and the weight of the next."""
    at = start_um + pixel_um * np.arange(count) - 0.5
    cell = np.floor(at)
    return cell.astype(np.int32), (at - cell).astype(np.float32)
