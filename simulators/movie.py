"""Bursts without processes or devices: for tests, for tuning, for looking."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulators.options import SimulationOptions
from simulators.world import View, World

U16 = npt.NDArray[np.uint16]


def record(
    options: SimulationOptions, view: View, frames: int, world: World | None = None
) -> U16:
    """Return one burst, shape (frames, height, width).

    Parameters
    ----------
    options : SimulationOptions
        Of a fresh world, unless one is given.
    view : View
        Of the whole burst.
    frames : int
        How many.
    world : World, optional
        To go on with: its dyes remember their light, and its truth can be written.
    """
    world = world or World(options)
    movie = np.zeros((frames, options.height, options.width), np.uint16)
    world.begin_burst(view)
    for out in movie:
        world.expose(view, out)
    world.end_burst()
    return movie
