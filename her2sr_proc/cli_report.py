"""The verb `her2sr report`: a run's page and exports, or one page of many runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER


def register(app: typer.Typer) -> None:
    """Add the verb to the one command."""
    app.command("report", epilog=EXITS)(report)


def report(
    run_dirs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_DIR...", help="processed run folders"),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="page of several runs, such as runs.html"),
    ] = None,
    exports: Annotated[
        bool,
        typer.Option(
            "--exports/--no-exports",
            help="counts as Parquet and nuclei as OME-Zarr labels beside the report",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run, with exports for other programs; or one of many runs.

    Nothing is counted anew: the answer is formed from the counts and marks as they
    stand. Of several runs a page with one row each is written, which links to theirs.

    Example: her2sr report data/runs/20260101-120000-demo

    Example: her2sr report data/runs/2026* --out runs.html
    """
    from her2sr_proc.offline.reporting import report_cohort, report_run
    from her2sr_proc.store.layout import RunFolder

    runs = [RunFolder(path.resolve()) for path in run_dirs]
    typer.echo(BANNER, err=True)
    if out is None and len(runs) == 1:
        written = report_run(runs[0], exports=exports)
    else:
        written = report_cohort(runs, out)
    if as_json:
        typer.echo(json.dumps({"banner": BANNER, "wrote": [str(p) for p in written]}))
        return
    for path in written:
        typer.echo(f"wrote {path}")
