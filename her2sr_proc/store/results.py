"""Results of a run folder: field by field, the counts of all, the answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from her2sr_proc.errors import DataError, StateError
from her2sr_proc.schema.counts import (
    PROBES,
    FieldResult,
    NucleusCounts,
    Probe,
    ProbeCount,
)
from her2sr_proc.schema.results import ARMS, ArmName, RunResult
from her2sr_proc.schema.times import Times, summed
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import RunFolder

Model = TypeVar("Model", bound=BaseModel)

_NUCLEUS_COLUMNS = (
    "nucleus",
    "x_um",
    "y_um",
    "area_um2",
    "region",
    "quality",
    "excluded",
    "exclusion_reason",
)
_COUNT_SUFFIXES = ("ambiguous", "estimated", "low", "high")


def count_columns() -> list[str]:
    """Return the names of the columns of ``counts.csv``, in order."""
    names = ["run", "field", *_NUCLEUS_COLUMNS]
    for stem in count_stems():
        names += [stem, *(f"{stem}_{suffix}" for suffix in _COUNT_SUFFIXES)]
    return names


def count_stems() -> list[str]:
    """Return the names of the columns that hold counts, such as ``her2_sr``."""
    return [f"{probe.lower()}_{arm}" for arm in ARMS for probe in PROBES]


def count_cells(probe: Probe, arm: ArmName, count: ProbeCount) -> dict[str, object]:
    """Return the cells that one count fills."""
    stem = f"{probe.lower()}_{arm}"
    return {
        stem: count.count,
        f"{stem}_ambiguous": str(count.ambiguous).lower(),
        f"{stem}_estimated": str(count.estimated).lower(),
        f"{stem}_low": count.low,
        f"{stem}_high": count.high,
    }


def count_rows(fields: Iterable[FieldResult]) -> Iterator[dict[str, object]]:
    """Yield one row a nucleus, excluded ones too, in order of field and label."""
    for field in fields:
        for nucleus in field.nuclei:
            yield {"run": field.run, "field": field.field, **_row(nucleus)}


def write_counts(run: RunFolder, fields: Iterable[FieldResult]) -> None:
    """Write ``results/counts.csv`` whole."""
    write_count_rows(run.counts, count_rows(fields))


def write_count_rows(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows as ``counts.csv`` has them; what a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, count_columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_field(run: RunFolder, result: FieldResult) -> None:
    """Write the result of one field whole."""
    write_text(run.field_result(result.field), result.model_dump_json(indent=1) + "\n")


def read_field(run: RunFolder, field: str) -> FieldResult | None:
    """Return the result of one field, or None when it was not computed yet."""
    path = run.field_result(field)
    if not path.exists():
        return None
    return _parse(FieldResult, path)


def write_result(run: RunFolder, result: RunResult) -> None:
    """Write ``results/result.json`` whole."""
    write_text(run.result, result.model_dump_json(indent=2) + "\n")


def read_result(run: RunFolder) -> RunResult:
    """Return the answer of a run. Raises `StateError` when there is none yet."""
    if not run.result.exists():
        raise StateError(
            f"{run.name} has no result yet; compute it with `her2sr process {run.root}`"
        )
    return _parse(RunResult, run.result)


def add_times(run: RunFolder, times: Times) -> Times:
    """Add what a call took to what former ones did; return all. Never raises for them.

    A file of former calls that cannot be read counts as none.
    """
    try:
        former = Times.model_validate_json(run.times.read_bytes())
    except (OSError, ValidationError):
        total = times
    else:
        total = Times(
            calls=former.calls + times.calls,
            jobs=times.jobs,
            wall_s=former.wall_s + times.wall_s,
            steps=summed(former.steps, times.steps),
        )
    write_text(run.times, total.model_dump_json(indent=1) + "\n")
    return total


def _row(nucleus: NucleusCounts) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(nucleus, name) for name in _NUCLEUS_COLUMNS}
    for name in ("x_um", "y_um", "area_um2", "quality"):
        row[name] = f"{row[name]:.3f}"
    row["excluded"] = str(nucleus.excluded).lower()
    for arm, probes in nucleus.counts.items():
        for probe, count in probes.items():
            row |= count_cells(probe, arm, count)
    return row


def _parse(model: type[Model], path: Path) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(
            f"{path.name}: '{where}': {fault['msg']}; remove the file and process again"
        ) from exc
