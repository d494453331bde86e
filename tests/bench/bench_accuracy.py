"""Accuracy of the localizer on movies whose truth is known, at one setting.

Run it: ``python tests/bench/bench_accuracy.py [--seed 1] [--frames N] [--only NAME]``.
Prints, for each movie, Jaccard index, precision, recall, lateral RMSE, efficiency,
bias, photons over truth, error over bound and pull of isolated emitters, frames a
second on two threads. The movies are made by `simulators.smlm`; those of the SMLM-2016
kind come from the shared test data, where that is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from smlm_scores import Places, Score, alone, bounds_px, score

from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from simulators.smlm.movie import CAMERA, Movie, make
from simulators.smlm.recipe import RECIPES

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
EMCCD = CameraModel(
    pixel_nm=100, offset_adu=100, e_per_adu=45, em_gain=300, read_noise_e=74.4
)
BORDER_NM = (450.0, 5950.0)
REACH = {
    "sparse": "J 98.8 E 89.5 error/bound 1.02",
    "dim": "J 93.5 E 66.0 error/bound 1.05",
    "dense": "E 76.0 at 40 frames/s",
    "nuclei": "J 87.0 E 69.0 precision 0.98",
    "blinks": "J 88.0 E 72.0 precision 0.98",
    "instrument": "error/bound 1.1 where isolated",
    "ld": "J 95.0 E 77.0",
    "hd": "E 60.0 at 830 frames/s",
}


def settings(sigma_px: float) -> LocalizeParams:
    """Return the one setting for a width of the PSF."""
    return LocalizeParams(sigma_px=sigma_px)


def localize(
    adu: np.ndarray, camera: CameraMaps, pixel_nm: float, params: LocalizeParams
) -> tuple[Localizations, float]:
    """Return the table and frames a second."""
    localizer = Localizer(camera, pixel_nm=pixel_nm, params=params)
    with ThreadPoolExecutor(2) as crew:
        localizer.block(adu[:4], first_frame=0, each=crew.map)
        begun = time.perf_counter()
        table = localizer.block(adu, first_frame=0, each=crew.map)
    return table, len(adu) / (time.perf_counter() - begun)


def places(table: Localizations) -> Places:
    """Return where a table has its spots."""
    return Places(table["frame"].astype(np.int64), table["x_nm"], table["y_nm"])


def line(name: str, found: Score, speed: float, more: str = "") -> str:
    """Return one line of the report."""
    x, y = found.bias_nm
    return (
        f"{name:>7}: J {found.jaccard:5.1f}  precision {found.precision:.3f}  "
        f"recall {found.recall:.3f}  RMSE {found.rmse_nm:5.1f} nm  "
        f"E {found.efficiency:5.1f}  bias {x:+.2f} {y:+.2f} nm  "
        f"{speed:6.0f} frames/s  {more}\n{'':9}reach: {REACH[name]}"
    )


def simulated(name: str, seed: int, frames: int | None) -> str:
    """Measure one of our own movies."""
    movie = make(RECIPES[name], seed=seed, frames=frames)
    recipe = movie.recipe
    params = settings(recipe.sigma_px)
    table, speed = localize(movie.adu, movie.camera, recipe.pixel_nm, params)
    truth = movie.truth
    true = Places(
        truth.frame, truth.x_px * recipe.pixel_nm, truth.y_px * recipe.pixel_nm
    )
    found = score(true, places(table))
    return line(name, found, speed, isolated(movie, table, found))


def isolated(movie: Movie, table: Localizations, found: Score) -> str:
    """Return error over bound, pull and photons over truth of isolated emitters."""
    truth, recipe = movie.truth, movie.recipe
    rows, theirs = found.pairs
    lone = alone(truth.frame, truth.x_px, truth.y_px)[rows]
    rows, theirs, error = rows[lone], theirs[lone], found.error_nm[lone]
    if len(rows) < 50:
        return ""
    x, y = truth.x_px[rows], truth.y_px[rows]
    under = movie.background[np.rint(y).astype(int), np.rint(x).astype(int)]
    bound = recipe.pixel_nm * bounds_px(
        x, y, truth.photons[rows], under, recipe.sigma_px, CAMERA.read_noise_e
    )
    over = np.sqrt((error**2).mean() / (bound**2).mean())
    pull = np.std(error[:, 0] / table["uncertainty_x_nm"][theirs])
    photons = table["photons"][theirs].sum() / truth.photons[rows].sum()
    return f"error/bound {over:.3f}  pull {pull:.3f}  photons {photons:.3f}"


def public(name: str) -> str:
    """Measure a movie of the SMLM-2016 kind by the rules of that challenge."""
    adu = tifffile.imread(SHARED / f"smlm2016_like_{name}.tif")
    rows = np.loadtxt(
        SHARED / f"smlm2016_like_{name}_truth.csv", delimiter=",", skiprows=1
    )
    camera = CameraMaps.uniform(EMCCD, adu.shape[1:])
    table, speed = localize(adu, camera, EMCCD.pixel_nm, settings(1.3))
    all_true = Places(rows[:, 0].astype(np.int64) - 1, rows[:, 1], rows[:, 2])
    found = places(table)
    seen = Places(found.frame, found.x_nm + 50.0, found.y_nm + 50.0)
    true, kept = _within(all_true)
    told, _ = _within(seen)
    whole = score(true, told)
    is_dim = rows[kept, 4] < np.quantile(rows[:, 4], 0.25)
    return line(name, _without(whole, is_dim), speed)


def _within(where: Places) -> tuple[Places, np.ndarray]:
    low, high = BORDER_NM
    kept = np.flatnonzero(
        (where.x_nm > low)
        & (where.x_nm < high)
        & (where.y_nm > low)
        & (where.y_nm < high)
    )
    return Places(where.frame[kept], where.x_nm[kept], where.y_nm[kept]), kept


def _without(found: Score, is_dim: np.ndarray) -> Score:
    """Drop the dim truth, and what was paired with it."""
    rows, theirs = found.pairs
    bright = ~is_dim[rows]
    return Score(
        int((~is_dim).sum()),
        found.found - int((~bright).sum()),
        (rows[bright], theirs[bright]),
        found.error_nm[bright],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=None)
    parser.add_argument("--only", choices=list(REACH))
    options = parser.parse_args()
    for name in [options.only] if options.only else REACH:
        if name in RECIPES:
            print(simulated(name, options.seed, options.frames))
        elif (SHARED / f"smlm2016_like_{name}.tif").exists():
            print(public(name))
        else:
            print(f"{name:>7}: not measured, the movie is not on this machine")


if __name__ == "__main__":
    main()
