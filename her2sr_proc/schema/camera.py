"""What turns camera counts into photo-electrons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from her2sr_proc.schema.model import Frozen

F32 = npt.NDArray[np.float32]


class CameraModel(Frozen):
    """One camera, the same for every pixel. Maps refine it per pixel."""

    pixel_nm: float = Field(default=130.0, gt=0, le=10_000, description="in the sample")
    offset_adu: float = Field(default=100.0, ge=0, le=65535)
    e_per_adu: float = Field(
        default=0.46, gt=0, le=1000, description="photo-electrons per count"
    )
    read_noise_e: float = Field(default=1.6, ge=0, le=1000, description="rms")
    em_gain: float = Field(
        default=1.0, ge=1, le=10_000, description="1: no electron multiplication"
    )
    saturation_adu: int = Field(default=65535, gt=0, le=65535)

    @property
    def is_emccd(self) -> bool:
        """Whether the excess noise of electron multiplication applies."""
        return self.em_gain > 1.0


@dataclass(frozen=True, slots=True)
class CameraMaps:
    """The camera, pixel by pixel.

    Every array is float32, shape (height, width).
    """

    offset_adu: F32
    e_per_adu: F32
    variance_e2: F32
    """Read-noise variance in photo-electrons squared."""
    excess_noise: float = 1.0
    """Variance over mean of the light itself: 2 with electron multiplication."""
    saturation_adu: int = 65535
    """Counts from which a pixel no longer says how bright it was."""

    @staticmethod
    def uniform(camera: CameraModel, shape: tuple[int, int]) -> CameraMaps:
        """Return maps that say the same for every pixel of a frame of ``shape``."""
        gain = camera.e_per_adu / camera.em_gain
        variance = (camera.read_noise_e / camera.em_gain) ** 2
        return CameraMaps(
            offset_adu=np.full(shape, camera.offset_adu, np.float32),
            e_per_adu=np.full(shape, gain, np.float32),
            variance_e2=np.full(shape, variance, np.float32),
            excess_noise=2.0 if camera.is_emccd else 1.0,
            saturation_adu=camera.saturation_adu,
        )
