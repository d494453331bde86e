"""A run in an object store: every task fetches what it reads and gives back results.

Raw frames are fetched for a unit whose table or images are missing, and for no other.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from her2sr_proc.errors import ProcError, StateError, WriteError
from her2sr_proc.offline.former import tell_former
from her2sr_proc.offline.pipeline import Progress, do_tasks
from her2sr_proc.offline.runs import close_run
from her2sr_proc.offline.schedulers import Local, Scheduler
from her2sr_proc.offline.tasks import Outcome, Task, do
from her2sr_proc.offline.units import is_closed
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.params import ProfileName
from her2sr_proc.schema.results import RunResult
from her2sr_proc.schema.times import Times
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.layout import MADE, NOT_SAID, RunFolder
from her2sr_proc.store.manifest import with_profile
from her2sr_proc.store.objects import FULL, RemoteRun
from her2sr_proc.store.results import add_times

ALWAYS = ("manifest.json", "ledger.jsonl", "calibration/")
"""What every task reads."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a run in an object store."""

    result: RunResult
    times: Times
    report_url: str


@dataclass(frozen=True, slots=True)
class InStore:
    """Does tasks of a run in an object store, in a scratch folder. Can be sent."""

    run: RemoteRun
    threads: int = 1
    profile: ProfileName | None = None
    """None: the run's own."""

    def __call__(
        self, task: Task, clock: Callable[[], float] = time.perf_counter
    ) -> Outcome:
        """Do a task; an expected failure is told, not raised."""
        begun = clock()
        fault, watch = "", Stopwatch()
        try:
            with scratch(self.run, self.profile) as folder:
                self._do(folder, task, watch)
        except ProcError as exc:
            fault = str(exc)
        except OSError as exc:
            fault = f"the scratch folder: {exc.strerror or exc}"
        return Outcome(task, clock() - begun, fault, watch.steps())

    def _do(self, folder: RunFolder, task: Task, watch: Stopwatch) -> None:
        wanted = [
            _made(folder, f"{kind}/{task.field}/")
            for kind in ("localizations", "images")
        ]
        fetched = self.run.fetch(folder.root, (*ALWAYS, *wanted))
        if task.unit is not None:
            if is_closed(folder, task.unit):
                return
            fetched |= self.run.fetch(folder.root, _raw(folder, task.unit))
        do(folder, task, threads=self.threads, watch=watch)
        self.run.give_back(folder.root, fetched)


def process_remote(
    run: RemoteRun,
    progress: Progress,
    *,
    profile: ProfileName | None = None,
    scheduler: Scheduler | None = None,
    jobs: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Answered:
    """Compute whatever is missing of a run in an object store, and answer anew.

    As `pipeline.process_timed`; workers of a cluster need no common folder, only the
    store. Another ``profile`` than the run's own answers beside it. Raises as that
    does.
    """
    scheduler, began, watch = scheduler or Local(), clock(), Stopwatch()
    with scratch(run, profile) as folder:
        run.fetch(folder.root, ALWAYS)
        if not folder.manifest.exists():
            raise StateError(f"{run.url} is not a run folder: it has no manifest.json")
        folder = with_profile(folder, profile)
        doing = InStore(run, jobs or 1, folder.profile)
        done = do_tasks(folder, doing, scheduler, progress)
    with scratch(run, doing.profile) as folder:
        fetched = run.fetch(folder.root, _answered_from(folder, run.top()))
        with watch.step("answer"):
            former = tell_former(folder, done.lost)
            result = close_run(folder)
        times = done.times(watch, jobs=doing.threads, wall_s=clock() - began)
        times = add_times(folder, times)
        run.give_back(folder.root, fetched)
        report = folder.report.relative_to(folder.root)
    done.require_whole(former)
    return Answered(result, times, f"{run.url}/{report}")


@contextmanager
def scratch(run: RemoteRun, profile: ProfileName | None) -> Iterator[RunFolder]:
    """Yield an empty run folder of the same name, removed at the end.

    Raises `WriteError` where there is no room for it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="her2sr-") as place:
            folder = RunFolder(Path(place) / run.name, profile)
            folder.root.mkdir()
            yield folder
    except OSError as exc:
        where = tempfile.tempdir  # None: not one could be written to
        if exc.errno not in FULL and where is not None:
            raise
        raise WriteError(
            f"the scratch folder {where or ''} of {platform.node()} has no room "
            f"({exc.strerror or exc}); make some, or set TMPDIR to another folder"
        ) from exc


def _raw(folder: RunFolder, unit: UnitKey) -> Iterator[str]:
    """Yield how names of a unit's raw frames begin, of every form."""
    for path in folder.raw_forms(unit):
        yield str(path.relative_to(folder.root))


def _answered_from(folder: RunFolder, top: Iterable[str]) -> Iterator[str]:
    """Yield what a profile's answer may read: what it made, and all that was said.

    ``top``: what stands in the run folder.
    """
    yield from (name for name in top if name.rstrip("/") not in NOT_SAID)
    yield from (_made(folder, name) for name in MADE)


def _made(folder: RunFolder, name: str) -> str:
    """Return the name, in the store, of a folder that a profile makes."""
    return f"{folder.made.relative_to(folder.root) / name}/"
