"""The verb `her2sr offload`: a verified copy on a share. Imports its work late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_proc.cli_runs import FAULT, AsJson, plain_errors, run_progress

if TYPE_CHECKING:
    from her2sr_proc.offline.offload import Offloaded
    from her2sr_proc.offline.release import Released
    from her2sr_proc.store.layout import RunFolder

RunOrRuns = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_DIR",
        help="A finished run; with --retain-days also a folder of runs.",
    ),
]
Share = Annotated[
    Path, typer.Argument(metavar="DEST", help="An existing folder, such as a share.")
]
Tiff = Annotated[
    bool, typer.Option("--tiff", help="Write each burst as a TIFF too, under tiff/.")
]
RemoveRaw = Annotated[
    bool,
    typer.Option("--remove-raw", help="Remove raw frames here once all is verified."),
]
RetainDays = Annotated[
    int | None,
    typer.Option(
        "--retain-days",
        min=0,
        metavar="N",
        help="Copy nothing; remove raw frames here of runs that ended more than N "
        "days ago and stand verified in DEST.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the one command."""
    app.command("offload")(offload)
    app.command("recompress")(recompress)


def offload(
    run_dir: RunOrRuns,
    dest: Share,
    tiff: Tiff = False,
    remove_raw: RemoveRaw = False,
    retain_days: RetainDays = None,
    as_json: AsJson = False,
) -> None:
    """Copy a finished run to a share, read every file back, and list the digests.

    Doing it again copies only what is missing or differs. What is damaged here is left
    out and told. Nothing is removed here unless asked for, and then raw frames alone.

    Example: her2sr offload data/runs/20260101-120000-demo /mnt/share --tiff

    Exit: 0 done, 1 a file differs or cannot be read, 2 a wrong request.
    """
    with plain_errors():
        from her2sr_proc.errors import RequestError

        if retain_days is None:
            _copy(run_dir, dest, tiff=tiff, remove_raw=remove_raw, as_json=as_json)
            return
        if tiff or remove_raw:
            raise RequestError(
                "--retain-days copies nothing; offload with --tiff or --remove-raw "
                "first, then apply the rule"
            )
        _retain(run_dir, dest, retain_days, as_json=as_json)


def recompress(run_dir: RunOrRuns, as_json: AsJson = False) -> None:
    """Code raw frames anew, a quarter smaller, every bit as it was; for idle hours.

    Every block is compared with its checksum before, and the new one with its frames
    before it takes the place of the old. It may be killed and done again. Frames that
    stand on a share are copied there anew by the next offload.

    Example: her2sr recompress data/runs/20260101-120000-demo

    Exit: 0 done, 1 a block differs from its checksum, 2 a wrong request.
    """
    with plain_errors():
        import os

        from her2sr_proc.offline.recompress import recompress as code_anew

        if hasattr(os, "nice"):
            os.nice(19)  # whoever takes frames meanwhile goes first
        runs = _runs(run_dir)
        told = []
        left = Complaints(alone=len(runs) == 1)
        with run_progress() as tell:
            for run in runs:
                with left.collected():
                    told.append(code_anew(run, tell))
        if as_json:
            typer.echo(json.dumps([asdict(done) for done in told], indent=2))
            left.leave()
            return
        for done in told:
            ratio = done.bytes_before / done.bytes_after if done.bytes_after else 1.0
            typer.echo(
                f"{done.run}: {done.blocks} blocks coded anew, {done.already} as they "
                f"were; {done.bytes_before / 1e6:.1f} MB became "
                f"{done.bytes_after / 1e6:.1f} MB ({ratio:.2f} times smaller)"
            )
        left.leave()


class Complaints:
    """Faults of some of many runs: the others are done, then all faults are told."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._said: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep what is expected to fail; of one run alone it is told at once."""
        from her2sr_proc.errors import ProcError, system_sentence

        try:
            yield
        except (ProcError, OSError) as exc:
            if self._alone:
                raise
            self._said.append(
                system_sentence(exc) if isinstance(exc, OSError) else str(exc)
            )

    def leave(self) -> None:
        """End the command with 1 where something failed."""
        for sentence in self._said:
            typer.echo(f"error: {sentence}", err=True)
        if self._said:
            raise typer.Exit(FAULT)


def _copy(
    run_dir: Path, dest: Path, *, tiff: bool, remove_raw: bool, as_json: bool
) -> None:
    from her2sr_proc.offline.offload import offload as copy_run
    from her2sr_proc.offline.release import release_raw
    from her2sr_proc.store.layout import RunFolder

    run = RunFolder(run_dir.resolve())
    removed = 0
    with run_progress() as tell:
        done = copy_run(run, dest, tell, utc=_now(), with_tiffs=tiff)
        if remove_raw:
            reason = f"a verified copy stands in {dest.resolve()}; removed on request"
            removed = release_raw(run, dest, tell, utc=_now(), reason=reason)
    if as_json:
        typer.echo(_json(done, removed))
        return
    typer.echo(
        f"{done.copied} files copied, {done.verified} there already, all read back: "
        f"{done.bytes / 1e6:.1f} MB in {done.folder}"
    )
    if tiff:
        typer.echo(f"{len(done.tiffs)} TIFFs in {done.folder / 'tiff'}")
    if remove_raw:
        typer.echo(f"raw frames of {removed} units removed here")


def _retain(run_dir: Path, dest: Path, days: int, *, as_json: bool) -> None:
    from her2sr_proc.offline.release import release_old

    runs = _runs(run_dir)
    with run_progress() as tell:
        told = release_old(runs, dest, tell, now=datetime.now(UTC), days=days)
    if as_json:
        typer.echo(json.dumps([_released(entry) for entry in told], indent=2))
        return
    for entry in told:
        why = f"; kept, since {entry.kept_because}" if entry.kept_because else ""
        typer.echo(f"{entry.run}: raw frames of {entry.units} units removed{why}")


def _runs(folder: Path) -> list[RunFolder]:
    """Return the run, or the runs of a folder of runs or of a data folder."""
    from her2sr_proc.errors import RequestError
    from her2sr_proc.store.layout import RunFolder

    run = RunFolder(folder.resolve())
    if run.manifest.exists():
        return [run]
    found = sorted(folder.glob("*/manifest.json")) or sorted(
        folder.glob("runs/*/manifest.json")
    )
    if not found:
        raise RequestError(f"{folder} holds no run; name a run, or a folder of runs")
    return [RunFolder(path.parent.resolve()) for path in found]


def _json(done: Offloaded, removed: int) -> str:
    said = {
        "folder": str(done.folder),
        "copied": done.copied,
        "there_already": done.verified,
        "bytes": done.bytes,
        "tiffs": done.tiffs,
        "units_removed_here": removed,
    }
    return json.dumps(said, indent=2)


def _released(entry: Released) -> dict[str, object]:
    return {
        "run": entry.run,
        "units_removed_here": entry.units,
        "kept_because": entry.kept_because,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
