"""The steps of a run as tasks: each writes its own results, whole, and tells little.

A task may be done by any process that sees the run folder, and twice without harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from her2sr_proc.errors import ProcError, system_sentence
from her2sr_proc.offline.fields import close_field
from her2sr_proc.offline.units import close_unit
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.times import StepTime
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.layout import RunFolder


@dataclass(frozen=True, slots=True)
class Task:
    """One unit, or one field whose units are done."""

    field: str
    unit: UnitKey | None = None
    """None: the field itself, its nuclei and counts."""

    @property
    def name(self) -> str:
        """What a progress line says."""
        if self.unit is None:
            return f"{self.field} nuclei and counts"
        attempt = f".a{self.unit.attempt}" if self.unit.attempt > 1 else ""
        return f"{self.field}/{self.unit.channel}{attempt}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended."""

    task: Task
    seconds: float
    fault: str = ""
    """Empty: done. A sentence otherwise; what was there before is untouched."""
    steps: tuple[StepTime, ...] = ()
    """What it took, as far as it got."""


Doing = Callable[[Task], Outcome]
"""Does a task where it is called, and raises nothing that is expected."""


@dataclass(frozen=True, slots=True)
class InFolder:
    """Does tasks in a run folder that this process sees. Can be sent to another."""

    run: RunFolder
    threads: int = 1
    """Frames of a unit that are localized side by side."""

    def __call__(
        self, task: Task, clock: Callable[[], float] = time.perf_counter
    ) -> Outcome:
        """Do a task; an expected failure is told, not raised."""
        begun = clock()
        fault, watch = "", Stopwatch()
        try:
            do(self.run, task, threads=self.threads, watch=watch)
        except ProcError as exc:
            fault = str(exc)
        except OSError as exc:
            fault = system_sentence(exc)
        return Outcome(task, clock() - begun, fault, watch.steps())


def do(run: RunFolder, task: Task, *, threads: int, watch: Stopwatch) -> None:
    """Compute what a task is to compute, as far as it is missing."""
    if task.unit is None:
        close_field(run, task.field, watch=watch)
    else:
        close_unit(run, task.unit, threads=threads, watch=watch)
