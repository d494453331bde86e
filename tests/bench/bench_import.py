"""Movies of another microscope to a report: how long a triple takes, step by step.

Run it: ``python tests/bench/bench_import.py [--frames 5000] [--size 512] [--seed 61]``.
Three movies of one simulated field are written as BigTIFF (HER2 at 561, CEP17 at 488,
DAPI at 405 nm; the decay of the paper's burst, not compressed in time), then
``her2sr import ... --process`` is called as a laboratory would. Prints the time of the
whole, the processor time and peak memory of the command, and what the result says; ends
with 1 when it takes more than ten minutes, the time of two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from simulators.options import SimulationOptions
from simulators.world import Light, View, World

LIMIT_S = 600.0
EXPOSURE_S = 0.03
LINES = {"her2": Light(561, 0.4), "cep17": Light(488, 0.4), "dapi": Light(405, 0.2)}
Z_UM = 1.5


def film(world: World, light: Light, shape: tuple[int, int, int], path: Path) -> None:
    """Write a burst of one line as BigTIFF, a page a frame."""
    view = View(0.0, 0.0, Z_UM, EXPOSURE_S, (light,))
    world.begin_burst(view)
    frame = np.zeros(shape[1:], np.uint16)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for _ in range(shape[0]):
            world.expose(view, frame)
            file.write(frame, photometric="minisblack", contiguous=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=61)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="her2sr-import-") as name:
        folder = Path(name)
        world = World(
            SimulationOptions(
                height=options.size, width=options.size, noise="fast", seed=options.seed
            )
        )
        began = time.monotonic()
        movies = {key: folder / f"slide_{light.nm}.tif" for key, light in LINES.items()}
        for key, path in movies.items():
            film(world, LINES[key], (options.frames, options.size, options.size), path)
        print(f"three movies of {options.frames} frames: {_s(began)}", flush=True)
        words = [w for key, path in movies.items() for w in (f"--{key}", str(path))]
        out = folder / "data" / "runs" / "slide"
        began = time.monotonic()
        command = [sys.executable, "-c", "from her2sr_acq.cli import main; main()"]
        told = subprocess.run(
            [*command, "import", *words, "--out", str(out), "--process", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        took_s = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(told.stdout.strip()[-600:] or told.stderr.strip()[-2000:])
        print(
            f"import and process: {took_s:.0f} s, {used.ru_utime + used.ru_stime:.0f} "
            f"CPU-s, peak memory {used.ru_maxrss / 1024:.0f} MB "
            f"(reach: {LIMIT_S:.0f} s)"
        )
        if told.returncode:
            return 1
        result = json.loads((out / "results" / "result.json").read_text())
        arm = result["arms"][result["headline"]]
        print(
            f"frames localized {result['accounting']['localized']} of "
            f"{result['accounting']['localizable']}; {arm['nuclei']} nuclei, report "
            f"{(out / 'report.html').stat().st_size / 1024:.0f} KiB"
        )
    return 0 if took_s <= LIMIT_S else 1


def _s(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
