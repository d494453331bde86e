"""Puts a simulated microscope together from its options, and warms it up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simulators.crisp import Crisp
from simulators.faults.plan import FaultPlan
from simulators.films import FilmWorld
from simulators.filterwheel import Wheel
from simulators.instrument import Instrument
from simulators.lights import LINES_NM
from simulators.motion import Motion
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

FOCUS_UM_S = 100.0
FOCUS_SETTLE_S = 0.02


def warm_up(options: SimulationOptions) -> None:
    """Compile what a burst needs in a small world that nobody will look at.

    Otherwise the first burst would wait for the compiler with its light on; and its
    truth would load and fill what writes it, which looks as if a burst left something.
    """
    world = _world(options.model_copy(update={"height": 16, "width": 16}))
    light = tuple(Light(nm=nm, power=0.1) for nm in LINES_NM)
    view = View(x_um=0.0, y_um=0.0, z_um=0.0, exposure_s=0.01, lights=light)
    world.illuminate(view, 0.01)
    world.begin_burst(view)
    world.expose(view, np.zeros((16, 16), np.uint16))
    world.end_burst()
    if options.truth_folder is not None:
        with tempfile.TemporaryDirectory(prefix="her2sr-warm-") as folder:
            world.write_truth(Path(folder))


def assemble(
    options: SimulationOptions, clock: Callable[[], float], faults: FaultPlan
) -> Instrument:
    """Return the specimen's world with stage, focus and light, all at rest."""
    middle_um = options.sample.section_um / 2.0
    world = _world(options)
    focus = Motion(
        (middle_um,),
        speed_um_s=FOCUS_UM_S,
        settle_s=FOCUS_SETTLE_S,
        time_scale=options.time_scale,
        clock=clock,
    )
    return Instrument(
        world,
        stage=Motion(
            (0.0, 0.0),
            speed_um_s=options.stage.speed_um_s,
            settle_s=options.stage.settle_s,
            time_scale=options.time_scale,
            clock=clock,
        ),
        clock=clock,
        faults=faults,
        wheel=Wheel(time_scale=options.time_scale, clock=clock),
        is_gated=options.gated_light,
        interlock_cuts=options.interlock_cuts_light,
        crisp=Crisp(
            options.stage.lock,
            glass=world.surface_um,
            focus=focus,
            offset_um=middle_um,
            seed=options.seed,
            wall=(clock, options.time_scale),
        ),
    )


def _world(options: SimulationOptions) -> World | FilmWorld:
    return World(options) if options.film is None else FilmWorld(options)
