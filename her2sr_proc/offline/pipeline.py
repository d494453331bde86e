"""From frames on disk to an answer: the same steps live, field by field, and offline.

Every step may be done again at any time and writes only whole files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from her2sr_proc.errors import DataError
from her2sr_proc.offline.fields import close_field
from her2sr_proc.offline.runs import close_run
from her2sr_proc.offline.schedulers import Local, Scheduler
from her2sr_proc.offline.tasks import Doing, InFolder, Outcome, Task
from her2sr_proc.offline.units import close_unit
from her2sr_proc.schema.results import RunResult
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest

__all__ = ["close_field", "close_run", "close_unit", "process_run"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def process_run(
    run: RunFolder,
    progress: Progress,
    *,
    scheduler: Scheduler | None = None,
    jobs: int | None = None,
) -> RunResult:
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

    Raises
    ------
    StateError
        The folder is no run folder.
    DataError
        Its manifest or ledger cannot be understood, or tasks failed. What they were
        to make is missing in the answer, which says so.
    ClusterError
        A cluster was lost. Done again, only what is missing is computed.
    """
    scheduler = scheduler or Local()
    own = (os.cpu_count() or 1) if isinstance(scheduler, Local) else 1
    doing = InFolder(run, jobs or own)
    faults = do_tasks(run, doing, scheduler, progress)
    result = close_run(run)
    if faults:
        raise DataError(
            f"{len(faults)} tasks failed ({faults[0].fault}); the answer lacks what "
            f"they were to make: process the run again"
        )
    return result


def do_tasks(
    run: RunFolder, doing: Doing, scheduler: Scheduler, progress: Progress
) -> list[Outcome]:
    """Do every unit, then every field whose units are done; return what failed."""
    manifest = read_manifest(run)
    units = [
        Task(key.field, key)
        for key, unit in read_ledger(run.ledger).items()
        if unit.blocks
    ]
    total = len(units) + len(manifest.fields) + 1
    done = 0
    faults: list[Outcome] = []

    def all_of(tasks: Sequence[Task]) -> None:
        nonlocal done
        for outcome in scheduler.run(doing, tasks):
            done += 1
            progress(outcome.task.name, done, total)
            faults.extend([outcome] if outcome.fault else [])

    all_of(units)
    lost = {fault.task.field for fault in faults}
    all_of([Task(f.name) for f in manifest.fields if f.name not in lost])
    progress("report", total - 1, total)
    return faults
