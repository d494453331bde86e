"""Training, step by step; a step's patches follow from seed and step alone.

So a training that was interrupted and goes on from its checkpoint ends as one that was
not. What is kept is the network of the epoch that guessed held-out pixels best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn

from her2sr_proc.denoise import unet
from her2sr_proc.denoise.training.hiding import Hidden, hide
from her2sr_proc.denoise.training.network import Network
from her2sr_proc.denoise.training.pool import Pool, patches
from her2sr_proc.schema.denoise import TrainParams

F32 = npt.NDArray[np.float32]
VALIDATION_BATCHES = 4
LAST_RATE = 0.05
"""Of the learning rate, at the end of half a cosine."""
CLIP = 5.0
"""Longest gradient: one very bright spot does not undo a network."""


@dataclass(slots=True)
class Progress:
    """Where a training stands."""

    step: int = 0
    history: list[float] = field(default_factory=list)
    """Loss on held-out pixels after each epoch."""
    best: dict[str, F32] = field(default_factory=dict)
    """Weights of the best epoch."""

    @property
    def best_epoch(self) -> int:
        """Return the epoch whose weights are kept, from 1."""
        return int(np.argmin(self.history)) + 1

    def is_over(self, params: TrainParams) -> bool:
        """Return whether there is nothing more to gain or to do."""
        epochs = len(self.history)
        if epochs >= params.epochs:
            return True
        return epochs > 0 and epochs - self.best_epoch >= params.patience


class Trainer:
    """A network in training."""

    def __init__(self, pool: Pool, params: TrainParams) -> None:
        self.params = params
        self.progress = Progress()
        self._pool = pool
        start = unet.fresh(params.form, np.random.default_rng(params.seed))
        self._network = self._network_of(start)
        self._optimizer = torch.optim.Adam(
            list(self._network.learned().values()), lr=params.learning_rate
        )
        self._validation = self._hidden(
            pool.held_out, VALIDATION_BATCHES * params.batch, stream=2
        )

    def run(
        self, *, progress: Callable[[int, int], None], save: Callable[[], None]
    ) -> None:
        """Train to the end; ``save`` is called where a later call may go on from."""
        params, state = self.params, self.progress
        while not state.is_over(params):
            self.advance()
            progress(state.step, params.steps * params.epochs)
            if state.step % params.steps == 0:
                self._validate()
            if state.step % params.steps == 0 or state.step % 25 == 0:
                save()

    def advance(self) -> float:
        """Take one step; return its loss."""
        params, state = self.params, self.progress
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        hidden, wanted = self._hidden(
            self._pool.training, params.batch, stream=1, step=state.step
        )
        loss = self._loss(hidden, wanted, is_training=True)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.learned().values(), CLIP)
        self._optimizer.step()
        state.step += 1
        return float(loss.detach())

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all that a training needs to go on, as plain arrays."""
        state = self.progress
        found: dict[str, npt.NDArray[np.generic]] = {
            "step": np.array(state.step),
            "history": np.array(state.history, np.float64),
        }
        found |= {f"now/{n}": a for n, a in self._network.weights().items()}
        found |= {f"best/{n}": a for n, a in state.best.items()}
        for name, tensor in self._network.learned().items():
            for part, value in self._optimizer.state.get(tensor, {}).items():
                found[f"adam/{part}/{name}"] = value.detach().numpy().copy()
        return found

    def restore(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Go on from what `arrays` returned of a training of the same settings."""
        state = self.progress
        state.step = int(arrays["step"])
        state.history = [float(loss) for loss in arrays["history"]]
        state.best = _under("best/", arrays)
        self._network = self._network_of(_under("now/", arrays))
        learned = self._network.learned()
        self._optimizer = torch.optim.Adam(
            list(learned.values()), lr=self.params.learning_rate
        )
        for name, tensor in learned.items():
            parts = ("step", "exp_avg", "exp_avg_sq")
            keys = {part: f"adam/{part}/{name}" for part in parts}
            if all(key in arrays for key in keys.values()):
                self._optimizer.state[tensor] = {
                    part: torch.from_numpy(np.array(arrays[key], np.float32))
                    for part, key in keys.items()
                }

    def _network_of(self, weights: unet.Weights) -> Network:
        is_short = self.params.precision == "bf16"
        return Network(self.params.form, weights, is_short=is_short)

    def _validate(self) -> None:
        with torch.no_grad():
            losses = [
                float(self._loss(part, wanted, is_training=False))
                for part, wanted in _parts(*self._validation, 32)
            ]
        state = self.progress
        state.history.append(float(np.mean(losses)))
        if state.best_epoch == len(state.history):
            state.best = self._network.weights()

    def _loss(self, hidden: Hidden, wanted: F32, *, is_training: bool) -> torch.Tensor:
        shown = torch.from_numpy(hidden.shown[:, None])
        guessed = self._network.forward(shown, is_training=is_training)[:, 0]
        at = tuple(map(torch.from_numpy, (hidden.patch, hidden.y, hidden.x)))
        measure = nn.mse_loss if self.params.loss == "mse" else nn.l1_loss
        return measure(guessed[at], torch.from_numpy(wanted))

    def _hidden(
        self,
        windows: list[npt.NDArray[np.uint16]],
        count: int,
        *,
        stream: int,
        step: int = 0,
    ) -> tuple[Hidden, F32]:
        """Return patches with hidden pixels, and what those were."""
        params = self.params
        rng = np.random.default_rng([params.seed, stream, step])
        normal = self._pool.normalization
        adu = patches(windows, count, params, rng).astype(np.float32)
        seen = ((adu - normal.mean_adu) / normal.sd_adu).astype(np.float32)
        hidden = hide(seen, params, rng)
        return hidden, seen[hidden.patch, hidden.y, hidden.x]

    def _rate(self) -> float:
        """Return the learning rate: a short rise, then half a cosine."""
        params, step = self.params, self.progress.step
        rise = min(1.0, (step + 1) / 20)
        share = step / (params.steps * params.epochs)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return params.learning_rate * rise * (LAST_RATE + (1 - LAST_RATE) * fall)


def _under(prefix: str, arrays: dict[str, npt.NDArray[np.generic]]) -> dict[str, F32]:
    return {
        name.removeprefix(prefix): np.array(values, np.float32)
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def _parts(hidden: Hidden, wanted: F32, size: int) -> list[tuple[Hidden, F32]]:
    """Return patches and their hidden pixels in parts of ``size`` patches."""
    found = []
    for first in range(0, len(hidden.shown), size):
        mine = (hidden.patch >= first) & (hidden.patch < first + size)
        part = Hidden(
            hidden.shown[first : first + size],
            hidden.patch[mine] - first,
            hidden.y[mine],
            hidden.x[mine],
        )
        found.append((part, wanted[mine]))
    return found
