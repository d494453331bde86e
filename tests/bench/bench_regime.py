"""The instrument's own regime: loci, pairs, blinks and the end of the ensemble phase.

Run it: ``python tests/bench/bench_regime.py [--seed 1] [--movies 4] [--recipe NAME]
[--depth UM] [--ground steady|none] [--p-value P] [--frames N]``. Prints what was found
beside the truth and, for pairs, beside what dyes lit alone would tell. The movies are
made by `simulators.smlm.regime`; ``--depth`` is how far loci lie off focus at most.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from regime_scores import Tally, end_line, isolated, tally, true_end

from her2sr_proc.clumps import find_clumps
from her2sr_proc.ensemble import ensemble_end
from her2sr_proc.ground import ground_of, with_ground
from her2sr_proc.localizer import Localizer
from her2sr_proc.loci import find_loci
from her2sr_proc.schema.count_params import EnsembleParams, LociParams
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from simulators.smlm.regime import RECIPES, RegimeMovie, RegimeRecipe, make

BANDS_UM = (0.0, 0.3, 0.6, 1.5)


def localize(movie: RegimeMovie, ground: str) -> Localizations:
    """Return the table of a movie, on its own ground or on the frames as they are."""
    recipe = movie.recipe
    adu, camera = movie.adu(), movie.camera
    if ground == "steady":
        steady = ground_of(
            [(0, adu)], camera, frames=recipe.frames, sigma_px=recipe.sigma_px
        )
        camera = with_ground(camera, steady)
    params = LocalizeParams(sigma_px=recipe.sigma_px)
    localizer = Localizer(camera, pixel_nm=recipe.pixel_nm, params=params)
    with ThreadPoolExecutor(2) as crew:
        return localizer.block(adu, first_frame=0, each=crew.map)


def measure(recipe: RegimeRecipe, seed: int, ground: str, params: LociParams) -> Tally:
    """Print the figures of one movie and return what is added up."""
    begun = time.perf_counter()
    movie = make(recipe, seed=seed)
    table = localize(movie, ground)
    localized_s = time.perf_counter() - begun
    clumps = find_clumps(table, blob_nm=params.blob_nm, least=params.least)
    ensemble = EnsembleParams()
    told = ensemble_end(
        table,
        clumps,
        frames=recipe.frames,
        params=ensemble,
        rng=np.random.default_rng(seed),
    )
    loci = find_loci(table, clumps, dye_photons=told.dye_photons, params=params)
    lone = isolated(movie, table, np.random.default_rng(seed))
    true = true_end(movie, table, ensemble.single)
    print(
        f"movie {seed}: {len(table)} rows in {localized_s:.0f} s, {len(loci)} loci of "
        f"{len(movie.locus_um)}; isolated {lone.found} of {lone.blinks} found, "
        f"error/bound {lone.over_bound:.3f}, pull {lone.pull:.3f}, photons "
        f"{lone.photons:.3f}\n  {end_line(true, told, recipe.compression)}",
        flush=True,
    )
    return tally(movie, loci, params)


def report(parts: list[Tally]) -> None:
    """Print what all movies give together."""
    found, z, distance, bound = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("found", "z_um", "distance_nm", "bound")
    )
    single = distance == 0.0
    seen = single & (found > 0)
    print(
        f"single loci: {int((found[single] > 1).sum())} of {int(seen.sum())} seen were "
        f"split, {int((found[single] == 0).sum())} of {int(single.sum())} not found"
    )
    off, nuclei = (sum(getattr(p, name) for p in parts) for name in ("off", "nuclei"))
    print(f"off loci: {off} in {nuclei} nuclei, {off / nuclei:.3f} a nucleus")
    for low, high in pairwise(BANDS_UM):
        band = (np.abs(z) >= low) & (np.abs(z) < high)
        for apart_nm in np.unique(distance[~single & band]):
            these = band & (distance == apart_nm)
            print(
                f"pairs {apart_nm:.0f} nm, |z| {low} to {high} um: told apart "
                f"{100 * np.mean(found[these] > 1):.0f} % of {int(these.sum())}, three "
                f"or more {int((found[these] > 2).sum())}, none "
                f"{int((found[these] == 0).sum())}; by dyes lit alone "
                f"{100 * np.nanmean(bound[these]):.0f} %"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--movies", type=int, default=4)
    parser.add_argument("--recipe", choices=list(RECIPES), default="regime_561")
    parser.add_argument("--depth", type=float, default=1.5)
    parser.add_argument("--ground", choices=["steady", "none"], default="steady")
    parser.add_argument("--p-value", type=float, default=LociParams().split_p_value)
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    recipe = replace(
        RECIPES[options.recipe], depth_um=options.depth, frames=options.frames
    )
    params = LociParams(split_p_value=options.p_value)
    print(
        f"{recipe.name}, seed {options.seed}, depth {options.depth} um, ground "
        f"{options.ground}, split p {params.split_p_value}; {recipe.frames} frames for "
        f"5000, compression {recipe.compression:g}"
    )
    seeds = range(1000 * options.seed, 1000 * options.seed + options.movies)
    report([measure(recipe, seed, options.ground, params) for seed in seeds])


if __name__ == "__main__":
    main()
