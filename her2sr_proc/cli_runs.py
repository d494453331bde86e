"""`her2sr verify`, and what verbs on run folders share. Imports its work late."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from her2sr_proc.offline.verify import Verdict
    from her2sr_proc.schema.results import Arm, RunResult

Progress = Callable[[str, int, int], None]
RunDir = Annotated[
    Path, typer.Argument(metavar="RUN_DIR", help="Folder with a manifest.json.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

FAULT, WRONG_REQUEST = 1, 2


def register(app: typer.Typer) -> None:
    """Add the verb of this module to the one command."""
    app.command("verify")(verify)


def verify(run_dir: RunDir, as_json: AsJson = False) -> None:
    """Check every block against its checksum, the five taps, the audit chain.

    Example: her2sr verify data/runs/20260101-120000-demo

    Exit: 0 sound, 1 damaged or incomplete, 2 no run folder.
    """
    with plain_errors(), run_progress() as tell:
        from her2sr_proc.offline.verify import verify as check
        from her2sr_proc.store.layout import RunFolder

        verdict = check(RunFolder(run_dir.resolve()), tell)
    if as_json:
        typer.echo(_verdict_json(verdict))
    else:
        for line in _verdict_lines(verdict):
            typer.echo(line)
    if not verdict.is_sound:
        raise typer.Exit(FAULT)


def summary(result: RunResult) -> Iterator[str]:
    """Yield the answer of a run in lines for a terminal, truth beside it."""
    yield result.banner
    rows: list[tuple[str, Arm]] = list(result.arms.items())
    if result.truth is not None:
        rows += [
            ("truth: copies", result.truth.copies),
            ("truth: signals", result.truth.signals),
        ]
    yield f"{'':16}{'nuclei':>7}{'HER2/n':>8}{'CEP17/n':>9}{'ratio':>7}{'group':>7}"
    for name, arm in rows:
        cells = (arm.her2_per_nucleus, arm.cep17_per_nucleus, arm.ratio)
        her2, cep17, ratio = ("-" if c is None else f"{c:.2f}" for c in cells)
        yield (f"{name:16}{arm.nuclei:>7}{her2:>8}{cep17:>9}{ratio:>7}{_group(arm):>7}")
    if result.truth is not None:
        yield (
            f"scored {result.truth.whole_tumour_nuclei_scored} of "
            f"{result.truth.whole_tumour_nuclei} whole tumour nuclei"
        )
    headline = result.arms[result.headline]
    yield f"{result.headline}: {headline.status.replace('_', ' ')}"
    yield from (f"  {reason}" for reason in headline.reasons)
    yield from (f"flag: {flag}" for flag in result.flags)


def _group(arm: Arm) -> str:
    """Return the group; in brackets what unmarked nuclei would form, no answer."""
    if arm.group is None and arm.unmarked_group is not None:
        return f"({arm.unmarked_group})"
    return str(arm.group or "-")


def _verdict_lines(verdict: Verdict) -> Iterator[str]:
    taps = verdict.accounting
    yield f"{verdict.blocks} blocks compared, {verdict.events} events in the chain"
    yield (
        f"frames: {taps.requested} requested, {taps.delivered} delivered, "
        f"{taps.written} written; {taps.localized} of {taps.localizable} localized"
    )
    yield from (f"discarded: {what}" for what in verdict.discarded)
    yield from (f"damaged: {fault}" for fault in verdict.damage)
    yield from (f"incomplete: {gap}" for gap in verdict.gaps)
    yield "sound" if verdict.is_sound else "NOT sound"


def _verdict_json(verdict: Verdict) -> str:
    said = {
        "sound": verdict.is_sound,
        "blocks": verdict.blocks,
        "events": verdict.events,
        "damage": verdict.damage,
        "gaps": verdict.gaps,
        "discarded": verdict.discarded,
        "accounting": verdict.accounting.model_dump(mode="json"),
    }
    return json.dumps(said, indent=2)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an expected failure into one line and its exit code."""
    from her2sr_proc.errors import ProcError, system_sentence

    try:
        yield
    except ProcError as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(WRONG_REQUEST if exc.is_request else FAULT) from None
    except OSError as exc:
        typer.echo(f"error: {system_sentence(exc)}", err=True)
        raise typer.Exit(FAULT) from None


@contextmanager
def run_progress() -> Iterator[Progress]:
    """Yield what shows progress: a bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _plain_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:28}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield tell


def _plain_lines() -> Progress:
    """Return what prints a line whenever another tenth is done."""
    last = -1

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth > last:
            last = tenth
            typer.echo(f"{done}/{total} {what}", err=True)

    return tell
