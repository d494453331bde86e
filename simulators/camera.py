"""The sensor: maps of offset, gain and read noise, and frames from mean electrons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulators._kernels import sensor
from simulators.options import SimulationOptions

F32 = npt.NDArray[np.float32]
U16 = npt.NDArray[np.uint16]
I64 = npt.NDArray[np.int64]

BANK = 1 << 18
TAIL = 0.01
"""Fraction of pixels with several times the usual read noise."""


class Camera:
    """One sCMOS sensor, the same for every run with its seed."""

    def __init__(self, options: SimulationOptions) -> None:
        camera, shape = options.camera, (options.height, options.width)
        rng = np.random.default_rng([options.seed, 11])
        offset = rng.normal(camera.offset_adu, camera.offset_sd_adu, shape)
        gain = rng.normal(1.0, camera.gain_sd, shape) / camera.e_per_adu
        hot = rng.random(shape) < camera.hot_fraction
        noise = rng.lognormal(0.0, 0.25, shape)
        noise[rng.random(shape) < TAIL] *= 3.5
        noise *= camera.read_noise_e / np.sqrt(np.mean(noise**2))
        noise[hot] *= 6.0
        dark = np.full(shape, camera.dark_e_per_s)
        dark[hot] = rng.uniform(200.0, 3000.0, int(hot.sum()))
        self.offset_adu: F32 = offset.astype(np.float32)
        self.adu_per_e: F32 = gain.astype(np.float32)
        self.read_noise_e: F32 = noise.astype(np.float32)
        self.dark_e_per_s: F32 = dark.astype(np.float32)
        seed = int(rng.integers(0, 2**62))
        # longer than the bank by a row, so that any start has a whole row
        numbers = rng.standard_normal(BANK + options.width).astype(np.float32)
        self._seed = np.uint64(seed)
        self._bank: F32 = numbers

    def truth(self, exposure_s: float) -> dict[str, F32]:
        """Return what a calibration of this sensor should find; for comparisons."""
        dark = self.dark_e_per_s * np.float32(exposure_s)
        return {
            "offset_adu": self.offset_adu + self.adu_per_e * dark,
            "e_per_adu": 1.0 / self.adu_per_e,
            "variance_e2": self.read_noise_e**2 + dark,
        }

    def expose(self, rate_e: F32, exposure_s: float, frame: int, out: U16) -> None:
        """Fill ``out`` with one frame, every pixel drawn for itself.

        Parameters
        ----------
        rate_e : float32 array, shape (height, width)
            Mean photo-electrons of this frame.
        exposure_s : float
            For the dark current.
        frame : int
            Number of the frame since the camera was made; the same number draws
            the same noise.
        out : uint16 array, shape (height, width)
            Filled.
        """
        sensor.expose_exact(
            rate_e,
            self.offset_adu,
            self.adu_per_e,
            self.read_noise_e,
            self.dark_e_per_s,
            np.float32(exposure_s),
            self._seed,
            np.uint64(frame),
            out,
        )

    def moments(self, rate_e: F32, exposure_s: float, out: F32) -> None:
        """Fill ``out`` with mean and sd of counts, shape (2, height, width)."""
        sensor.moments(
            rate_e,
            self.offset_adu,
            self.adu_per_e,
            self.read_noise_e,
            self.dark_e_per_s,
            np.float32(exposure_s),
            out,
        )

    def expose_fast(self, moments: F32, frame: int, out: U16) -> None:
        """Fill ``out`` from its moments with noise from a shifted bank: rates only.

        Rows take the same numbers from other starts, so far pixels correlate.

        ``moments``: float32, shape (2, height, width), mean and sd in counts; ``out``:
        uint16, shape (height, width).
        """
        sensor.expose_fast(
            moments[0],
            moments[1],
            self._bank,
            self._seed,
            np.uint64(frame),
            out,
        )

    def noise(self, frame: int) -> F32:
        """Return the bank from some start on, the same for the same frame."""
        return self._bank[frame * 7919 % (BANK // 2) :]
