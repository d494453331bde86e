"""What became of every sample of a study: one small file each, so that it can go on."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from her2sr_proc.errors import DataError, RequestError, StateError
from her2sr_proc.schema.model import Frozen
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import RunFolder, StudyFolder
from her2sr_proc.study.plan import SamplePlan, StudyOptions, StudyPlan, draw_plan

Model = TypeVar("Model", bound=BaseModel)


class SampleRecord(Frozen):
    """``samples/NAME.json``."""

    name: str
    state: Literal["started", "acquired", "failed"]
    run: str = Field(default="", description="name of its folder among the runs")
    reason: str = Field(default="", description="why it failed")
    attempt: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, description="from order to answer")


def begin(
    folder: StudyFolder, options: StudyOptions, *, is_new: bool = True
) -> StudyPlan:
    """Return the plan of a study; write it where there is none and may be.

    Raises `RequestError` when the folder holds a study that was asked for otherwise,
    `StateError` when it holds none and ``is_new`` is false.
    """
    if folder.plan.exists() or not is_new:
        plan = read_plan(folder)
        if plan.options != options:
            raise RequestError(
                f"{folder.root} holds another study ({_difference(plan, options)}); "
                f"ask for the same to go on with it, or give another folder with --out"
            )
        return plan
    plan = draw_plan(options)
    write_text(folder.plan, plan.model_dump_json(indent=1) + "\n")
    return plan


def read_plan(folder: StudyFolder) -> StudyPlan:
    """Return the plan of a study. Raises `StateError` where there is none."""
    if not folder.plan.exists():
        raise StateError(f"{folder.root} holds no study; make one with `her2sr study`")
    return _read(StudyPlan, folder, folder.plan.name)


def read_record(folder: StudyFolder, sample: str) -> SampleRecord | None:
    """Return what became of a sample; None when nobody tried."""
    path = folder.record(sample)
    if not path.exists():
        return None
    return _read(SampleRecord, folder, str(path.relative_to(folder.root)))


def write_record(folder: StudyFolder, record: SampleRecord) -> None:
    """Write what became of a sample whole."""
    write_text(folder.record(record.name), record.model_dump_json(indent=1) + "\n")


def is_due(
    folder: StudyFolder, sample: SamplePlan, *, retry_failed: bool = False
) -> bool:
    """Return whether a sample is to be acquired.

    One that was acquired is not, unless its run is gone; one that failed is when that
    is asked for; one that was interrupted is.
    """
    record = read_record(folder, sample.name)
    if record is None or record.state == "started":
        return True
    if record.state == "failed":
        return retry_failed
    return not run_of(folder, record).result.exists()


def run_of(folder: StudyFolder, record: SampleRecord) -> RunFolder:
    """Return the run folder of a sample."""
    return folder.data.run(record.run)


def _difference(plan: StudyPlan, options: StudyOptions) -> str:
    mine, theirs = plan.options.model_dump(), options.model_dump()
    return ", ".join(
        f"{name} {mine[name]}, not {theirs[name]}"
        for name in mine
        if mine[name] != theirs[name]
    )


def _read(model: type[Model], folder: StudyFolder, name: str) -> Model:
    try:
        return model.model_validate_json((folder.root / name).read_bytes())
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(
            f"{name} of the study: '{where}': {fault['msg']}; remove the file, and "
            f"ask for the study again"
        ) from exc
