"""The verb `her2sr statistics`: tables and figures of a cohort, imported late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.report.cohort_page import CohortPage


def register(app: typer.Typer) -> None:
    """Add the verb to the one command."""
    app.command("statistics", epilog=EXITS)(statistics)


def statistics(
    cohort: Annotated[
        Path,
        typer.Argument(
            metavar="COHORT.csv", help="one row a sample; columns: docs/statistics.md"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="folder of what is written")],
    arm: Annotated[
        Literal["sr", "sr_merged"] | None,
        typer.Option("--arm", help="against conventional; default: merged if there"),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            "--thresholds", help="CSV of mean_adu, sd_adu, threshold_adu: figure 2"
        ),
    ] = None,
    observers: Annotated[
        Path | None,
        typer.Option(
            "--observers",
            help="CSV of case, observer, her2, cep17, group: kappa, ICC, Bland-Altman",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write tables 1 to 3 and figures 2 to 5 of the paper for a cohort.

    Every test is told with its method, n used, zeros, ties, exact or asymptotic.

    Example: her2sr statistics cohort.csv --out statistics
    """
    from her2sr_proc.offline.cohort import CohortRequest, describe_cohort
    from her2sr_proc.offline.cohort import as_json as plain

    typer.echo(BANNER, err=True)
    page = describe_cohort(CohortRequest(cohort, out, arm, thresholds, observers))
    if as_json:
        typer.echo(json.dumps(plain(page)))
        return
    _tell(page)
    typer.echo(f"wrote {out / 'statistics.html'}")


def _tell(page: CohortPage) -> None:
    typer.echo(
        f"{len(page.cohort.samples)} samples; conventional against "
        f"{page.arm_title.lower()}"
    )
    for warning in page.warnings:
        typer.echo(f"note: {warning}")
    for key, row, outcome in page.tests():
        typer.echo(f"{key}, {row}: {outcome.describe()}")
    for plate in page.plates:
        if plate.missing:
            typer.echo(f"{plate.key} left out: {plate.missing}")
