"""Calibrations on a simulated microscope in this process, without guard or command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from microscopes import Bench, opened, simulated_here

from her2sr_acq.calibrating.order import Order, Outcome
from her2sr_acq.calibrating.perform import Place, perform
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.config import load
from her2sr_acq.engine.burst import Light
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.safety import Safety
from her2sr_acq.guard.ports import Unguarded
from her2sr_proc.schema.calibration import CalibrationCard
from her2sr_proc.store.layout import DataFolder


@dataclass
class Instrument:
    """A microscope with a film on it, ready to be calibrated."""

    bench: Bench
    taker: Taker
    place: Place
    truth: Path

    def do(self, kind: str, **changes: object) -> CalibrationCard:
        outcome = self.perform(Order.model_validate({"kind": kind} | changes))
        return CalibrationCard.model_validate_json(Path(outcome.card).read_text())

    def perform(self, order: Order) -> Outcome:
        return perform(order, self.taker, self.place)

    @property
    def data(self) -> DataFolder:
        return self.place.data

    def true_channels(self) -> dict[str, dict[str, float]]:
        return json.loads((self.truth / "instrument.json").read_text())["channels"]

    def true_camera(self) -> dict[str, np.ndarray]:
        with np.load(self.truth / "camera.npz") as archive:
            return {name: archive[name] for name in archive.files}

    def where(self) -> tuple[float, float, float]:
        state = self.bench.client.state()
        return state.x_um, state.y_um, state.z_um

    def lit_s(self) -> float:
        return sum(line.lit_s for line in self.bench.client.state().lights)

    def is_dark(self) -> bool:
        return not any(line.on for line in self.bench.client.state().lights)


@contextmanager
def instrument(
    folder: Path, film: str | None, *, size: int, **options
) -> Iterator[Instrument]:
    """Run a simulated microscope with a film, at a hundred times its speed."""
    runtime, truth = folder / "r", folder / "truth"
    runtime.mkdir()
    options = {"camera": {"max_waiting": 20}, "truth_folder": str(truth)} | options
    with (
        simulated_here(runtime, size=size, film=film, **options) as bench,
        opened(bench.config, runtime) as hardware,
    ):
        config, guard, clock = load(bench.config), Unguarded(), Clock()
        with Safety(hardware, guard, clock=clock.monotonic) as safety:
            reins = Reins()
            safety.attach(reins)
            taker = Taker(
                hardware, config, clock, Light(guard, safety, reins), lambda *_: None
            )
            place = Place(DataFolder(folder / "data"), config, "0" * 64, clock)
            yield Instrument(bench, taker, place, truth)
