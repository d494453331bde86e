"""``her2sr calibrate``: starts guard and hardware process, and tells what came of it.

The light is the guard's to put out, as in a run. Nothing is started while a service
holds the data folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from her2sr_acq import config as configuration
from her2sr_acq.calibrating.order import (
    MeterStep,
    Order,
    Outcome,
    Progress,
    order_path,
    outcome_path,
    progress_path,
)
from her2sr_acq.calibrating.taking import check_light, lines_of
from her2sr_acq.child import Child, ChildSpec
from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import (
    ConfigError,
    LightError,
    RunConflictError,
    ServiceUnavailableError,
)
from her2sr_acq.guard.settings import settings_for, write_settings
from her2sr_acq.launcher import GUARD_STEPS, PROVEN_DARK, Launcher
from her2sr_acq.ownership import holder, require_locks
from her2sr_acq.plan.foresight import require_writable
from her2sr_acq.runtime import VARIABLE, runtime_folder
from her2sr_proc.memory import ENVIRONMENT
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import DataFolder

POLL_S = 0.1
Read = Callable[[MeterStep], float]
Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom the command asks and tells."""

    tell: Tell
    read: Read | None
    """Asks a person for a reading of the meter; None: there is nobody to ask."""


def calibrate(
    order: Order,
    config_path: Path,
    data: Path,
    desk: Desk,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Do one calibration and return its outcome; the light is proven off after it.

    Raises `ConfigError` for what can never work, `RunConflictError` while a service
    holds the data folder, `LightError` when the light may be on.
    """
    config = configuration.load(config_path)
    data = data.resolve()
    if order.kind == "power" and config.meter is None and desk.read is None:
        raise ConfigError(
            f"{config.name} has no power meter and there is nobody to read one; run "
            f"this in a terminal, or add 'meter' to the configuration"
        )
    _check(order, config)
    require_writable(data)
    require_locks(data)
    if owner := holder(data):
        raise RunConflictError(
            f"{data} is held by process {owner.pid}; stop its service before the "
            f"instrument is calibrated",
            pid=owner.pid,
        )
    runtime = runtime_folder(data)
    with _processes(order, config, config_path, data, runtime) as guard:
        outcome = _await(guard, runtime, desk.tell, sleep)
    if outcome.steps and not outcome.fault:
        return _with_readings(order, outcome, config, config_path, data, desk)
    return outcome


def _check(order: Order, config: DeviceConfig) -> None:
    """Raise what the configuration alone forbids, before any process is started."""
    lines = lines_of(config, order.lines_nm)
    for nm in lines[:1] if order.kind in ("camera", "pixel") else lines:
        check_light(config, nm, order.percent or 0.0, order.exposure_ms)


@contextmanager
def _processes(
    order: Order, config: DeviceConfig, path: Path, data: Path, runtime: Path
) -> Iterator[Child]:
    lines = tuple(laser.nm for laser in config.lasers)
    settings = settings_for(lines, config.guard)
    for left in (outcome_path(runtime), progress_path(runtime)):
        left.unlink(missing_ok=True)
    DataFolder(data).logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if config.simulator is not None:
            stack.enter_context(Launcher(path, data, only=("microscope",)))
        write_settings(runtime, settings)
        write_text(order_path(runtime), order.model_dump_json() + "\n")
        guard = _guard(path, data, runtime)
        guard.start()
        try:
            yield guard
        finally:
            guard.stop()
            if guard.exit_code not in PROVEN_DARK:
                raise LightError(
                    "the light is not proven off after the calibration; switch it "
                    "off by hand, and find out why"
                )


def _guard(path: Path, data: Path, runtime: Path) -> Child:
    where = ("--config", str(path), "--data", str(data), "--runtime", str(runtime))
    spec = ChildSpec(
        name="guard",
        command=(sys.executable, "-m", "her2sr_acq.calibrating.guarded", *where),
        is_ready=lambda: True,
        ready_within_s=0.0,
        restarts=0,
    )
    return Child(
        spec,
        environment={**ENVIRONMENT, **os.environ, VARIABLE: str(runtime)},
        logs=DataFolder(data).logs,
        steps=GUARD_STEPS,
    )


def _await(
    guard: Child, runtime: Path, tell: Tell, sleep: Callable[[float], None]
) -> Outcome:
    told: Progress | None = None
    while not outcome_path(runtime).exists():
        if guard.exit_code is not None:
            raise ServiceUnavailableError(guard.obituary())
        if (now := _progress(runtime)) is not None and now != told:
            told = now
            tell(now)
        sleep(POLL_S)
    return Outcome.model_validate_json(outcome_path(runtime).read_text())


def _progress(runtime: Path) -> Progress | None:
    try:
        return Progress.model_validate_json(progress_path(runtime).read_text())
    except (OSError, ValidationError):
        return None


def _with_readings(
    order: Order,
    outcome: Outcome,
    config: DeviceConfig,
    path: Path,
    data: Path,
    desk: Desk,
) -> Outcome:
    """Ask for every reading, now that the light is off, and write the card."""
    from her2sr_acq.calibrating.perform import Place, from_readings

    assert desk.read is not None
    read = tuple(
        step.model_copy(update={"mw": desk.read(step)}) for step in outcome.steps
    )
    place = Place(DataFolder(data), config, configuration.digest(path), Clock())
    return from_readings(order, read, place)
