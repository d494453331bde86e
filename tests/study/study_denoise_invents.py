"""Does the cleaning invent signals? Slides without probe, as they are and cleaned.

Every slide is simulated with nuclei, their own glow and stray dyes, but no probe: each
signal that is counted is false. The same frames are counted twice by the whole chain
(localize, link, drift, count), once as the camera gave them and once after Noise2Void,
in each arm. The model must come from other slides: `tests/bench/bench_denoise.py` makes
one from seeds 1, 2 and 3, which are refused here.

Example: python tests/study/study_denoise_invents.py --model bench-denoise/n2v.zip
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from run_folders import add_unit, make_run

from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import read_model
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.schema.results import RunResult
from simulators.movie import record
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

U16 = npt.NDArray[np.uint16]

TRAINED_ON = (1, 2, 3)
"""Seeds of the bench's slides."""
REACH = 0.05
"""False signals a nucleus."""
POWER = {"561": 0.4, "488": 0.4, "405": 0.2}
FOCUS_UM = 1.5
PUBLISHED_FRAMES = 5000


def main() -> int:
    """Measure; return 1 when an arm of cleaned frames has too many false signals."""
    asked = _arguments()
    models = {"561": asked.model, "488": asked.model_488 or asked.model}
    denoisers = {channel: _denoiser(path) for channel, path in models.items()}
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for seed in range(asked.first_seed, asked.first_seed + asked.slides):
        movies = _slide(seed, asked)
        for name in ("raw", "cleaned"):
            shown = movies if name == "raw" else _cleaned(movies, denoisers)
            with tempfile.TemporaryDirectory() as folder:
                result = _counted(Path(folder, "r1"), shown, asked)
            for arm, tally in result.arms.items():
                signals = tally.her2_signals + tally.cep17_signals
                found[name, arm].append((signals, tally.nuclei))
                print(
                    f"slide {seed}, {name}, {arm}: {signals} in {tally.nuclei} nuclei",
                    file=sys.stderr,
                    flush=True,
                )
    return _tell(found)


def _tell(found: dict[tuple[str, str], list[tuple[int, int]]]) -> int:
    missed = 0
    for (name, arm), tallies in found.items():
        signals, nuclei = (sum(part) for part in zip(*tallies, strict=True))
        if not nuclei:
            print(f"XXX {name}, {arm}: no nucleus was scored; give more slides")
            missed += 1
            continue
        each = signals / (2 * nuclei)
        is_met = each <= REACH or name == "raw"
        missed += not is_met
        print(
            f"{'   ' if is_met else 'XXX'} {name}, {arm}: {signals} false signals of "
            f"two colours in {nuclei} nuclei, {each:.3f} a nucleus and colour (reach: "
            f"{REACH}; with none seen the 95 % limit is {3 / (2 * nuclei):.3f})"
        )
    return int(missed > 0)


def _denoiser(path: Path) -> Denoiser:
    model = read_model(path)
    return Denoiser(model.card, model.onnx)


def _slide(seed: int, asked: argparse.Namespace) -> dict[str, U16]:
    options = SimulationOptions(
        seed=seed,
        specimen="no_probe",
        height=asked.size,
        width=asked.size,
        kinetics_factor=PUBLISHED_FRAMES / asked.frames,
    )
    world = World(options)
    movies = {}
    for channel, power in POWER.items():
        view = View(0.0, 0.0, FOCUS_UM, 0.03, (Light(int(channel), power),))
        frames = _frames(channel, asked)
        movies[channel] = record(options, view, frames, world)
    return movies


def _cleaned(movies: dict[str, U16], denoisers: dict[str, Denoiser]) -> dict[str, U16]:
    """Return the movies with both signal channels cleaned, rounded to counts."""
    cleaned = dict(movies)
    for channel, denoiser in denoisers.items():
        light = [np.rint(denoiser(frame)) for frame in movies[channel]]
        cleaned[channel] = np.clip(light, 0, 65535).astype(np.uint16)
    return cleaned


def _counted(
    folder: Path, movies: dict[str, U16], asked: argparse.Namespace
) -> RunResult:
    frames = {channel: len(movie) for channel, movie in movies.items()}
    run = make_run(folder, frames=frames, size=asked.size)
    for channel, movie in movies.items():
        add_unit(run, channel, movie, block=25)
    return process_run(run, lambda *_: None, jobs=1)


def _frames(channel: str, asked: argparse.Namespace) -> int:
    return 50 if channel == "405" else int(asked.frames)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="of 561 nm")
    parser.add_argument(
        "--model-488", type=Path, help="of 488 nm; default: that of 561 nm"
    )
    parser.add_argument("--slides", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=101)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--frames", type=int, default=400, help="a multiple of 25")
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.slides)
    if set(seeds) & set(TRAINED_ON):
        parser.error("slides of seeds 1 to 3 were trained on; choose another seed")
    if asked.frames % 25:
        parser.error("--frames must be a multiple of 25")
    return asked


if __name__ == "__main__":
    sys.exit(main())
