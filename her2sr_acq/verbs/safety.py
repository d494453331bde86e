"""``her2sr estop``, ``dark`` and ``rearm``: the light out, and permitted again.

E-stop needs no service: with the guard gone too, it ends acq and speaks to the lights
itself, by what the last start left in the runtime folder.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.errors import ConfigError, GuardError, LightError, RunConflictError
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.guard.hold import end, last_runtime, leftover
from her2sr_acq.guard.messages import clip, named
from her2sr_acq.guard.records import Records
from her2sr_acq.guard.safe import shut_all
from her2sr_acq.guard.settings import read_settings
from her2sr_acq.ownership import holder
from her2sr_acq.runtime import VARIABLE, runtime_folder
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

ALONE_S = 2.0
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class EstopOutcome:
    """What became of an e-stop."""

    is_dark: bool
    seconds: float
    sentence: str


def estop(
    data: Path,
    *,
    by: str,
    reason: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> EstopOutcome:
    """Put every light of a data folder's microscope out, and latch."""
    began = clock()
    data = data.resolve()
    runtime = _runtime(data)
    try:
        answer = GuardClient(runtime).estop(by=by, reason=reason)
    except GuardError:
        doubt = _alone(data, runtime, clock=clock, sleep=sleep)
        # a mistyped folder is not made: a later look would take it for a microscope's
        if data.is_dir():
            _latch(data, by=by, reason=reason, doubt=doubt, seconds=clock() - began)
        how = "the guard did not answer, so it was done without"
    else:
        doubt, how = answer.doubt, "by the guard"
    seconds = clock() - began
    if doubt:
        return EstopOutcome(False, seconds, f"the light is not proven off: {doubt}")
    return EstopOutcome(True, seconds, f"dark after {seconds:.2f} s ({how}); latched")


def dark(
    data: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Prove every light off after a service has ended; return why it may be on.

    Nothing is latched: this is how a regular stop ends. Raises `RunConflictError` while
    a guard answers: its light is its own affair.
    """
    data = data.resolve()
    runtime = _runtime(data)
    owner = holder(data)
    try:
        GuardClient(runtime).status()
    except GuardError:
        pass
    else:
        raise RunConflictError(
            f"the service of {data} runs; stop it, or use her2sr estop",
            pid=owner.pid if owner else None,
        )
    return _alone(data, runtime, clock=clock, sleep=sleep)


def rearm(data: Path, *, by: str, reason: str) -> None:
    """Permit light again. Raises `LatchedError` while it must not be, `GuardError`.

    Raises `PlanRejectedError` without a pseudonym, or a reason.
    """
    GuardClient(_runtime(data.resolve())).rearm(by=by, reason=reason)


def _runtime(data: Path) -> Path:
    """Return where the guard of a data folder is asked, however it was started.

    A service manager gives it a runtime folder that a shell knows nothing of.
    """
    told = None if VARIABLE in os.environ else last_runtime(data)
    return told or runtime_folder(data)


def _alone(
    data: Path,
    runtime: Path,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> str:
    """Put the light out without a guard; return why it may still be on."""
    try:
        ways = read_settings(runtime).guard.safe_off
    except ConfigError as exc:
        if not data.is_dir():
            return (
                f"there is no folder {data}; name the service's with --data, "
                f"or switch the light off by hand"
            )
        return f"{exc}; switch the light off by hand"
    deadline = clock() + ALONE_S
    while True:
        owner = holder(data)
        for pid in {leftover(data), owner.pid if owner else None} - {None}:
            if pid is not None:
                end(pid)
        try:
            shut_all(ways, runtime)
        except LightError as exc:
            if clock() >= deadline:
                return str(exc)
            sleep(PAUSE_S)
        else:
            return ""


def _latch(data: Path, *, by: str, reason: str, doubt: str, seconds: float) -> None:
    """Leave the latch for the next guard."""
    by, reason = named(by), clip(reason)
    records = Records(DataFolder(data))
    records.set_latch("estop", reason or "e-stop", by=by)
    proof = f"; not proven dark: {doubt}" if doubt else ""
    records.note("estop", by=by, reason=reason + proof, seconds=seconds)
    records.write()
