"""Noise2Void against the light that there was: a small budget, and a small claim.

The claim of the published budget, 6 dB, is measured by `tests/bench/bench_denoise.py`.
"""

import numpy as np
import pytest
from clean_movies import burst, gain_db, squared_errors

from her2sr_proc.schema.denoise import NetworkForm, TrainParams

CLAIM_DB = 1.0


class Held:
    def __init__(self, adu: np.ndarray) -> None:
        self.adu = adu
        self.shape = adu.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.adu[start:stop]


def test_a_slide_that_was_not_trained_on_comes_nearer_to_its_light():
    torch = pytest.importorskip("torch", reason="training needs the extra train")
    from her2sr_proc.denoise.graph import graph_of
    from her2sr_proc.denoise.inference import Denoiser
    from her2sr_proc.denoise.model import digest
    from her2sr_proc.denoise.training.pool import gather
    from her2sr_proc.denoise.training.trainer import Trainer
    from her2sr_proc.schema.denoise import Card

    torch.set_num_threads(1)
    form = NetworkForm(filters=8)
    params = TrainParams(
        form=form, batch=8, steps=150, epochs=1, frames=40, learning_rate=3e-3
    )
    seen = [Held(burst(seed=s, frames=40, side_px=96).adu) for s in (1, 2)]
    pool = gather(seen, params)
    trainer = Trainer(pool, params)
    trainer.run(progress=lambda done, total: None, save=lambda: None)
    onnx = graph_of(trainer.progress.best, form)
    card = Card(
        form=form,
        normalization=pool.normalization,
        halo_px=form.halo_px,
        source="trained",
        weights_sha256=digest(onnx),
    )
    clean = Denoiser(card, onnx)
    slide = burst(seed=9, frames=40, side_px=96)
    late = slice(20, None, 4)
    adu, truth = slide.adu[late], slide.truth_adu[late]
    cleaned = np.stack([clean(frame) for frame in adu])
    each, _ = gain_db(squared_errors(adu, truth), squared_errors(cleaned, truth))
    assert each > CLAIM_DB
