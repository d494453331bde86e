"""Reports on demand: of one run with its exports, and of many runs on one page."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.offline.casefile import read_case
from her2sr_proc.offline.exports import export_run
from her2sr_proc.offline.runs import close_run
from her2sr_proc.report.runs_page import RunRow, render_runs
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import require_writable, write_text
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_result
from her2sr_proc.versions import versions


def report_run(run: RunFolder, *, exports: bool = True) -> tuple[Path, ...]:
    """Write a run's report anew, and its exports; return what was written.

    Raises `StateError` for a folder that is no run, or has no counts yet.
    """
    _require_counts(run)
    close_run(run)
    return (run.report, *(export_run(run) if exports else ()))


def report_cohort(runs: Sequence[RunFolder], out: Path | None) -> tuple[Path, ...]:
    """Write one page, and one CSV, of runs that have answers; return both paths.

    Raises `RequestError` without a place to write to, or for a run that stands twice;
    `StateError` for a run without an answer. Nothing is written then.
    """
    if out is None:
        raise RequestError(
            "a page of several runs belongs to none of them; give its place with --out"
        )
    if out.suffix.lower() not in (".html", ".htm"):
        raise RequestError(f"{out} is no page; give a name that ends in .html")
    if len({run.root for run in runs}) < len(runs):
        raise RequestError("a run stands there twice; give each once")
    out = out.resolve()
    table = out.with_suffix(".csv")
    for path in (out, table):
        require_writable(path)
    rows = [_row(run, out.parent) for run in runs]
    write_text(table, _csv(rows))
    write_text(out, render_runs(rows, made_with=versions()))
    return out, table


def _row(run: RunFolder, beside: Path) -> RunRow:
    _require_counts(run)
    return RunRow(
        manifest=read_manifest(run),
        result=read_result(run),
        state=read_case(run.case).state.value.replace("_", " "),
        report=Path(os.path.relpath(run.report, beside)).as_posix(),
    )


def _require_counts(run: RunFolder) -> None:
    if not run.manifest.exists():
        raise StateError(
            f"{run.root} is no run folder: it has no manifest.json; give a folder "
            f"under DATA/runs"
        )
    read_result(run)


def _csv(rows: Sequence[RunRow]) -> str:
    text = io.StringIO()
    text.write(f"# {BANNER}\n")
    writer = csv.writer(text, lineterminator="\n")
    records = [row.record() for row in rows]
    writer.writerow(list(records[0]))
    writer.writerows(record.values() for record in records)
    return text.getvalue()
