"""Compile every loop of the simulator once: ``python -m simulators.warm``."""

from __future__ import annotations

from simulators.movie import record
from simulators.options import Noise, SimulationOptions
from simulators.world import Light, View

MODES: tuple[Noise, ...] = ("exact", "fast")


def main() -> None:
    """Take a few frames in every mode that has loops of its own."""
    view = View(0.0, 0.0, 1.5, 0.03, (Light(488, 0.4),))
    for noise in MODES:
        record(SimulationOptions(height=64, width=64, noise=noise), view, 2)


if __name__ == "__main__":
    main()
