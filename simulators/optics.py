"""Objective and beam: how wide a dye looks, where, and how much light gets to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from her2sr_proc.errors import RequestError
from simulators.options import OpticsOptions, SimulationOptions, StageOptions
from simulators.photophysics import LASERS_NM, SPECIES

F64 = npt.NDArray[np.float64]

CHROMATIC_UM = {
    # emission colour: offset of the image x, y and of the plane in focus z
    525.0: (0.0, 0.0, 0.0),
    530.0: (0.0, 0.0, 0.0),
    615.0: (0.028, -0.017, 0.070),
    460.0: (-0.035, 0.024, -0.150),
}
DAPI_NM = 460.0


@dataclass(frozen=True, slots=True)
class Light:
    """One laser line that is on."""

    nm: int
    power: float
    """0 to 1: of full power."""


@dataclass(frozen=True, slots=True)
class View:
    """What the microscope is set to while a frame is taken."""

    x_um: float
    y_um: float
    z_um: float
    exposure_s: float
    lights: tuple[Light, ...]
    is_held: bool = False
    """Whether a focus lock follows the slide's drift along the axis."""
    passes: float = 1.0
    """Share of the light that the filter before the camera lets through."""


def powers(lights: tuple[Light, ...]) -> F64:
    """Return the power of every line, in the order of `LASERS_NM`."""
    found = np.zeros(len(LASERS_NM))
    for light in lights:
        if light.nm not in LASERS_NM:
            raise RequestError(
                f"the simulated microscope has no {light.nm} nm laser; "
                f"use one of {', '.join(map(str, LASERS_NM))}",
                nm=light.nm,
            )
        found[LASERS_NM.index(light.nm)] += light.power
    return found


def excitations() -> F64:
    """Return the excitation of every species by every laser."""
    return np.array([s.excitation for s in SPECIES])


def sigma_um(options: OpticsOptions, emission_nm: float) -> float:
    """Return the width of an image in focus: 0.21 wavelength / NA."""
    return 0.21 * emission_nm / 1000.0 / options.numerical_aperture


def sigmas_um(options: OpticsOptions) -> F64:
    """Return the width in focus of every species."""
    return np.array([sigma_um(options, s.emission_nm) for s in SPECIES])


def chromatic_um(
    options: OpticsOptions, emission_nm: float
) -> tuple[float, float, float]:
    """Return how far the image of a colour lies from that of green: x, y, focus."""
    return CHROMATIC_UM[emission_nm] if options.chromatic else (0.0, 0.0, 0.0)


def lift_um(options: StageOptions, x_um: F64 | float, y_um: F64 | float) -> F64 | float:
    """Return how much higher the tilted slide lies at a place than at its origin.

    In micrometres; any shape, that of the places.
    """
    return (options.tilt_x_mrad * x_um + options.tilt_y_mrad * y_um) / 1000.0


def blur_um(options: StageOptions, x_um: float, y_um: float) -> float:
    """Return how far out of focus a bubble puts a place of the slide; 0 without one."""
    return max(
        (
            bubble.blur_um
            for bubble in options.bubbles
            if math.hypot(x_um - bubble.x_um, y_um - bubble.y_um) <= bubble.radius_um
        ),
        default=0.0,
    )


@dataclass(frozen=True, slots=True)
class Beam:
    """A square-cored fibre imaged on the sample: the frame, a margin, a soft edge.

    The field stop follows the frame, as on an instrument that tiles a slide: light
    on the neighbour before its own burst is lost.
    """

    half_x_um: float
    half_y_um: float
    skirt_um: float
    falloff: float

    @staticmethod
    def of(options: SimulationOptions) -> Beam:
        """Return the beam of a microscope."""
        optics, pixel = options.optics, options.pixel_um
        return Beam(
            half_x_um=options.width * pixel / 2.0 + optics.beam_margin_um,
            half_y_um=options.height * pixel / 2.0 + optics.beam_margin_um,
            skirt_um=optics.beam_skirt_um,
            falloff=optics.beam_falloff,
        )

    @property
    def reach_um(self) -> tuple[float, float]:
        """How far from the centre there is light to speak of: x, y."""
        edge = 4.0 * self.skirt_um
        return self.half_x_um + edge, self.half_y_um + edge

    def at(self, dx_um: F64, dy_um: F64) -> F64:
        """Return the irradiance over that of the centre at distances from it."""
        edges = _edge(dx_um, self.half_x_um, self.skirt_um) * _edge(
            dy_um, self.half_y_um, self.skirt_um
        )
        corner = (dx_um / self.half_x_um) ** 2 + (dy_um / self.half_y_um) ** 2
        return np.asarray(edges * np.exp(0.5 * corner * math.log1p(-self.falloff)))


def _edge(distance_um: F64, half_um: float, skirt_um: float) -> F64:
    scale = math.sqrt(2.0) * skirt_um
    rise = erf((distance_um + half_um) / scale)
    return np.asarray(0.5 * (rise - erf((distance_um - half_um) / scale)))


class Drift:
    """Slow thermal wander: sines with periods of minutes to hours, from the seed.

    Bounded: a stand is kept at temperature. What creeps further, where that is asked
    for, is the work of a focus lock.
    """

    PERIODS_MIN = (6.1, 23.0, 71.0)

    def __init__(self, options: StageOptions, seed: int) -> None:
        rng = np.random.default_rng([seed, 77])
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (3, len(self.PERIODS_MIN)))
        rate = np.array(
            [
                options.drift_xy_nm_per_min,
                options.drift_xy_nm_per_min,
                options.drift_z_nm_per_min,
            ]
        )
        self._turn = 2.0 * math.pi / (60.0 * np.array(self.PERIODS_MIN))
        share = math.sqrt(2.0 / len(self.PERIODS_MIN))
        self._size = share * rate[:, None] / 1000.0 / 60.0 / self._turn
        self._start = self._wander(0.0)
        self._creep_um_s = options.creep_z_nm_per_min / 1000.0 / 60.0

    def at(self, t_s: float) -> F64:
        """Return x, y, z in um since the start of the simulation."""
        moved = self._wander(t_s) - self._start
        moved[2] += self._creep_um_s * t_s
        return np.asarray(moved)

    def _wander(self, t_s: float) -> F64:
        waves = self._size * np.sin(self._turn * t_s + self._phase)
        return np.asarray(waves.sum(axis=1))
