"""Two single-threaded workers of a Dask cluster beside one, on the same run.

Run it: ``python tests/bench/bench_cluster.py [--fields 4] [--frames 300]``. A run of
simulated blinks (512 x 512, two channels a field) is processed three times: by this
process alone with one thread, by a cluster of one worker, and of two. Prints seconds,
the speed of two workers over one (reach: 1.6), whether all files are the same, and what
a microscope's night costs by these figures.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clusters import cluster
from run_folders import add_unit, make_run

from her2sr_proc.benchmark import make_movie
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.schedulers import Dask, Local
from her2sr_proc.store.layout import RunFolder

SIDE, EMITTERS, SIGMA_PX = 512, 66, 0.68
REACH = 1.6
NIGHT_FRAMES = 100 * 2 * 5000
"""Of a night: 100 fields, two signal channels."""


def make(folder: Path, fields: int, frames: int) -> RunFolder:
    """Write a run of spots at random places, as it was acquired."""
    names = tuple(f"r00_c{n:02d}" for n in range(fields))
    counts = {"561": frames, "488": frames}
    run = make_run(folder / "r1", frames=counts, size=SIDE, fields=names)
    for seed, field in enumerate(names):
        for channel in counts:
            movie = make_movie(SIDE, EMITTERS, SIGMA_PX, seed)
            repeats = -(-frames // len(movie))
            add_unit(
                run,
                channel,
                np.tile(movie, (repeats, 1, 1))[:frames],
                field=field,
                block=25,
            )
    return run


def digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run, but what its steps took."""
    times = RunFolder(root).times
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p != times
    }


def timed(frames: RunFolder, folder: Path, scheduler) -> tuple[float, dict[str, str]]:
    """Return the seconds that a fresh copy takes, and its files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(frames.root, folder / "r1")
    begun = time.perf_counter()
    process_run(RunFolder(folder / "r1"), lambda *_: None, scheduler=scheduler, jobs=1)
    return time.perf_counter() - begun, digests(folder / "r1")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=4)
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        frames = make(root / "frames", options.fields, options.frames)
        timed(frames, root / "warm", Local())
        alone_s, here = timed(frames, root / "here", Local())
        seconds = {}
        same = True
        for workers in (1, 2):
            with cluster(root, workers=workers) as machines:
                who = Dask(machines.address)
                timed(frames, root / "warm", who)  # workers import and load kernels
                seconds[workers], files = timed(frames, root / "there", who)
                same = same and files == here
    total = 2 * options.fields * options.frames
    ratio = seconds[1] / seconds[2]
    print(f"{total} frames of {SIDE} x {SIDE}, {EMITTERS} spots each")
    print(f"this process, one thread: {alone_s:.1f} s")
    for workers, taken_s in seconds.items():
        print(f"cluster of {workers}: {taken_s:.1f} s")
    print(f"two workers over one: {ratio:.2f} times (reach {REACH})")
    print(f"files bit for bit the same: {same}")
    night_h = alone_s / total * NIGHT_FRAMES / 3600.0
    print(f"a night of {NIGHT_FRAMES} such frames: {night_h:.2f} core hours")
    return 0 if ratio >= REACH and same else 1


if __name__ == "__main__":
    sys.exit(main())
