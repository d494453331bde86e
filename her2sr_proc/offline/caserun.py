"""What a run says beside its counts: how it was scored, and how well it was stained."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import AbsentError, DataError
from her2sr_proc.offline.settling import run_evidence
from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest


def run_of(table: Path) -> RunFolder | None:
    """Return the run whose counts these are; its manifest names the channels."""
    run = RunFolder(table.resolve().parent.parent)
    is_its = run.counts == table.resolve() and run.manifest.exists()
    return run if is_its else None


def params_of(asked: ScoreParams, table: Path | None) -> ScoreParams:
    """Return what was asked for; the rest is as the run of the counts was scored."""
    run = run_of(table) if table else None
    if run is None:
        return asked
    stated = {name: getattr(asked, name) for name in asked.model_fields_set}
    return read_manifest(run).profile.score.model_copy(update=stated)


def evidence_for(path: Path | None, table: Path) -> Evidence:
    """Return what a person's file says, else what the run's own fields measured."""
    if path is None:
        run = run_of(table)
        return run_evidence(run) if run else Evidence()
    if not path.is_file():
        raise AbsentError(
            f"there is no file {path}; give the JSON of what was measured"
        )
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(f"{path}: '{where}': {fault['msg']}; correct it") from exc
