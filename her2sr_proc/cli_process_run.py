"""What `her2sr process RUN_DIR` does: models chosen, work called, lines printed."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from her2sr_proc.cli_process_lines import denoise_line, time_lines
from her2sr_proc.cli_runs import run_progress, summary
from her2sr_proc.errors import RequestError
from her2sr_proc.offline import schedulers
from her2sr_proc.offline.denoised import AskedModel, foretell, with_models
from her2sr_proc.offline.gone import require_frames
from her2sr_proc.offline.pipeline import Progress, process_timed
from her2sr_proc.offline.remote import process_remote
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.params import ProfileName
from her2sr_proc.schema.results import RunResult
from her2sr_proc.schema.times import Times
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest, with_profile
from her2sr_proc.store.objects import RemoteRun, is_remote

_CHANNEL = re.compile(NAME)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The command line of `her2sr process` on a run folder, as typed."""

    run_dir: str
    profile: ProfileName | None
    scheduler: str | None
    jobs: int | None
    models: tuple[str, ...]


def process_run(request: RunRequest, *, as_json: bool) -> None:
    """Compute what is missing of a run, and say what there is and what it took."""
    with run_progress() as tell:
        if is_remote(request.run_dir):
            result, times, report = _remote(request, tell)
        else:
            result, times, report = _local(request, tell)
    if as_json:
        said = json.loads(result.model_dump_json())
        said["times"] = json.loads(times.model_dump_json())
        typer.echo(json.dumps(said, indent=2))
        return
    for line in summary(result):
        typer.echo(line)
    for line in time_lines(times):
        typer.echo(line)
    typer.echo(f"report: {report}")


def _local(request: RunRequest, tell: Progress) -> tuple[RunResult, Times, str]:
    who = schedulers.parse(request.scheduler or schedulers.LOCAL)
    run = with_profile(RunFolder(Path(request.run_dir).resolve()), request.profile)
    if not request.models:
        require_frames(run, read_manifest(run))
    else:
        run = with_models(run, [asked_model(text) for text in request.models])
        is_local = isinstance(who, schedulers.Local)
        _foretell(run, request.jobs or (os.cpu_count() or 1) if is_local else None)
    result, times = process_timed(run, tell, scheduler=who, jobs=request.jobs)
    return result, times, str(run.report)


def _remote(request: RunRequest, tell: Progress) -> tuple[RunResult, Times, str]:
    if request.models:
        raise RequestError(
            "--model is for run folders of this machine; fetch the run first"
        )
    answered = process_remote(
        RemoteRun(request.run_dir),
        tell,
        profile=request.profile,
        scheduler=schedulers.parse(request.scheduler or schedulers.LOCAL),
        jobs=request.jobs,
    )
    return answered.result, answered.times, answered.report_url


def asked_model(text: str) -> AskedModel:
    """Return what `[CHANNEL=]MODEL.zip` names; a file with such a name is a file.

    Raises `RequestError` where no file is named.
    """
    channel, sign, path = text.partition("=")
    is_channel = bool(sign) and _CHANNEL.match(channel) is not None
    if not text or (is_channel and not path):
        raise RequestError(f"--model '{text}' names no file; say [CHANNEL=]MODEL.zip")
    if is_channel and not Path(text).exists():
        return AskedModel(Path(path), channel)
    return AskedModel(Path(text))


def _foretell(run: RunFolder, jobs: int | None) -> None:
    """Say how slow cleaning will be, and whether the models suit the frames."""
    found = foretell(run, time.perf_counter)
    if found.frames:
        typer.echo(
            denoise_line(found.cpu_s / found.frames, found.frames, jobs), err=True
        )
    for flag in found.flags:
        typer.echo(f"flag: {flag}", err=True)
