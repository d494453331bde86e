"""Finished runs coded anew while nobody measures: a process of its own, run after run.

``python -m her2sr_proc.offline.idle --data D`` ends once nothing is left. One thread of
the lowest priority, which stands aside every other second for whoever wants the frames
of the run in hand. It may be killed at any moment: see `recompress`.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from numcodecs import blosc

from her2sr_proc import logs
from her2sr_proc.errors import ProcError
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.offline.offload import state_of
from her2sr_proc.offline.recompress import is_dense, recompress
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.raw_hold import RawHold

log = logging.getLogger("her2sr_proc.idle")

ASIDE_EVERY_S = 1.0
RESTING = ("completed", "completed_with_faults", "aborted", "faulted")
"""Of these nobody goes on by a word, as with one that was interrupted."""


def code_all(data: DataFolder, clock: Callable[[], float] = time.monotonic) -> int:
    """Code the finished runs of a data folder anew, oldest first; return how many.

    A run that cannot be, or that somebody else wants, is told in the log and passed.
    """
    return sum(_code(run, clock) for run in _runs(data))


def _runs(data: DataFolder) -> list[RunFolder]:
    found = sorted(data.runs.glob("*/manifest.json"))
    return [RunFolder(path.parent) for path in found]


def _code(run: RunFolder, clock: Callable[[], float]) -> bool:
    last = clock()

    def between(hold: RawHold) -> None:
        nonlocal last
        if clock() - last >= ASIDE_EVERY_S:
            hold.stand_aside()
            last = clock()

    try:
        if state_of(run) not in RESTING or is_dense(run):
            return False
        done = recompress(run, lambda *_: None, between=between)
    except (ProcError, OSError) as exc:
        log.warning("%s is left as it is: %s", run.name, exc)
        return False
    log.info(
        "%s: %d blocks coded anew, %.1f MB became %.1f MB",
        run.name,
        done.blocks,
        done.bytes_before / 1e6,
        done.bytes_after / 1e6,
    )
    return True


def step_back() -> None:
    """Leave processor and disk to everybody else, as far as the system knows how."""
    if hasattr(os, "nice"):
        os.nice(19)
    with suppress(AttributeError, psutil.Error, OSError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    blosc.set_nthreads(1)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        prog="python -m her2sr_proc.offline.idle", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="holds the runs")
    options = parser.parse_args()
    logs.start("idle")
    end_with_starter()
    step_back()
    code_all(DataFolder(options.data))


if __name__ == "__main__":
    main()
