"""What each step of the published pipeline gains and costs, on movies with their truth.

Run it: ``python tests/study/study_steps.py [--seed 71] [--frames 200] [--model
MODEL.zip]``. The movies are those of the accuracy table that look like tissue: `blinks`
of the instrument (512 x 512, 130 nm pixels) and `nuclei`. Each is localized raw by
`recommended`; raw as ThunderSTORM would; after the rolling ball; after ball and
threshold (the `paper` profile); and, with a model, after Noise2Void before these.
Prints recall, precision, Jaccard, error and bias per axis, photons over truth of what
was found, and milliseconds of one thread a frame. Truth is read for the comparison
alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from smlm_scores import Places, score

from her2sr_proc.background import Cleaning, RollingBall, without_offset
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import read_model
from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.store.profiles import load_profile
from simulators.smlm.movie import Movie, make
from simulators.smlm.recipe import RECIPES

MOVIES = ("blinks", "nuclei")
CHANNEL = "488"
Step = Callable[[np.ndarray], np.ndarray]


def steps(movie: Movie, model: Path | None) -> dict[str, tuple[Step, bool]]:
    """Return what is done to frames before the paper's fit; whether the offset goes."""
    shape = movie.adu.shape[1:]
    params = load_profile("paper").cleaning
    assert params is not None
    ball = RollingBall(shape, radius_px=params.radius_px, is_smoothed=True)
    cleaning = Cleaning(shape, params, channel=CHANNEL)

    def cleaned(adu: np.ndarray) -> np.ndarray:
        return cleaning.block(adu, first_frame=0)[0]

    found: dict[str, tuple[Step, bool]] = {
        "ThunderSTORM on raw frames": (lambda adu: adu, False),
        "ball": (lambda adu: ball.block(adu), True),
        "ball, threshold (paper)": (cleaned, True),
    }
    if model is not None:
        read = read_model(model)
        denoiser = Denoiser(read.card, read.onnx)

        def denoised(adu: np.ndarray) -> np.ndarray:
            light = np.stack([denoiser(frame) for frame in adu])
            return np.clip(np.rint(light), 0, 65535).astype(np.uint16)

        found["Noise2Void, ball, threshold"] = (lambda a: cleaned(denoised(a)), True)
    return found


def line(
    name: str, movie: Movie, way: tuple[Step, bool], params: LocalizeParams
) -> str:
    """Clean, localize, compare with the truth; return one line of the report."""
    step, is_offset_gone = way
    recipe, truth = movie.recipe, movie.truth
    camera = without_offset(movie.camera) if is_offset_gone else movie.camera
    localizer = Localizer(camera, pixel_nm=recipe.pixel_nm, params=params)
    localizer.block(step(movie.adu[:2]), first_frame=0)  # compiles
    began = time.thread_time()
    table = localizer.block(step(movie.adu), first_frame=0)
    ms = 1000.0 * (time.thread_time() - began) / len(movie.adu)
    true = Places(
        truth.frame, truth.x_px * recipe.pixel_nm, truth.y_px * recipe.pixel_nm
    )
    told = Places(table["frame"].astype(np.int64), table["x_nm"], table["y_nm"])
    found = score(true, told)
    rows, theirs = found.pairs
    if not len(rows):
        return f"| {name} | 0 | | | | | | {ms:.1f} |"
    photons = np.median(table["photons"][theirs] / truth.photons[rows])
    x, y = found.bias_nm
    return (
        f"| {name} | {found.recall:.3f} | {found.precision:.3f} | "
        f"{found.jaccard:.1f} | {found.rmse_nm:.1f} | {x:+.2f}, {y:+.2f} | "
        f"{photons:.2f} | {ms:.1f} |"
    )


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--model", type=Path, help="of Noise2Void, of other slides")
    options = parser.parse_args()
    paper = load_profile("paper").localize
    for name in MOVIES:
        movie = make(RECIPES[name], seed=options.seed, frames=options.frames)
        print(f"\n{name}, seed {options.seed}, {options.frames} frames\n")
        print("| | recall | precision | J | RMSE, nm | bias, nm | photons | ms |")
        print("|---|---|---|---|---|---|---|---|")
        ours = LocalizeParams(sigma_px=movie.recipe.sigma_px)
        raw: tuple[Step, bool] = (lambda adu: adu, False)
        print(line("`recommended`, raw frames", movie, raw, ours), flush=True)
        for step, way in steps(movie, options.model).items():
            print(line(step, movie, way, paper), flush=True)


if __name__ == "__main__":
    main()
