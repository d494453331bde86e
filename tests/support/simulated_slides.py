"""Simulated slides taken field by field without a microscope, as folders of runs."""

from collections.abc import Sequence
from pathlib import Path

from run_folders import add_unit, make_run

from her2sr_proc.store.layout import RunFolder
from simulators.movie import record
from simulators.options import SampleOptions, SimulationOptions
from simulators.world import Light, View, World

POWER = {"561": 0.4, "488": 0.4, "405": 0.2}
WHOLE = 5000
"""Frames of the burst that fewer ones stand for, with faster kinetics."""


def take_slide(
    root: Path,
    *,
    kind: str,
    seed: int,
    fields: int = 1,
    side: int = 512,
    frames: int = 400,
    dark: Sequence[str] = (),
    sample: SampleOptions | None = None,
) -> RunFolder:
    """Take the fields of a slide; ``dark``: channels whose laser stays off."""
    counts = {"561": frames, "488": frames, "405": min(100, frames)}
    names = [f"r00_c{n:02d}" for n in range(fields)]
    run = make_run(root, frames=counts, size=side, fields=names)
    options = SimulationOptions.model_validate(
        {
            "seed": seed,
            "specimen": kind,
            "height": side,
            "width": side,
            "kinetics_factor": WHOLE / frames,
            "record_intervals": False,
            "sample": sample or SampleOptions(),
        }
    )
    world = World(options)
    for number, name in enumerate(names):
        x_um = number * side * options.pixel_um
        for channel, count in counts.items():
            power = 0.0 if channel in dark else POWER[channel]
            lights = (Light(int(channel), power),) if power else ()
            view = View(x_um, 0.0, options.sample.section_um / 2, 0.03, lights)
            movie = record(options, view, count, world)
            add_unit(run, channel, movie, field=name, block=25)
    world.write_truth(run.simulated_truth)
    return run
