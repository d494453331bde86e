"""From frames on disk to an answer: the same steps live, field by field, and offline.

Every step may be done again at any time and writes only whole files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from her2sr_proc.errors import DataError, StateError
from her2sr_proc.offline.fields import close_field
from her2sr_proc.offline.flags import named_fields
from her2sr_proc.offline.former import tell_former
from her2sr_proc.offline.runs import close_run
from her2sr_proc.offline.schedulers import Local, Scheduler
from her2sr_proc.offline.tasks import Doing, InFolder, Outcome, Task
from her2sr_proc.offline.units import close_unit
from her2sr_proc.schema.results import RunResult
from her2sr_proc.schema.times import Times, summed
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.leftovers import leftovers, remove
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.raw_hold import RawHold
from her2sr_proc.store.results import add_times

__all__ = ["close_field", "close_run", "close_unit", "process_run", "process_timed"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Done:
    """How the tasks of a run ended."""

    outcomes: tuple[Outcome, ...]
    fields: int
    """Of the run."""

    @property
    def faults(self) -> list[Outcome]:
        """Those that failed."""
        return [outcome for outcome in self.outcomes if outcome.fault]

    @property
    def lost(self) -> list[str]:
        """Fields that were not made anew, in order."""
        return sorted({outcome.task.field for outcome in self.faults})

    def times(self, watch: Stopwatch, *, jobs: int, wall_s: float) -> Times:
        """Return what the call took, with what its own steps did."""
        steps = summed(*(o.steps for o in self.outcomes), watch.steps())
        return Times(calls=1, jobs=jobs, wall_s=wall_s, steps=steps)

    def require_whole(self, former: Sequence[str]) -> None:
        """Raise `DataError` when a task failed. ``former``: by `tell_former`."""
        if not self.faults:
            return
        lacking = [name for name in self.lost if name not in former]
        said = {"lacks": lacking, "holds the former result of": former}
        what = " and ".join(
            f"{verb} {named_fields(names, self.fields)}"
            for verb, names in said.items()
            if names
        )
        raise DataError(
            f"{len(self.faults)} tasks failed ({self.faults[0].fault}); the answer "
            f"{what}: process the run again"
        )


def process_run(
    run: RunFolder,
    progress: Progress,
    *,
    scheduler: Scheduler | None = None,
    jobs: int | None = None,
) -> RunResult:
    """Compute whatever is missing in a run folder, and answer anew.

    As `process_timed`, whose times it leaves to their file.
    """
    return process_timed(run, progress, scheduler=scheduler, jobs=jobs)[0]


def process_timed(
    run: RunFolder,
    progress: Progress,
    *,
    scheduler: Scheduler | None = None,
    jobs: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[RunResult, Times]:
    """Compute whatever is missing in a run folder, and answer anew.

    Parameters
    ----------
    run : RunFolder
        Workers of a cluster see it under the same path.
    progress : callable
        Told of every task that is done.
    scheduler : Scheduler
        Who does the tasks; default: this process.
    jobs : int
        Frames that one task localizes side by side; default: all processors here, one
        on a cluster, whose workers are many.
    clock : callable
        Seconds, monotonic.

    Returns
    -------
    RunResult, Times
        The answer, and what every step took in all calls so far.

    Raises
    ------
    StateError
        The folder is no run folder, or its raw frames are being rewritten or removed.
    DataError
        Its manifest or ledger cannot be understood, or tasks failed. The answer lacks
        their fields or holds a former result of them, and says which.
    ClusterError
        A cluster was lost. Done again, only what is missing is computed.
    """
    began, watch = clock(), Stopwatch()
    scheduler = scheduler or Local()
    own = (os.cpu_count() or 1) if isinstance(scheduler, Local) else 1
    doing = InFolder(run, jobs or own)
    _sweep(run)
    with RawHold(run):
        done = do_tasks(run, doing, scheduler, progress)
        with watch.step("answer"):
            former = tell_former(run, done.lost)
            result = close_run(run)
    times = done.times(watch, jobs=doing.threads, wall_s=clock() - began)
    times = add_times(run, times)
    done.require_whole(former)
    return result, times


def _sweep(run: RunFolder) -> None:
    """Remove what killed calls left half-written, unless another call is at work.

    Raw frames and exports have writers who look for themselves.
    """
    left = list(leftovers(run.made, but=frozenset({"raw", "exports"})))
    if not left:
        return
    with suppress(StateError), RawHold(run, alone=True, patience_s=0.0):
        for path in left:
            remove(path)


def do_tasks(
    run: RunFolder, doing: Doing, scheduler: Scheduler, progress: Progress
) -> Done:
    """Do every unit, then every field whose units are done; return how they ended."""
    manifest = read_manifest(run)
    units = [
        Task(key.field, key)
        for key, unit in read_ledger(run.ledger).items()
        if unit.blocks
    ]
    total = len(units) + len(manifest.fields) + 1
    ended: list[Outcome] = []

    def all_of(tasks: Sequence[Task]) -> None:
        for outcome in scheduler.run(doing, tasks):
            ended.append(outcome)
            progress(outcome.task.name, len(ended), total)

    all_of(units)
    lost = {outcome.task.field for outcome in ended if outcome.fault}
    all_of([Task(f.name) for f in manifest.fields if f.name not in lost])
    progress("report", total - 1, total)
    return Done(tuple(ended), len(manifest.fields))
