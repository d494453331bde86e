"""Height and tilt of one field, from the sharpness of its parts through the focus.

A field of a tilted slide has no single focus, and its few spots lie where they lie: the
plane in which its pictures are sharpest as a whole is that of its brightest spots, and
not of its middle. Told apart by regions, each is sharpest in its own plane; what they
have in common is the plane of the slide, and its height in the middle of the frame is
what a field is focused to. Arrays and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from her2sr_acq.engine.sharpness import NEAR, Scale, Sharpness, energies
from her2sr_proc.schema.camera import CameraModel

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

MOST_SIDE = 8
"""Regions along a side of the frame."""
LEAST_PX = 24
"""A region is at least so wide: a spot a micrometre out of focus still lies in it."""
CLEAR = 6.0
"""Standard deviations by which a region's energy exceeds noise: it holds spots."""
FREE = 5
"""Parameters that all regions share."""
LEAST_REGIONS = FREE + 3
BLINKS = 0.05
"""Relative error of an energy by what blinks between two pictures."""
FLOOR = 0.01
"""Of the largest energy: what no model of it tells."""
MISFIT = 1.5
"""Mean square of the residuals beyond which the regions share no plane: each holds
spots at its own depth of a thick section."""
SCATTER_UM = 0.1
"""Of the regions' own heights, at the least: few of them tell too little of it."""
HALF_UM, DEPTH_UM = 0.3, 0.5
LOG_HALF_SD, LOG_DEPTH_SD, GROUND_SD = 1.0, 0.5, 0.1
SPOT_PX = 0.75
"""Width of a spot in focus, about; it hardly matters beside the smoothing."""
FINE, COARSE = (px**2 + SPOT_PX**2 for px in (NEAR.fine_px, NEAR.coarse_px))
BOTH = FINE + COARSE
NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
SEEN_MRAD = 25.0
"""Tilt of slides, 1 sd, before anything is known of this one."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Of one picture: energy and noise of every region, shape (side * side,)."""

    energy: F64
    noise: F64

    @property
    def whole(self) -> Sharpness:
        """Of all of them together."""
        noise = float(np.sqrt((self.noise**2).mean() / self.noise.size))
        return Sharpness(float(self.energy.mean()), noise)


@dataclass(frozen=True, slots=True)
class Tilt:
    """How much higher the right and the lower edge lie than the opposite one, um.

    In the camera's own frame, so that it does not matter how the camera is turned.
    """

    across_um: F64 = field(default_factory=lambda: np.zeros(2))
    covariance: F64 = field(default_factory=lambda: np.eye(2))

    @staticmethod
    def unknown(width_um: float, height_um: float) -> Tilt:
        """Return what is known of a slide that nobody measured."""
        sd_um = SEEN_MRAD / 1000.0 * np.array([width_um, height_um])
        return Tilt(np.zeros(2), np.diag(sd_um**2))

    def aged(self, sd_um: float) -> Tilt:
        """Return what of it is still known at the next field."""
        return Tilt(self.across_um, self.covariance + np.eye(2) * sd_um**2)


@dataclass(frozen=True, slots=True)
class Relief:
    """The plane of a field: height in the middle of the frame, tilt across x and y."""

    plane_um: F64
    covariance: F64

    @property
    def z_um(self) -> float:
        """Of the middle of the frame."""
        return float(self.plane_um[0])

    @property
    def sd_um(self) -> float:
        """Error of `z_um`."""
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def tilt(self) -> Tilt:
        """What is known of the tilt with this field."""
        return Tilt(self.plane_um[1:], self.covariance[1:, 1:])

    def given(self, tilt: Tilt) -> Relief:
        """Return the plane with what fields before it tell of the tilt.

        Where all spots lie on one side, this tells the height of the middle.
        """
        seen = self.covariance[:, 1:]
        gain = seen @ np.linalg.inv(self.covariance[1:, 1:] + tilt.covariance)
        return Relief(
            self.plane_um + gain @ (tilt.across_um - self.plane_um[1:]),
            self.covariance - gain @ seen.T,
        )


def side_of(shape: tuple[int, int]) -> int:
    """Return how many regions lie along each side of a frame."""
    return max(1, min(MOST_SIDE, min(shape) // LEAST_PX))


def regions_of(adu: U16, camera: CameraModel, scale: Scale = NEAR) -> Regions:
    """Return how sharp the parts of a picture are, row by row.

    Parameters
    ----------
    adu : uint16 array, shape (height, width)
        Camera counts.
    camera : CameraModel
        What the counts mean.
    scale : Scale
        How fine what is looked for is.

    Raises
    ------
    FocusError
        There is no light in it.
    """
    found = energies(adu, camera, scale, side=side_of(adu.shape))
    return Regions(found.value.ravel(), found.noise.ravel())


def relief(
    z_um: Sequence[float],
    pictures: Sequence[Regions],
    *,
    start_um: float,
    usual: Tilt,
) -> Relief | None:
    """Return height and tilt of a field; None where its regions share no plane.

    A region's energy is a brightness of its own times what a thin slab does about the
    plane of the slide: it falls as one over one plus the square of the distance over a
    depth. The error is that of the regions' scatter (a sandwich estimate, a region
    being a cluster, and at least `SCATTER_UM`), since their spots lie at their own
    depths in the section.

    Parameters
    ----------
    z_um : sequence of n floats
        Heights of the pictures.
    pictures : sequence of n Regions
        In the same order.
    start_um : float
        Where the field is sharpest as a whole.
    usual : Tilt
        How slides lie; wide, since what is known of this one comes in by `given`.
    """
    energy = np.array([one.energy for one in pictures])
    noise = np.array([one.noise for one in pictures])
    side = round(energy.shape[1] ** 0.5)
    holds = energy.max(axis=0) > CLEAR * noise.max(axis=0)
    if holds.sum() < LEAST_REGIONS:
        return None
    centres = (np.arange(side) + 0.5) / side - 0.5
    y, x = np.meshgrid(centres, centres, indexing="ij")
    model = _Model(
        np.asarray(z_um, np.float64),
        energy[:, holds],
        noise[:, holds],
        np.stack([x.ravel()[holds], y.ravel()[holds]]),
        usual,
    )
    return model.solved(start_um)


class _Model:
    """Residuals of energies about a plane.

    Parameters are its height, its tilt across x and y, the logarithms of the section's
    half thickness and of the depth of focus, and the ground.
    """

    def __init__(
        self, z_um: F64, energy: F64, noise: F64, places: F64, usual: Tilt
    ) -> None:
        self._z_um = z_um[:, None]
        self._energy = energy
        self._places = places
        self._usual_um = usual.across_um
        self._root = np.linalg.cholesky(np.linalg.inv(usual.covariance)).T
        blinks = BLINKS * np.maximum(energy, 0.0)
        variance = noise**2 + blinks**2 + (FLOOR * energy.max()) ** 2
        self._weight = 1.0 / np.sqrt(variance)

    def solved(self, start_um: float) -> Relief | None:
        """Return the plane that fits best, unless none fits."""
        start = [
            start_um,
            *self._usual_um,
            np.log(HALF_UM),
            np.log(DEPTH_UM),
            0.01,
        ]
        low = [-np.inf, -np.inf, -np.inf, np.log(0.02), np.log(0.1), 0.0]
        high = [np.inf, np.inf, np.inf, np.log(2.5), np.log(2.0), 0.9]
        fit = least_squares(self._residuals, start, bounds=(low, high))
        freedom = max(1, self._energy.size - self._energy.shape[1] - len(start))
        is_inside = self._z_um.min() <= fit.x[0] <= self._z_um.max()
        if 2.0 * float(fit.cost) / freedom > MISFIT or not is_inside:
            return None
        regions = self._energy.shape[1]
        covariance = self._sandwich(fit.jac, fit.fun)
        covariance *= regions / (regions - FREE)
        return Relief(np.asarray(fit.x[:3]), covariance[:3, :3])

    def _residuals(self, p: F64) -> F64:
        half_um, depth_um = np.exp(p[3:5])
        away_um = self._z_um - (p[0] + p[1:3] @ self._places)
        shape = _sharpness(away_um, half_um, depth_um) + p[5]
        # Of every region the brightness that fits best, in closed form.
        square = self._weight**2
        bright = (square * shape * self._energy).sum(0) / (square * shape**2).sum(0)
        off = (bright * shape - self._energy) * self._weight
        known = [
            *(self._root @ (p[1:3] - self._usual_um)),
            (p[3] - np.log(HALF_UM)) / LOG_HALF_SD,
            (p[4] - np.log(DEPTH_UM)) / LOG_DEPTH_SD,
            p[5] / GROUND_SD,
        ]
        return np.concatenate([off.ravel(), known])

    def _sandwich(self, jacobian: F64, residuals: F64) -> F64:
        heights, regions = self._energy.shape
        seen = jacobian[: heights * regions].reshape(heights, regions, -1)
        off = residuals[: heights * regions].reshape(heights, regions)
        known = jacobian[heights * regions :]
        pull = np.einsum("hrp,hr->rp", seen, off)
        lift = SCATTER_UM * np.einsum("hrp,hr->rp", seen, seen[:, :, 0])
        bread = np.linalg.pinv(jacobian.T @ jacobian)
        meat = pull.T @ pull + lift.T @ lift + known.T @ known
        return np.asarray(bread @ meat @ bread)


def _sharpness(away_um: F64, half_um: float, depth_um: float) -> F64:
    """Return the energy of a slab of spots over that in focus, at distances from it.

    Exact for Gaussian spots that widen by the square root of one plus the square of the
    distance over a depth, in a picture filtered by two Gaussians; the slab by a sum.
    """
    at_um = away_um[..., None] + half_um * NODES
    grown = FINE * (at_um / depth_um) ** 2
    energy = 1.0 / (FINE + grown) + 1.0 / (COARSE + grown) - 4.0 / (BOTH + 2.0 * grown)
    in_focus = 1.0 / FINE + 1.0 / COARSE - 4.0 / BOTH
    return np.asarray(energy @ WEIGHTS / (2.0 * in_focus))
