"""Bursts of the simulated microscope with the light that there was, for denoisers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.options import SimulationOptions, SpecimenKind
from simulators.world import Light, View, World

F32 = npt.NDArray[np.float32]
U16 = npt.NDArray[np.uint16]

PUBLISHED_FRAMES = 5000
FOCUS_UM = 1.5


@dataclass(frozen=True)
class Burst:
    """Counts, and the counts that a camera without noise would have given."""

    adu: U16
    truth_adu: F32


def burst(
    *,
    seed: int,
    frames: int,
    side_px: int,
    specimen: SpecimenKind = "demo",
    nm: int = 561,
) -> Burst:
    """Return a burst whose dyes fade as in the published number of frames."""
    options = SimulationOptions(
        seed=seed,
        specimen=specimen,
        height=side_px,
        width=side_px,
        kinetics_factor=PUBLISHED_FRAMES / frames,
        record_intervals=False,
    )
    camera = options.camera
    world = World(options)
    view = View(0.0, 0.0, FOCUS_UM, 0.03, (Light(nm, 0.4),))
    adu = np.zeros((frames, side_px, side_px), np.uint16)
    truth = np.zeros(adu.shape, np.float32)
    world.begin_burst(view)
    for number in range(frames):
        world.expose(view, adu[number])
        truth[number] = world.light_e / camera.e_per_adu + camera.offset_adu
    world.end_burst()
    return Burst(adu, truth)


def squared_errors(frames: npt.NDArray[np.generic], truth: F32) -> list[float]:
    """Return the mean squared error of each frame, ADU^2."""
    apart = np.asarray(frames, np.float64) - truth
    return [float(np.square(frame).mean()) for frame in apart]


def gain_db(noisy: list[float], cleaned: list[float]) -> tuple[float, float]:
    """Return how much the PSNR grew: the mean over frames, and of all frames as one.

    The peak is the same before and after, so that it does not matter which is meant.
    """
    before, after = np.array(noisy), np.array(cleaned)
    each = 10 * np.log10(before / after)
    whole = 10 * np.log10(before.mean() / after.mean())
    return float(each.mean()), float(whole)
