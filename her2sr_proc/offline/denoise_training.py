"""Movies in, a model's file out; what was interrupted goes on from its checkpoint.

A checkpoint is a plain archive of arrays: nothing in it is ever run.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from her2sr_proc.denoise.graph import graph_of
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, digest, write_model
from her2sr_proc.denoise.training.pool import Pool, gather
from her2sr_proc.denoise.training.trainer import Trainer
from her2sr_proc.errors import ModelError, RequestError
from her2sr_proc.schema.denoise import Card, TrainParams
from her2sr_proc.store.atomic import telling, write_bytes
from her2sr_proc.store.frames import FrameSource
from her2sr_proc.versions import versions

Arrays = dict[str, npt.NDArray[np.generic]]
PURPOSE = "purpose"
"""The entry of a checkpoint that says what it is of, as JSON in bytes."""
TEST_PX = 64


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """What is asked for beside the movies."""

    params: TrainParams
    out: Path
    checkpoint: Path
    licence: str
    threads: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    card: Card
    history: tuple[float, ...]
    """Loss on held-out pixels after each epoch, in units of the normalization."""
    resumed_at: int
    """Step at which this call began."""


def train(
    movies: Sequence[FrameSource],
    order: TrainOrder,
    *,
    progress: Callable[[int, int], None],
    now: Callable[[], datetime],
) -> Trained:
    """Train to the end and write the model whole; then the checkpoint is removed.

    Raises `RequestError` for movies that cannot be trained on, or a checkpoint of
    another training; `ModelError` for one that is damaged.
    """
    torch.set_num_threads(order.threads)
    pool = gather(movies, order.params)
    purpose = _purpose(pool, order.params)
    trainer = Trainer(pool, order.params)
    if order.checkpoint.exists():
        trainer.restore(_read(order.checkpoint, purpose))
    began = trainer.progress.step

    def save() -> None:
        _write(order.checkpoint, trainer.arrays(), purpose)

    trainer.run(progress=progress, save=save)
    model = _model(trainer, pool, order)
    write_model(order.out, model, at=now())
    order.checkpoint.unlink(missing_ok=True)
    return Trained(model.card, tuple(trainer.progress.history), began)


def _model(trainer: Trainer, pool: Pool, order: TrainOrder) -> Model:
    params, state = order.params, trainer.progress
    onnx = graph_of(state.best, params.form)
    facts = params.model_dump(mode="json", exclude={"form"})
    card = Card(
        form=params.form,
        normalization=pool.normalization,
        halo_px=params.form.halo_px,
        source="trained",
        training={
            **facts,
            "steps_done": state.step,
            "epochs_done": len(state.history),
            "best_epoch": state.best_epoch,
            "held_out_loss": state.history[state.best_epoch - 1],
        },
        movies=pool.movies,
        made_by=versions(("her2sr", "torch", "numpy", "onnx")),
        licence=order.licence,
        weights_sha256=digest(onnx),
    )
    patch = pool.held_out[0][:TEST_PX, :TEST_PX].astype(np.float32)
    return Model(card, onnx, patch, Denoiser(card, onnx)(patch))


def _purpose(pool: Pool, params: TrainParams) -> str:
    movies = [movie.model_dump(mode="json") for movie in pool.movies]
    return json.dumps({"params": params.model_dump(mode="json"), "movies": movies})


def _write(path: Path, arrays: Arrays, purpose: str) -> None:
    file = io.BytesIO()
    said = np.frombuffer(purpose.encode(), np.uint8)
    np.savez(file, **{**arrays, PURPOSE: said})  # type: ignore[arg-type]
    with telling(path):
        write_bytes(path, file.getvalue())


def _read(path: Path, purpose: str) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        said = arrays.pop(PURPOSE).tobytes().decode()
        trained = json.loads(said)
    except (
        EOFError,
        KeyError,
        OSError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as exc:
        raise ModelError(
            f"the checkpoint {path} is damaged; remove it to begin anew"
        ) from exc
    if trained != json.loads(purpose):
        raise RequestError(
            f"the checkpoint {path} is of a training with other settings or movies; "
            f"give the same, or remove it to begin anew"
        )
    return arrays
