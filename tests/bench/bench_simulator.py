"""Frames per second of the simulated camera, by noise mode and frame size.

Run it: ``python tests/bench/bench_simulator.py [--frames 300]``. Times are processor
time of one thread, light and dyes included; the first column of a real camera is 33.
"""

import argparse
import time

import numpy as np

from simulators.options import Noise, SimulationOptions
from simulators.world import Light, View, World

CASES: tuple[tuple[Noise, int], ...] = (
    ("exact", 256),
    ("exact", 512),
    ("fast", 512),
    ("fast", 2048),
    ("replay", 2048),
)


def measure(noise: Noise, size: int, frames: int) -> tuple[float, float]:
    """Return milliseconds to start a burst and per frame of it."""
    world = World(SimulationOptions(height=size, width=size, noise=noise))
    view = View(0.0, 0.0, 1.5, 0.03, (Light(561, 0.4),))
    out = np.zeros((size, size), np.uint16)
    started = time.process_time()
    world.begin_burst(view)
    begun = time.process_time()
    for _ in range(frames):
        world.expose(view, out)
    ended = time.process_time()
    return 1000.0 * (begun - started), 1000.0 * (ended - begun) / frames


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    frames = parser.parse_args().frames
    print(f"{'noise':8}{'size':>6}{'start ms':>10}{'frame ms':>10}{'frames/s':>10}")
    for noise, size in CASES:
        measure(noise, 64, 2)
        begin_ms, frame_ms = measure(noise, size, frames)
        rate = 1000.0 / frame_ms
        print(f"{noise:8}{size:6}{begin_ms:10.0f}{frame_ms:10.2f}{rate:10.0f}")


if __name__ == "__main__":
    main()
