"""Noise2Void, measured: what training gains against the truth, and what a frame costs.

Makes three bursts of simulated slides, trains on them at the paper's budget, and cleans
a burst of a fourth slide that training never saw. The light that there was is known to
the simulator alone and used for comparing alone. An interrupted call goes on where it
was when it is given the same --work again.

Example: python tests/bench/bench_denoise.py --work bench-denoise --precision bf16
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

if find_spec("torch") is None:
    sys.exit("not measured: training needs PyTorch; pip install -e '.[train]'")

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clean_movies import Burst, burst, gain_db, squared_errors

from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import read_model
from her2sr_proc.denoise.short import error_of, shortened
from her2sr_proc.offline.denoise_training import TrainOrder, train
from her2sr_proc.schema.denoise import PAPER_TRAIN, NetworkForm, TrainParams
from her2sr_proc.store.frames import open_movie

TRAINED_ON, HELD_OUT = (1, 2, 3), 9
"""Seeds of the slides."""
REACH_DB, REACH_CPU_S = 6.0, 0.45
LOOKED_AT = 25
"""Frames of the held-out burst."""


def main() -> int:
    """Measure; return 1 when a figure was missed."""
    asked = _arguments()
    asked.work.mkdir(parents=True, exist_ok=True)
    model = asked.work / f"{asked.method}{_colour(asked)}.zip"
    if not model.exists():
        _train(asked, model)
    missed = _quality(asked, model)
    missed += _cost(model)
    return 1 if missed else 0


def _train(asked: argparse.Namespace, model: Path) -> None:
    movies = []
    for seed in TRAINED_ON:
        path = asked.work / f"slide{seed}{_colour(asked)}.npy"
        if not path.exists():
            np.save(path, _burst(asked, seed).adu)
        movies.append(open_movie(path))
    params = TrainParams.model_validate(
        {
            **PAPER_TRAIN.model_dump(),
            "form": NetworkForm(method=asked.method),
            "precision": asked.precision,
            "steps": asked.steps,
            "epochs": asked.epochs,
            "batch": asked.batch,
        }
    )
    order = TrainOrder(
        params, model, model.with_suffix(".checkpoint.npz"), "CC0-1.0", asked.threads
    )
    began = time.process_time()
    done = train(movies, order, progress=_lines(), now=lambda: datetime.now(UTC))
    cpu_min = (time.process_time() - began) / 60
    print(
        f"training: {params.epochs} epochs of {params.steps} steps, batch "
        f"{params.batch}, patch {params.patch_px}, {params.precision}: {cpu_min:.1f} "
        f"CPU-min from step {done.resumed_at}; loss on held-out pixels "
        f"{[round(loss, 4) for loss in done.history]}"
    )


def _quality(asked: argparse.Namespace, path: Path) -> int:
    model = read_model(path)
    denoiser = Denoiser(model.card, model.onnx)
    slide = _burst(asked, HELD_OUT)
    every = max(1, len(slide.adu) // LOOKED_AT)
    adu, truth = slide.adu[every // 2 :: every], slide.truth_adu[every // 2 :: every]
    cleaned = np.stack([denoiser(frame) for frame in adu])
    noisy, left = squared_errors(adu, truth), squared_errors(cleaned, truth)
    each, whole = gain_db(noisy, left)
    mark = "   " if each >= REACH_DB else "XXX"
    print(
        f"{mark} PSNR on the held-out slide: +{each:.2f} dB, mean of {len(adu)} frames "
        f"spread over the burst (reach: {REACH_DB:g} dB); all frames as one: "
        f"{whole:+.2f} dB"
    )
    for name, part in zip(("first", "middle", "last"), _thirds(len(adu)), strict=True):
        gains = gain_db(noisy[part], left[part])
        print(f"    {name} third: {gains[0]:+.2f} dB; as one {gains[1]:+.2f} dB")
    short = Denoiser(model.card, shortened(model.card, model.onnx, list(adu[::2])))
    error = error_of(denoiser, short, list(adu[1::2]))
    print(
        f"    int8: off by {error.rms_adu:.2f} ADU rms, "
        f"{100 * error.share_of_removed:.1f} % of what is taken off"
    )
    return int(each < REACH_DB)


def _cost(path: Path) -> int:
    model = read_model(path)
    frame = np.random.default_rng(0).poisson(300, (512, 512)).astype(np.uint16)
    full = Denoiser(model.card, model.onnx)
    short = Denoiser(model.card, shortened(model.card, model.onnx, [frame]))
    fp32, int8 = (_cpu_s(denoiser, frame) for denoiser in (full, short))
    mark = "   " if fp32 <= REACH_CPU_S else "XXX"
    print(
        f"{mark} 512 x 512 in fp32: {fp32:.3f} CPU-s a frame (reach: {REACH_CPU_S:g}); "
        f"int8: {int8:.3f} CPU-s"
    )
    return int(fp32 > REACH_CPU_S)


def _cpu_s(denoiser: Denoiser, frame: np.ndarray) -> float:
    times = []
    denoiser(frame)
    for _ in range(4):
        began = time.process_time()
        denoiser(frame)
        times.append(time.process_time() - began)
    return min(times)


def _thirds(count: int) -> list[slice]:
    edges = [0, count // 3, 2 * count // 3, count]
    return [slice(a, b) for a, b in pairwise(edges)]


def _burst(asked: argparse.Namespace, seed: int) -> Burst:
    return burst(seed=seed, frames=asked.frames, side_px=asked.size, nm=asked.nm)


def _colour(asked: argparse.Namespace) -> str:
    return "" if asked.nm == 561 else f"-{asked.nm}"


def _lines() -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % 50 == 0:
            print(f"step {done} of {total}", file=sys.stderr, flush=True)

    return tell


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("bench-denoise"))
    parser.add_argument("--method", choices=["n2v", "n2v2"], default="n2v")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=PAPER_TRAIN.steps)
    parser.add_argument("--epochs", type=int, default=PAPER_TRAIN.epochs)
    parser.add_argument("--batch", type=int, default=PAPER_TRAIN.batch)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--frames", type=int, default=200, help="of a burst")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nm", type=int, choices=[488, 561], default=561)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
