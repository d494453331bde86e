"""The verbs ``her2sr demo | study``: what the simulated microscope is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_acq.cli_manners import EXITS, AsJson, complaint, refuse
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.schema.results import RunResult

SizePx = Annotated[int, typer.Option("--size", min=64, max=2048, help="pixels a side")]
Frames = Annotated[
    int, typer.Option("--frames", min=40, max=5000, help="frames of a signal burst")
]
NucleiFrames = Annotated[
    int,
    typer.Option("--nuclei-frames", min=10, max=5000, help="frames of the DAPI burst"),
]
FRAMES, NUCLEI_FRAMES = 400, 100


def register(app: typer.Typer) -> None:
    """Add ``demo`` and ``study``."""
    for verb in (demo, study):
        app.command(epilog=EXITS)(verb)


def demo(
    out: Annotated[Path, typer.Option(help="data folder of the demo")] = Path(
        "demo-output"
    ),
    fields: Annotated[str, typer.Option(help="rows x columns")] = "2x2",
    size: SizePx = 256,
    frames: Frames = FRAMES,
    nuclei_frames: NucleiFrames = NUCLEI_FRAMES,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="of the simulated slide")
    ] = 1,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="as slow as a real microscope")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a simulated slide, as a real one would be.

    The same processes, from REST to report; the answer is printed beside the truth.

    Example: her2sr demo --out demo-output --fields 2x2 --seed 3
    """
    from her2sr_acq.verbs.demo import run_demo
    from her2sr_acq.verbs.demo_config import DemoOptions, parse_fields

    rows, columns = parse_fields(fields)
    outcome = run_demo(
        DemoOptions(
            out=out,
            rows=rows,
            columns=columns,
            size_px=size,
            frames=frames,
            nuclei_frames=nuclei_frames,
            seed=seed,
            is_real_time=real_time,
        )
    )
    if outcome.result is not None:
        _print_result(outcome.result, as_json=as_json)
        typer.echo(f"report: {outcome.report}", err=as_json)
    if not outcome.is_whole:
        raise typer.Exit(refuse(complaint(outcome.run), 1))
    typer.echo(f"done in {outcome.seconds:.0f} s. {BANNER}", err=as_json)


def study(
    out: Annotated[Path, typer.Option(help="folder of the study; it can go on there")],
    samples: Annotated[int, typer.Option(min=2, max=140)] = 14,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="of kinds, cells and IHC")
    ] = 14,
    fields: Annotated[str, typer.Option(help="rows x columns a sample")] = "3x3",
    size: SizePx = 384,
    frames: Frames = FRAMES,
    nuclei_frames: NucleiFrames = NUCLEI_FRAMES,
    section_um: Annotated[
        float, typer.Option(min=0.5, max=20, help="cut thickness; the paper's: 3")
    ] = 3.0,
    recount: Annotated[
        bool,
        typer.Option(
            "--recount", help="count acquired samples anew; nothing is acquired"
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="local|dask://HOST:PORT",
            help="with --recount: who counts; workers see the study under one path",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="acquire samples that failed again")
    ] = False,
    keep_raw: Annotated[
        bool, typer.Option("--keep-raw", help="keep raw frames, some 1 GB a sample")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Redo the paper's study on simulated samples, and answer its open question.

    Samples go through the real daemon one by one; those that are there already are not
    acquired again, and one that fails is listed with its reason.

    Example: her2sr study --out study --samples 14 --seed 14

    Example: her2sr study --out study --recount --scheduler dask://head:8786
    """
    from her2sr_acq.verbs.demo_config import parse_fields
    from her2sr_acq.verbs.study import StudyOrder, finish_study, study_options

    rows, columns = parse_fields(fields)
    options = study_options(
        samples=samples,
        seed=seed,
        rows=rows,
        columns=columns,
        size_px=size,
        frames=frames,
        nuclei_frames=nuclei_frames,
        section_um=section_um,
    )
    order = StudyOrder(
        out,
        options,
        recount=recount,
        scheduler=scheduler,
        retry_failed=retry_failed,
        keep_raw=keep_raw,
    )
    typer.echo(BANNER, err=True)
    outcome = finish_study(order, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(outcome.as_json))
    for line in outcome.lines:
        typer.echo(line, err=as_json)
    if outcome.faults:
        raise typer.Exit(refuse("; ".join(outcome.faults), 1))


def _print_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
        return
    from rich.console import Console

    from her2sr_acq.verbs.summary import accounting_line, answer_table, scored_line

    console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)
    console.print(answer_table(result))
    typer.echo(scored_line(result))
    typer.echo(accounting_line(result.accounting))
