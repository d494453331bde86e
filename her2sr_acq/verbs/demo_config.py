"""The device configuration of a demo: the packaged simulated one, made to its size."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from her2sr_acq.config import resolve
from her2sr_acq.errors import PlanRejectedError
from her2sr_proc.store.atomic import write_text

BURST_FRAMES = 5000
"""Frames of a published burst; the demo's shorter ones span the same decay."""
TIME_SCALE = 4.0
"""How much faster than the wall clock simulated time runs, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo measures."""

    out: Path
    rows: int = 2
    columns: int = 2
    size_px: int = 256
    frames: int = 400
    nuclei_frames: int = 100
    seed: int = 1
    is_real_time: bool = False

    @property
    def kinetics_factor(self) -> float:
        """How much faster the dyes blink and bleach, so that the burst spans it all."""
        return max(1.0, BURST_FRAMES / self.frames)


def parse_fields(text: str) -> tuple[int, int]:
    """Return rows and columns of, for example, ``2x2``."""
    rows, sign, columns = text.lower().partition("x")
    if not (sign and rows.isdigit() and columns.isdigit()):
        raise PlanRejectedError(
            f"'{text}' is no grid of fields; write rows x columns, such as 2x2"
        )
    return int(rows), int(columns)


def write_configuration(options: DemoOptions) -> Path:
    """Write the configuration into the data folder and return its path."""
    packaged = resolve("simulated")
    data: dict[str, Any] = yaml.safe_load(packaged.read_text())
    folder = options.out / "configuration"
    folder.mkdir(parents=True, exist_ok=True)
    truth = folder / "truth"
    shutil.rmtree(truth, ignore_errors=True)
    data["camera"].update(width=options.size_px, height=options.size_px)
    data["simulator"].setdefault("options", {}).update(
        width=options.size_px,
        height=options.size_px,
        seed=options.seed,
        specimen="demo",
        kinetics_factor=options.kinetics_factor,
        time_scale=1.0 if options.is_real_time else TIME_SCALE,
        truth_folder=str(truth.resolve()),
    )
    shutil.copyfile(packaged.with_suffix(".cfg"), folder / "simulated.cfg")
    data["mmcore"]["cfg"] = "simulated.cfg"
    path = folder / "simulated.yaml"
    write_text(path, yaml.safe_dump(data, sort_keys=False))
    return path
