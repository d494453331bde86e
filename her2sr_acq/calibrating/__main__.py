"""The hardware process of one calibration; the guard of `her2sr calibrate` starts it.

As the daemon it owns folder and microscope, and proves the light off first and last.
It does its one order, leaves the outcome in the runtime folder, and waits to be ended.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from her2sr_acq import config as configuration
from her2sr_acq.calibrating.order import (
    Order,
    Outcome,
    Progress,
    order_path,
    outcome_path,
    progress_path,
)
from her2sr_acq.calibrating.perform import Place, perform
from her2sr_acq.calibrating.taking import Taker
from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.devices.registry import open_hardware
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.outcome import Light
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.safety import Safety
from her2sr_acq.errors import (
    AcqError,
    ConfigError,
    DeviceError,
    InterlockError,
    LatchedError,
    LightError,
    PlanRejectedError,
    RunConflictError,
)
from her2sr_acq.guard.link import GuardLink
from her2sr_acq.guard.ports import LightGuard
from her2sr_acq.ownership import Hold, Holder
from her2sr_proc import logs
from her2sr_proc.errors import ProcError, RequestError
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

FAULT, WRONG_REQUEST, UNSAFE = 1, 2, 3
LOOK_S = 0.5
TICK_S = 0.25


def main(
    arguments: Sequence[str] | None = None,
    *,
    opener: Callable[[DeviceConfig, Path], Hardware] = open_hardware,
) -> int:
    """Do the order of the runtime folder; return the exit code after SIGTERM."""
    logs.start("calibrating")
    options = _options(arguments)
    reins = Reins()
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        reins.stop(drop=True)

    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, end)
    end_with_starter()
    code = 0
    try:
        outcome = _outcome(options, reins, opener)
    except LightError as exc:
        outcome, code = Outcome(fault=str(exc), exit_code=UNSAFE), UNSAFE
    write_text(outcome_path(options.runtime), outcome.model_dump_json() + "\n")
    if code == UNSAFE:
        log.error("%s", outcome.fault)
        return code  # the guard takes over at once
    while not ended.wait(LOOK_S):
        continue
    return code


def _outcome(
    options: argparse.Namespace,
    reins: Reins,
    opener: Callable[[DeviceConfig, Path], Hardware],
) -> Outcome:
    """Do the order; an expected failure is an outcome. Raises `LightError`."""
    if options.after_crash:
        return Outcome(
            fault="the process that drove the microscope died during the calibration; "
            "the guard put the light out: see its log, then calibrate again",
            exit_code=FAULT,
        )
    try:
        order = Order.model_validate_json(order_path(options.runtime).read_text())
        return _carry_out(order, options, reins, opener)
    except LightError:
        raise
    except (AcqError, ProcError) as exc:
        return Outcome(fault=" ".join(str(exc).split()), exit_code=_exit_code(exc))
    except Exception as exc:
        log.exception("the calibration failed")
        return Outcome(
            fault=f"unexpected fault ({type(exc).__name__}: {exc}); see the log of acq",
            exit_code=FAULT,
        )


def _exit_code(exc: AcqError | ProcError) -> int:
    if isinstance(exc, LatchedError):
        return UNSAFE
    wrong = ConfigError | PlanRejectedError | RunConflictError | RequestError
    return WRONG_REQUEST if isinstance(exc, wrong) else FAULT


def _carry_out(
    order: Order,
    options: argparse.Namespace,
    reins: Reins,
    opener: Callable[[DeviceConfig, Path], Hardware],
) -> Outcome:
    path = configuration.resolve(options.config)
    config = configuration.load(path)
    clock = Clock()
    data = DataFolder(options.data.resolve())
    holder = Holder(
        pid=os.getpid(),
        started_utc=clock.stamp(),
        configuration=config.name,
        runtime=str(options.runtime),
    )
    with (
        Hold(data.root, holder),
        GuardLink(options.runtime) as guard,
        proven_dark(opener(config, path)) as hardware,
        Safety(hardware, guard, clock=clock.monotonic) as safety,
    ):
        guard.on_dark(safety.order_dark)
        light = Light(guard, safety, reins)
        taker = Taker(hardware, config, clock, light, _teller(options.runtime))
        await_conditions(safety, guard, reins, clock)
        safety.attach(reins)
        guard.describe(run="calibration", phase=f"calibrating {order.kind}")
        try:
            place = Place(data, config, configuration.digest(path), clock)
            return perform(order, taker, place)
        finally:
            safety.attach(None)
            guard.describe(run="", phase="idle")


def await_conditions(
    safety: Safety, guard: LightGuard, reins: Reins, clock: Clock
) -> None:
    """Wait for what warms up, as a run does. Raises `InterlockError` for the rest."""
    began = clock.monotonic()
    safety.look()
    while troubles := safety.troubles:
        waited_s = clock.monotonic() - began
        if waited_s >= safety.longest_wait_s() or reins.stopped.is_set():
            raise InterlockError(troubles[0])
        guard.pulse()
        reins.rest(TICK_S)


@contextmanager
def proven_dark(hardware: Hardware) -> Iterator[Hardware]:
    """Lend the hardware, with every line proven off before and after."""
    try:
        _prove(hardware)
        yield hardware
    finally:
        try:
            _prove(hardware)
        finally:
            hardware.close()


def _prove(hardware: Hardware) -> None:
    try:
        hardware.dark()
    except DeviceError as exc:
        raise LightError(
            f"the light is not proven off ({exc}); switch it off by hand and find out "
            f"why, then calibrate again"
        ) from exc


def _teller(runtime: Path) -> Callable[[str, int, int], None]:
    path = progress_path(runtime)

    def tell(doing: str, done: int, of: int) -> None:
        beside = path.with_suffix(".partial")
        beside.write_text(Progress(doing=doing, done=done, of=of).model_dump_json())
        beside.replace(path)

    return tell


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m her2sr_acq.calibrating",
        description="Does one calibration; `her2sr calibrate` starts it by a guard.",
    )
    parser.add_argument("--config", required=True, help="device configuration")
    parser.add_argument("--data", required=True, type=Path, help="data folder")
    parser.add_argument("--runtime", required=True, type=Path, help="folder of sockets")
    parser.add_argument("--guarded", action="store_true", required=True)
    parser.add_argument("--after-crash", type=int, default=0, metavar="N")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
