"""The verbs `her2sr denoise train`, `apply` and `import`: Noise2Void.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.schema.denoise import TrainParams

HELP = """Take noise off movies with a network that learned from noisy frames alone.

For looking, and for the paper's profile: noise that is taken off is no longer the
camera's, so results and uncertainties are made from the raw frames.

Example: her2sr denoise train a.tif b.tif --out model.zip

Example: her2sr denoise apply c.tif --model model.zip --out c_clean.tif

Example: her2sr denoise import n2v_fiji.zip --out model.zip
"""
Out = Annotated[Path, typer.Option("--out", help="MODEL.zip")]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence", help="of the model, as SPDX names it; default: not stated"
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=256, help="threads; default: all, 4 at most"),
]


def register(app: typer.Typer) -> None:
    """Mount the verbs into the one command."""
    verbs = typer.Typer(
        help=HELP, epilog=EXITS, no_args_is_help=True, rich_markup_mode=None
    )
    verbs.command("train", epilog=EXITS)(train)
    verbs.command("apply", epilog=EXITS)(apply)
    verbs.command("import", epilog=EXITS)(import_model)
    app.add_typer(verbs, name="denoise")


def train(
    movies: Annotated[
        list[Path],
        typer.Argument(metavar="MOVIE...", help="of one channel; several fields"),
    ],
    out: Out,
    profile: Annotated[
        Literal["standard", "paper"],
        typer.Option(
            "--profile", help="paper: batch 64, radius 10, 5 epochs of 200 steps"
        ),
    ] = "standard",
    method: Annotated[
        Literal["n2v", "n2v2"],
        typer.Option("--method", help="n2v2: against checkerboards, a little smoother"),
    ] = "n2v",
    struct: Annotated[
        Literal["none", "row", "column"],
        typer.Option("--struct", help="noise that rows or columns share (structN2V)"),
    ] = "none",
    struct_px: Annotated[
        int | None, typer.Option("--struct-px", help="hidden on each side, 1-20")
    ] = None,
    radius_px: Annotated[
        int | None, typer.Option("--radius-px", help="of the window, 1-20")
    ] = None,
    masked_percent: Annotated[
        float | None, typer.Option("--masked-percent", help="pixels hidden, 0.1-5")
    ] = None,
    patch_px: Annotated[
        int | None, typer.Option("--patch-px", help="64-256, a multiple of 16")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="patches a step")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="an epoch")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="at most")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="at its highest")
    ] = None,
    loss: Annotated[
        Literal["mse", "mae"] | None,
        typer.Option("--loss", help="mse: mean of the light; mae: its median"),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        typer.Option("--precision", help="bf16: twice as fast on newer processors"),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option("--frames", help="taken from all movies, spread over time"),
    ] = None,
    held_out_percent: Annotated[
        float | None,
        typer.Option("--held-out-percent", help="frames kept for validation"),
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="epochs without gain")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="to go on from after an interruption; default: beside OUT",
        ),
    ] = None,
    licence: Licence = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Train a network on movies of one channel; needs PyTorch (extra train).

    A call that was interrupted goes on where it was when it is given again.

    Example: her2sr denoise train a.tif b.tif c.tif --out model.zip --profile paper
    """
    from her2sr_proc import cli_denoise_work as work

    given: dict[str, object] = {
        "struct": struct,
        "struct_px": struct_px,
        "radius_px": radius_px,
        "masked_percent": masked_percent,
        "patch_px": patch_px,
        "batch": batch,
        "steps": steps,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "loss": loss,
        "precision": precision,
        "frames": frames,
        "held_out_percent": held_out_percent,
        "patience": patience,
        "seed": seed,
    }
    params: TrainParams = work.params_of(profile, method, given)
    request = work.TrainRequest(
        movies=tuple(movies),
        out=out,
        params=params,
        checkpoint=checkpoint or out.with_name(f"{out.stem}.checkpoint.npz"),
        licence=licence,
        threads=work.threads(jobs),
    )
    work.train(request, as_json=as_json)


def apply(
    movie: Annotated[Path, typer.Argument(metavar="MOVIE", help="never loaded whole")],
    model: Annotated[Path, typer.Option("--model", help="MODEL.zip")],
    out: Annotated[Path, typer.Option("--out", help="OUT.tif")],
    pixels: Annotated[
        Literal["uint16", "float32"],
        typer.Option("--pixels", help="uint16: rounded, as every verb reads it"),
    ] = "uint16",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="three times as fast, for looking; tells its error"
        ),
    ] = False,
    tile_px: Annotated[
        int,
        typer.Option("--tile-px", min=16, max=4096, help="a multiple of 16; memory"),
    ] = 512,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Write a movie with less noise, after saying how long that will take.

    Example: her2sr denoise apply movie.tif --model model.zip --out clean.tif
    """
    from her2sr_proc import cli_denoise_work as work

    request = work.ApplyRequest(
        movie=movie,
        model=model,
        out=out,
        pixels=pixels,
        is_short=int8,
        tile_px=tile_px,
        threads=work.threads(jobs),
    )
    work.apply(request, as_json=as_json)


def import_model(
    fiji: Annotated[
        Path,
        typer.Argument(metavar="FIJI.zip", help="Noise2Void of Fiji, format 0.3.0"),
    ],
    out: Out,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Take over a model of Fiji's Noise2Void, and compare it with its own sample.

    Example: her2sr denoise import n2v_fiji.zip --out model.zip
    """
    from her2sr_proc import cli_denoise_work as work

    said = work.import_fiji_model(fiji, out, licence)
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    agreed = said["differs_from_sample_adu"]
    typer.echo(
        f"mean {said['mean_adu']:.2f}, SD {said['sd_adu']:.2f} ADU; "
        + (
            "flag: the file has no sample to compare with"
            if agreed is None
            else f"differs from the file's own sample by {agreed:.2g} ADU at most"
        )
    )
    typer.echo(f"wrote {out}")
