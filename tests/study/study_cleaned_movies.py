"""Are cleaned movies told from raw ones? Simulated bursts of many levels of light.

Every burst is looked at as it is and cleaned by a model of other slides; prints the
share of the light's own noise in both, and how many of each are told as cleaned.

Example: python tests/study/study_cleaned_movies.py --model bench-denoise/n2v.zip
    --model-488 bench-denoise/n2v-488.zip
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import read_model
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from simulators.movie import record
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

SIDE, FRAMES, PAIRS = 256, 100, (0, 25, 50, 75)
POWERS = (0.01, 0.05, 0.4, 1.0)


def main() -> int:
    """Measure; return 1 when a raw movie is told as cleaned, or a cleaned one not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="of 561 nm")
    parser.add_argument("--model-488", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=300)
    asked = parser.parse_args()
    wrong = 0
    for nm, path in ((561, asked.model), (488, asked.model_488)):
        model = read_model(path)
        denoiser = Denoiser(model.card, model.onnx)
        for specimen in ("demo", "no_probe"):
            for power in POWERS:
                options = SimulationOptions(
                    seed=asked.seed,
                    specimen=specimen,
                    height=SIDE,
                    width=SIDE,
                    kinetics_factor=5000 / FRAMES,
                    record_intervals=False,
                )
                view = View(0.0, 0.0, 1.5, 0.03, (Light(nm, power),))
                movie = record(options, view, FRAMES, World(options))
                raw = [movie[at : at + 2] for at in PAIRS]
                clean = [
                    np.stack([np.rint(denoiser(frame)) for frame in pair])
                    .clip(0, 65535)
                    .astype(np.uint16)
                    for pair in raw
                ]
                here, there = _facts(raw), _facts(clean)
                wrong += here.is_cleaned + (not there.is_cleaned)
                print(
                    f"{specimen:9}{nm} {power:5} raw {here.share:.2f} "
                    f"cleaned {there.share:.2f}",
                    flush=True,
                )
    print(f"{wrong} of {2 * 2 * 2 * len(POWERS)} movies were taken for the other kind")
    return int(wrong > 0)


def _facts(pairs):
    noise = CameraNoise(CameraMaps.uniform(CameraModel(), (SIDE, SIDE)))
    for pair in pairs:
        noise.add(pair)
    return noise.facts()


if __name__ == "__main__":
    sys.exit(main())
