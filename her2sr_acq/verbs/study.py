"""``her2sr study``: simulated samples, one after another, through one daemon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import (
    AcqError,
    LatchedError,
    PlanRejectedError,
    ServiceUnavailableError,
)
from her2sr_acq.plan.foresight import require_writable
from her2sr_acq.verbs.demo_config import held
from her2sr_acq.verbs.progress import Show
from her2sr_acq.verbs.run import service, submit_and_follow
from her2sr_acq.verbs.study_config import checked, request_of
from her2sr_acq.verbs.watch import termination_as_interrupt
from her2sr_acq.yaml_file import describe
from her2sr_proc.errors import ProcError
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.answer import sentences
from her2sr_proc.study.pathologist import mark_run
from her2sr_proc.study.plan import (
    SamplePlan,
    StudyOptions,
    StudyPlan,
    draw_plan,
    preamble,
)
from her2sr_proc.study.records import (
    SampleRecord,
    begin,
    is_due,
    read_record,
    run_of,
    write_record,
)

Acquire = Callable[[SamplePlan], RunView]
Clock = Callable[[], float]


class Say(Protocol):
    """Where progress is told."""

    def __call__(self, text: str) -> None:
        """Tell one sentence."""
        ...


@dataclass(frozen=True, slots=True)
class StudyOrder:
    """What the command line asked for."""

    out: Path
    options: StudyOptions
    recount: bool = False
    scheduler: str | None = None
    """Who counts anew, as the command line has it; None: this process."""
    retry_failed: bool = False
    keep_raw: bool = False


@dataclass(frozen=True, slots=True)
class StudyEnd:
    """What the command ends with."""

    lines: tuple[str, ...]
    faults: tuple[str, ...]
    """Samples without an answer, each with its reason."""
    as_json: dict[str, object]


def study_options(**values: object) -> StudyOptions:
    """Return what is asked for. Raises `PlanRejectedError` for what cannot be."""
    try:
        return StudyOptions.model_validate(values)
    except ValidationError as exc:
        raise PlanRejectedError(describe(exc)) from exc


def finish_study(order: StudyOrder, say: Say) -> StudyEnd:
    """Acquire what is due, then compute all that follows; return what to print.

    Raises as `acquire_study`, after what there is was written; `PlanRejectedError` for
    a scheduler where nothing is counted anew.
    """
    if order.scheduler is not None and not order.recount:
        raise PlanRejectedError(
            "one microscope acquires a study, so --scheduler is for --recount alone; "
            "leave it out, or count acquired samples anew"
        )
    from her2sr_proc.study import closing  # matplotlib, scipy: only here

    folder = StudyFolder(order.out.resolve())
    try:
        if order.recount:
            recount_study(order, say)
        else:
            acquire_study(order, say)
    finally:
        if folder.plan.exists():
            found = closing.close_study(folder)
    missing = [s for s in found.samples if s.fault]
    lines = [
        *sentences(found.answer),
        *(
            f"{'-' if f.is_met is None else 'met' if f.is_met else 'MISSED'}: "
            f"{f.what}: {f.measured} ({f.n}; reach: {f.reach})"
            for f in found.figures
        ),
        f"page: {folder.page}",
        *found.preamble,
    ]
    return StudyEnd(
        lines=tuple(lines),
        faults=tuple(f"{s.plan.name}: {s.fault}" for s in missing),
        as_json=closing.as_json(found),
    )


def recount_study(order: StudyOrder, say: Say) -> None:
    """Count every acquired sample anew from its localizations; acquire nothing.

    Raises `StateError` where there is no study, `RequestError` where it is another or
    for what is no scheduler, `ClusterError` when the cluster is lost.
    """
    from her2sr_proc.offline import schedulers
    from her2sr_proc.offline.pipeline import process_run

    who = schedulers.parse(order.scheduler or schedulers.LOCAL)
    folder = StudyFolder(order.out.resolve())
    for sample in begin(folder, order.options, is_new=False).samples:
        record = read_record(folder, sample.name)
        if record is None or record.state != "acquired":
            continue
        process_run(run_of(folder, record), lambda *_: None, scheduler=who)
        answer(folder, record)
        say(f"sample {sample.name}: counted anew")


def acquire_study(order: StudyOrder, say: Say) -> StudyPlan:
    """Acquire every sample that is due, mark and score it; return the plan.

    A sample that fails is recorded with its reason, and the next one follows. Raises
    `AcqError` when the microscope itself cannot be had, or nothing may start any more.
    """
    folder = StudyFolder(order.out.resolve())
    require_writable(folder.root)
    if not folder.plan.exists():
        checked(folder, draw_plan(order.options))  # before anything is written
    plan = begin(folder, order.options)
    for line in preamble(plan):
        say(line)
    due = [
        one
        for one in plan.samples
        if is_due(folder, one, retry_failed=order.retry_failed)
    ]
    if not due:
        say("nothing is left to acquire")
        return plan
    configuration = checked(folder, plan)
    quiet = _Quiet(say)
    with (
        termination_as_interrupt(),
        held(folder.data.root, configuration) as config,
        service(config, folder.data.root, quiet) as running,
    ):

        def acquire(sample: SamplePlan) -> RunView:
            running.check()
            wanted = request_of(plan, sample, keep_raw=order.keep_raw)
            quiet.was_paused = False
            view = submit_and_follow(running, wanted, quiet, is_alone=True)
            if view.state is RunState.ABORTED and not quiet.was_paused:
                raise KeyboardInterrupt  # a person stopped it: the study ends, too
            return view

        acquire_samples(folder, due, acquire, say)
    return plan


def acquire_samples(
    folder: StudyFolder,
    due: Iterable[SamplePlan],
    acquire: Acquire,
    say: Say,
    clock: Clock = time.monotonic,
) -> None:
    """Acquire samples one by one, and write down what became of each.

    Raises `LatchedError`, `ServiceUnavailableError`: no further sample can be acquired
    then, and the present one is recorded as failed.
    """
    samples = list(due)
    began = clock()
    for number, sample in enumerate(samples):
        say(f"sample {sample.name} ({number + 1} of {len(samples)}): {sample.kind}")
        record = _one(folder, sample, acquire, clock)
        done = number + 1
        left_s = (clock() - began) / done * (len(samples) - done)
        outcome = record.reason or f"in {record.seconds:.0f} s"
        say(
            f"sample {sample.name}: {record.state}, {outcome}; about "
            f"{left_s / 60:.0f} min left"
        )


def _one(
    folder: StudyFolder, sample: SamplePlan, acquire: Acquire, clock: Clock
) -> SampleRecord:
    former = read_record(folder, sample.name)
    attempt = 1 if former is None else former.attempt + 1
    record = SampleRecord(name=sample.name, state="started", attempt=attempt)
    write_record(folder, record)
    began = clock()
    try:
        view = acquire(sample)
        record = record.model_copy(update={"run": view.folder})
        if view.state is not RunState.COMPLETED:
            why = f": {view.reason}" if view.reason else ""
            record = _failed(record, f"the run ended as {view.state}{why}")
        else:
            answer(folder, record)
            record = record.model_copy(update={"state": "acquired"})
    except (LatchedError, ServiceUnavailableError) as exc:
        write_record(folder, _failed(record, str(exc)))
        raise
    except (AcqError, ProcError) as exc:
        record = _failed(record, str(exc))
    record = record.model_copy(update={"seconds": round(clock() - began, 1)})
    write_record(folder, record)
    return record


def answer(folder: StudyFolder, record: SampleRecord) -> None:
    """Have the simulated pathologist mark a run, and score it anew."""
    from her2sr_proc.offline.runs import close_run  # numba, matplotlib: only here

    run = run_of(folder, record)
    mark_run(run, lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    close_run(run)


def _failed(record: SampleRecord, reason: str) -> SampleRecord:
    return record.model_copy(update={"state": "failed", "reason": reason})


class _Quiet(Show):
    """Tells sentences, and no frame counts: the study has a pace of its own."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.was_paused = False

    def update(self, view: RunView) -> None:
        """Note a pause: nobody is here to end it, so that the run is stopped."""
        self.was_paused |= view.state is RunState.PAUSED

    def say(self, text: str) -> None:
        """Tell one sentence."""
        self._say(text)
