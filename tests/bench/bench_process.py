"""A movie by either profile, of any length: memory, and what each step takes.

The movie is one of simulated slide frames said over and over, so that its length costs
no disk: `--frames` are read, localized and stored as of any other one. Prints the
memory at its highest, with the part that grows with the rows of the table.

With `--rows` no frame is localized: a table of so many rows stands there already, of
molecules that blink on a sample that drifts, and what follows the fit is measured.

Example: python tests/bench/bench_process.py --frames 5000 --side 512 --profile paper
Example: python tests/bench/bench_process.py --profile recommended --rows 4000000
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clean_movies import burst

from her2sr_proc.cli_process_lines import movie_lines
from her2sr_proc.live.warming import warm, warm_cleaning
from her2sr_proc.offline.beginning import block_frames, identify
from her2sr_proc.offline.movie_blocks import Way
from her2sr_proc.offline.whole_movie import process_movie
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.movie import LeftFacts, MovieOrder
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.movie_folder import MovieFolder, write_order
from her2sr_proc.store.profiles import load_profile
from her2sr_proc.store.tables import write_parquet_parts

REACH_MB = 2000.0
BANK = 100


class Repeated:
    """A long movie of a short one's frames."""

    dtype = np.dtype(np.uint16)

    def __init__(self, bank: np.ndarray, frames: int) -> None:
        self._bank = bank
        self.shape = (frames, *bank.shape[1:])

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._bank[np.arange(start, stop) % len(self._bank)]

    def close(self) -> None:
        """Do nothing."""


def main() -> int:
    """Measure; return 1 when more memory was needed than may be."""
    asked = _arguments()
    movie = Repeated(burst(seed=9, frames=BANK, side_px=asked.side).adu, asked.frames)
    profile, camera = load_profile(asked.profile), CameraModel()
    order = MovieOrder(
        movie=identify(movie, "repeated"),
        profile=profile.name,
        profile_digest=profile.digest,
        localize=profile.localize,
        camera=camera,
        channel="561" if profile.cleaning else None,
        block_frames=block_frames(movie.shape, is_denoised=False),
    )
    way = Way(order, profile, CameraMaps.uniform(camera, movie.shape[1:]))
    warm()
    warm_cleaning()
    before = _peak_mb()
    with tempfile.TemporaryDirectory() as place:
        folder = MovieFolder(Path(place, "out"), profile.name)
        if asked.rows:
            write_fitted(folder, order, asked.rows)
        found = process_movie(movie, way, folder, jobs=asked.jobs, tell=lambda *_: None)
        for line in movie_lines(found, folder):
            print(line)
    peak = _peak_mb()
    mark = "   " if peak <= REACH_MB else "XXX"
    print(
        f"{mark} memory: {peak:.0f} MB at its highest (reach: {REACH_MB:.0f}); "
        f"{before:.0f} MB before the first frame; {found.localizations} rows, "
        f"{1e6 * (peak - before) / max(found.localizations, 1):.0f} bytes a row"
    )
    cpu_ms = 1000 * sum(s.cpu_s for s in found.times.steps) / asked.frames
    print(f"    {cpu_ms:.2f} ms of one processor a frame: {1000 / cpu_ms:.0f} frames/s")
    return int(peak > REACH_MB)


def write_fitted(folder: MovieFolder, order: MovieOrder, rows: int) -> None:
    """Write the table that a fit would have left, a tenth of a second at a time."""
    folder.root.mkdir(parents=True)
    write_order(folder, order)
    rng = np.random.default_rng(5)
    frames, side = order.movie.frames, order.movie.width_px
    sites = rng.uniform(0, (side - 1) * order.camera.pixel_nm, (rows // 40, 2))
    said = {"steps": "[]", "left": LeftFacts().model_dump_json()}

    def parts() -> Iterator[Localizations]:
        for first in range(0, frames, 10):
            frame = np.arange(first, min(first + 10, frames))
            share = rows * (frame[-1] + 1) // frames - rows * first // frames
            when = np.sort(rng.choice(frame, share))
            where = sites[rng.integers(0, len(sites), share)]
            where = where + 200.0 * (when / frames)[:, None]
            yield fitted(rng, when, where + rng.normal(0, 12.0, where.shape))

    write_parquet_parts(folder.table, parts(), said)


def fitted(rng: np.random.Generator, frame: np.ndarray, where: np.ndarray):
    """Return rows that claim what such places have."""
    values = {"frame": frame, "x_nm": where[:, 0], "y_nm": where[:, 1]}
    values |= {"sigma_nm": 140.0, "photons": rng.gamma(3.0, 200.0, len(frame))}
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        values[name] = rng.uniform(8.0, 16.0, len(frame))
    return Localizations(
        {
            c.name: np.broadcast_to(values.get(c.name, 0), len(frame)).astype(c.dtype)
            for c in COLUMNS
        }
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--profile", choices=["paper", "recommended"], default="paper")
    parser.add_argument("--rows", type=int, default=0, help="of a table made here")
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
