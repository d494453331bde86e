"""The device configuration of a demo: the packaged simulated one, made to its size."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from her2sr_acq.config import DeviceConfig, resolve
from her2sr_acq.errors import PlanRejectedError, RunConflictError
from her2sr_acq.ownership import holder
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.locks import try_lock_or_trust

PACKAGED = "simulated"
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
    """Return rows and columns of, for example, ``2x2``.

    Raises `PlanRejectedError` for anything else.
    """
    rows, sign, columns = text.lower().partition("x")
    if not (sign and rows.isdigit() and columns.isdigit()):
        raise PlanRejectedError(
            f"'{text}' is no grid of fields; write rows x columns, such as 2x2"
        )
    return int(rows), int(columns)


def planned(options: DemoOptions) -> DeviceConfig:
    """Return the configuration as it would be written; nothing is."""
    return DeviceConfig.model_validate(_configuration(options))


@contextmanager
def written(options: DemoOptions) -> Iterator[Path]:
    """Write the configuration into the data folder and yield its path; see `held`."""
    with held(options.out, _configuration(options)) as path:
        yield path


@contextmanager
def held(out: Path, configuration: dict[str, Any]) -> Iterator[Path]:
    """Write a configuration into a data folder and yield its path.

    It is kept from other demos until this is left. Raises `RunConflictError` when the
    data folder is in use: neither its configuration nor its truth is touched then.
    """
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock_or_trust(descriptor, fcntl.LOCK_EX):
            raise _in_use(out, "another demo")
        if owner := holder(out):
            raise _in_use(out, f"process {owner.pid}")
        yield _write(out, configuration)
    finally:
        os.close(descriptor)


def _in_use(out: Path, by: str) -> RunConflictError:
    return RunConflictError(
        f"{out} is in use by {by}, and a demo brings its own microscope; wait for its "
        f"end, stop it, or give another folder with --out"
    )


def _folder(out: Path) -> Path:
    return out / "configuration"


def _configuration(options: DemoOptions) -> dict[str, Any]:
    return simulated(
        options.out,
        options.size_px,
        seed=options.seed,
        specimen="demo",
        kinetics_factor=options.kinetics_factor,
        time_scale=1.0 if options.is_real_time else TIME_SCALE,
    )


def simulated(out: Path, size_px: int, **simulation: object) -> dict[str, Any]:
    """Return the packaged configuration, made to a size, with a slide of its own.

    ``simulation`` are keys of the simulator's options; the truth is left under ``out``.
    """
    data: dict[str, Any] = yaml.safe_load(resolve(PACKAGED).read_text())
    data["camera"].update(width=size_px, height=size_px)
    data["simulator"].setdefault("options", {}).update(
        width=size_px,
        height=size_px,
        truth_folder=str((_folder(out) / "truth").resolve()),
        **simulation,
    )
    data["mmcore"]["cfg"] = f"{PACKAGED}.cfg"
    return data


def write_configuration(options: DemoOptions) -> Path:
    """Write the configuration into the data folder and return its path."""
    return _write(options.out, _configuration(options))


def _write(out: Path, configuration: dict[str, Any]) -> Path:
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "truth", ignore_errors=True)
    shutil.copyfile(resolve(PACKAGED).with_suffix(".cfg"), folder / f"{PACKAGED}.cfg")
    path = folder / f"{PACKAGED}.yaml"
    write_text(path, yaml.safe_dump(configuration, sort_keys=False))
    return path
