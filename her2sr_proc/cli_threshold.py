"""The verbs `her2sr threshold label | fit | apply`.

Declares the command line alone; the work is in `cli_labelling` and
`cli_thresholding` and is imported when a verb runs, so that `her2sr --help` stays
quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson, Expected, Jobs, Scrub

HELP = """Thresholds of frames whose background was subtracted.

Label some frames, fit a model to the labels, apply it to the movie; or apply the
paper's mean + k SD at once.

Example: her2sr threshold apply flat.tif --k 4.84 --out kept.tif
"""
Channel = Annotated[
    str | None, typer.Option("--channel", help="such as 488; the labels' and model's")
]
Movie = Annotated[
    Path, typer.Argument(metavar="MOVIE", help="without background; counts or floats")
]


def register(app: typer.Typer) -> None:
    """Mount this module's verbs into the one command."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    for verb in (label, fit, apply):
        group.command(epilog=EXITS)(verb)
    app.add_typer(group, name="threshold")


def label(
    movie: Movie,
    nuclei: Annotated[
        Path,
        typer.Option("--nuclei", help="LABELS.tif, .zip or .geojson of the field"),
    ],
    out: Annotated[Path, typer.Option("--out", help="LABELS.csv")],
    rate: Annotated[
        float,
        typer.Option(
            "--rate", min=0, max=1e6, help="spots off the nuclei a frame, at most"
        ),
    ] = 1.0,
    count: Annotated[
        int, typer.Option("--count", min=1, max=10_000, help="frames to label")
    ] = 12,
    around: Annotated[
        int,
        typer.Option(
            "--around", min=1, max=1000, help="frames that each label is judged by"
        ),
    ] = 10,
    margin_px: Annotated[
        int, typer.Option("--margin-px", min=0, max=1000, help="around the nuclei")
    ] = 6,
    channel: Channel = None,
    as_json: AsJson = False,
) -> None:
    """Label frames by rule: the smallest threshold that leaves few spots off nuclei.

    Example: her2sr threshold label flat.tif --nuclei nuclei.tif --rate 0.5 --out l.csv
    """
    from her2sr_proc import cli_labelling as work

    request = work.LabelRequest(
        movie, nuclei, out, rate, count, around, margin_px, channel
    )
    work.label(request, as_json=as_json)


def fit(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS.csv",
            help="mean_adu, sd_adu, threshold_adu; also minimum_adu, maximum_adu, "
            "frame (from 0), channel, label",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="MODEL.json")],
    kind: Annotated[
        Literal["linear", "sigma", "schedule"],
        typer.Option(
            "--kind", help="a line; mean + k SD; or as labelled, linear in time"
        ),
    ] = "linear",
    features: Annotated[
        str, typer.Option("--features", help="of a line: mean,sd[,minimum][,maximum]")
    ] = "mean,sd",
    least_r2: Annotated[
        float, typer.Option("--least-r2", min=0, max=1, help="a line with less: none")
    ] = 0.9,
    channel: Channel = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="F.png or F.svg: chosen against the model"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a threshold to labelled frames; a line that explains too little is refused.

    Example: her2sr threshold fit labels.csv --out model.json --figure figure2.png
    """
    from her2sr_proc import cli_labelling as work

    request = work.FitRequest(labels, out, kind, features, least_r2, channel, figure)
    work.fit(request, as_json=as_json)


def apply(
    movie: Movie,
    out: Annotated[Path, typer.Option("--out", help="OUT.tif, or OUT.ome.tif")],
    model: Annotated[
        Path | None, typer.Option("--model", help="MODEL.json of threshold fit")
    ] = None,
    k: Annotated[
        float | None,
        typer.Option("--k", help="mean + k SD instead; default: the channel's"),
    ] = None,
    mode: Annotated[
        Literal["tozero", "subtract"],
        typer.Option("--mode", help="above it: keep the value, or take it off"),
    ] = "tozero",
    channel: Channel = None,
    jobs: Jobs = 1,
    expect_frames: Expected = None,
    scrub: Scrub = False,
    as_json: AsJson = False,
) -> None:
    """Set everything below its frame's threshold to 0.

    Example: her2sr threshold apply flat.tif --model model.json --out kept.tif
    """
    from her2sr_proc import cli_thresholding as work

    request = work.ApplyRequest(
        movie, out, model, k, mode, channel, jobs, expect_frames, scrub
    )
    work.apply(request, as_json=as_json)
