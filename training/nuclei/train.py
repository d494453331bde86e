"""Train the network that finds nuclei, in chunks: a second call goes on.

Example: python -m training.nuclei.train --data nuclei_dsb2018.npz --out runs/nuclei
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.nuclei.examples import (
    Pool,
    example,
    pool,
    read,
    simulated,
    split_of,
)
from training.nuclei.network import UNet, loss_of, widened

MAY_CHANGE = {"steps", "scenes"}
"""Settings that may be given anew when a training goes on."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the result, with the data."""

    seed: int
    steps: int
    batch: int
    learning_rate: float
    simulated_share: float
    """Of the crops in a batch."""
    scenes: int
    """Simulated sections that are drawn from."""
    averaging: float
    """Of the exponential mean of the weights, which is what is kept."""
    start: str
    """Digest of the checkpoint it began from; empty from scratch."""
    bfloat16: bool
    """Whether convolutions are computed in 16 bits; weights are kept in 32."""


class Trainer:
    """A network in training: its weights, their mean, and where it stands."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.step = 0
        self.network = UNet().to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.network).eval()
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=1e-4
        )

    def advance(self, real: Pool, scenes: Pool) -> float:
        """Take one step; return its loss. A step's crops follow from seed and step."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.step])
        pairs = []
        for _ in range(settings.batch):
            source = scenes if rng.random() < settings.simulated_share else real
            pairs.append(example(source.draw(rng), rng))
        planes = torch.from_numpy(np.stack([p for p, _ in pairs]))
        wanted = torch.from_numpy(np.stack([w for _, w in pairs]))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        planes = planes.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bfloat16):
            logits = self.network(planes)
        loss = loss_of(logits.float(), wanted)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self._optimizer.step()
        self._average()
        self.step += 1
        return float(loss.detach())

    def begin_from(self, path: Path) -> None:
        """Take the weights where another training ended; its step is not taken."""
        state = widened(torch.load(path, weights_only=True)["mean"])
        self.network.load_state_dict(state)
        self.mean.load_state_dict(state)

    def save(self, path: Path) -> None:
        """Write a checkpoint whole."""
        beside = path.with_suffix(".part")
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "settings": asdict(self.settings),
        }
        torch.save(state, beside)
        beside.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; the rate then falls to the new last step."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        was, now = state["settings"], asdict(self.settings)
        if any(was.get(name) != now[name] for name in now.keys() - MAY_CHANGE):
            raise SystemExit(
                f"{path} was trained with {state['settings']}; "
                f"give the same settings or another --out"
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _rate(self) -> float:
        """Return the learning rate: a short rise, then half a cosine down to 1 %."""
        rise = min(1.0, (self.step + 1) / 100)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.settings.steps)))
        return self.settings.learning_rate * rise * (0.01 + 0.99 * fall)

    def _average(self) -> None:
        keep = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(
                self.mean.state_dict().values(),
                self.network.state_dict().values(),
                strict=True,
            ):
                if kept.is_floating_point():
                    kept.mul_(keep).add_(new, alpha=1 - keep)
                else:
                    kept.copy_(new)


def main() -> None:
    """Train until the last step or until the minutes are over."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    settings = Settings(
        seed=arguments.seed,
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        simulated_share=0.25,
        scenes=arguments.scenes,
        averaging=0.995,
        start=_digest(arguments.start),
        bfloat16=arguments.bfloat16,
    )
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(settings)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(checkpoint)
    elif arguments.start:
        trainer.begin_from(arguments.start)
    real = pool(read(arguments.data, split_of(arguments.data).training))
    scenes = pool(simulated(settings.seed, settings.scenes))
    end = time.monotonic() + 60 * arguments.minutes
    losses: list[float] = []
    last = min(settings.steps, arguments.until or settings.steps)
    while trainer.step < last and time.monotonic() < end:
        losses.append(trainer.advance(real, scenes))
        if trainer.step % 50 == 0 or trainer.step == last:
            trainer.save(checkpoint)
            line = {"step": trainer.step, "loss": round(float(np.mean(losses)), 4)}
            losses.clear()
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line | asdict(settings)) + "\n")
    trainer.save(checkpoint)


def _digest(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path else ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="nuclei_dsb2018.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--start", type=Path, help="checkpoint to begin from")
    parser.add_argument("--bfloat16", action="store_true", help="twice as fast")
    parser.add_argument("--minutes", type=float, default=25.0, help="of this call")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument(
        "--until", type=int, help="stop after this step, to go on later"
    )
    parser.add_argument("--scenes", type=int, default=160, help="simulated sections")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=2018)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
