"""Frames per second that the simulated camera delivers through MMCore alone.

Run it: ``python tests/bench/bench_rates.py [--frames 20000] [--full 300]``. Two cases:
64 x 64 with simulated time as fast as it goes (the accelerated soak), and 2048 x 2048
in real time at 30 ms (a real camera's full rate). No disk, no bus, no engine. Prints
processor time a frame of the microscope's process and of this one, where MMCore is.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import yaml
from microscopes import opened, simulated
from short import short_folder

BUFFER_MB = {64: 64, 2048: 1024}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """One burst at one rate."""

    size: int
    frames: int
    time_scale: float
    max_waiting: int


def processor_s(pid):
    """Return user and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def with_room(config, size):
    """Give the core's ring the room that this size of frames needs."""
    data = yaml.safe_load(config.read_text())
    data["mmcore"]["buffer_mb"] = BUFFER_MB[size]
    config.write_text(yaml.safe_dump(data))
    return config


def take(camera, laser, frames):
    """Take one lit burst and return its seconds from the second frame to the last."""
    camera.arm(frames=frames, exposure_ms=30.0)
    laser.on()
    camera.start()
    camera.next_frame(timeout_s=30.0)
    began = time.monotonic()
    for _ in range(frames - 1):
        camera.next_frame(timeout_s=10.0)
    took_s = time.monotonic() - began
    laser.off()
    camera.disarm()
    return took_s


def measure(case):
    """Return frames a second and processor seconds a frame of both processes."""
    options = {
        "noise": "replay",
        "time_scale": case.time_scale,
        "record_intervals": False,
        "camera": {"max_waiting": case.max_waiting},
    }
    with (
        short_folder() as folder,
        simulated(folder, size=case.size, **options) as bench,
        opened(with_room(bench.config, case.size), folder) as hardware,
    ):
        laser = hardware.lasers[561]
        laser.set_power(40.0)
        take(hardware.camera, laser, 20)
        before = processor_s(bench.process.pid), time.process_time()
        took_s = take(hardware.camera, laser, case.frames)
        theirs = processor_s(bench.process.pid) - before[0]
        ours = time.process_time() - before[1]
    rate = (case.frames - 1) / took_s
    return rate, theirs / case.frames, ours / case.frames


def main():
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--full", type=int, default=300)
    chosen = parser.parse_args()
    cases = [
        Case(64, chosen.frames, 1000.0, 1000),
        Case(2048, chosen.full, 1.0, 0),
    ]
    print(f"{'size':>6}{'frames/s':>10}{'microscope ms':>15}{'core ms':>9}")
    for case in cases:
        rate, theirs, ours = measure(case)
        print(f"{case.size:6}{rate:10.1f}{1e3 * theirs:15.3f}{1e3 * ours:9.3f}")


if __name__ == "__main__":
    main()
