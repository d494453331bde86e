"""`her2sr process`: a run folder or a movie, by either profile.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from her2sr_proc.cli_runs import AsJson, plain_errors

EXITS = (
    "Exit codes: 0 done, 1 a fault in the run's data, the disk or a lost cluster, 2 a "
    "wrong request, such as a movie that is not there or not what it should be. Ended "
    "in any way, the same call goes on where it was."
)


def register(app: typer.Typer) -> None:
    """Mount the verb into the one command."""
    app.command("process", epilog=EXITS)(process)


def process(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN_DIR|MOVIE",
            help="Folder with a manifest.json, or s3://BUCKET/... of one; or a TIFF, "
            "a folder of frames, OME-Zarr, .npy, .npz.",
        ),
    ],
    profile: Annotated[
        Literal["paper", "recommended"] | None,
        typer.Option(
            "--profile",
            help="paper: the published pipeline; recommended: ours. Another one than "
            "the run's own answers beside it, under profiles/NAME. Default: the run's; "
            "recommended for a movie.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="local|dask://HOST:PORT",
            help="Of a run: who computes: this process, or the workers of a Dask "
            "cluster, which see RUN_DIR under the same path. Default: local.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            max=256,
            help="Threads that localize side by side; same result. Default: all "
            "processors here, one on a cluster.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Of a movie: results stand in DIR/PROFILE; given again, only what is "
            "missing there is computed.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            "--channel",
            help="Of a movie: 488 or 561, which of the paper's thresholds holds; never "
            "guessed from a name.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[CHANNEL=]MODEL.zip",
            help="By paper: clean frames by this Noise2Void before the fit. Of a run, "
            "one for all signal channels, or one a channel as 561=MODEL.zip; pictures "
            "and counts look at raw frames, and the results stand apart, under "
            "profiles/paper-n2v-DIGEST.",
        ),
    ] = None,
    sigma_nm: Annotated[
        float | None,
        typer.Option(
            "--sigma-nm",
            min=40,
            max=1000,
            help="Of a movie by recommended: width of a spot in focus. Default: 88.4.",
        ),
    ] = None,
    pixel_nm: Annotated[
        float | None,
        typer.Option("--pixel-nm", min=1, max=10_000, help="Of a movie. Default: 130."),
    ] = None,
    offset_adu: Annotated[
        float | None,
        typer.Option(
            "--offset-adu", min=0, max=65535, help="Of a movie. Default: 100."
        ),
    ] = None,
    e_per_adu: Annotated[
        float | None,
        typer.Option("--e-per-adu", min=1e-6, max=1000, help="Likewise: 0.46."),
    ] = None,
    read_noise_e: Annotated[
        float | None,
        typer.Option("--read-noise-e", min=0, max=1000, help="Likewise: 1.6."),
    ] = None,
    em_gain: Annotated[
        float | None,
        typer.Option("--em-gain", min=1, max=10_000, help="Likewise: 1, none."),
    ] = None,
    camera_maps: Annotated[
        Path | None,
        typer.Option(
            "--camera-maps", metavar="MAPS.npz", help="Of a movie: pixel by pixel."
        ),
    ] = None,
    expect_frames: Annotated[
        int | None,
        typer.Option(
            "--expect-frames", min=1, help="Refuse a movie that has more or fewer."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute whatever is missing of a run or of a movie, and say how long it took.

    Example: her2sr process data/runs/20260101-120000-demo

    Example: her2sr process data/runs/RUN_ID --profile paper

    Example: her2sr process data/runs/RUN_ID --profile paper --model 561=red.zip
    --model 488=green.zip

    Example: her2sr process /shared/runs/RUN_ID --scheduler dask://head:8786

    Example: her2sr process movie.tif --profile paper --channel 488 --out processed
    """
    given: dict[str, Path | str | float | None] = {
        "channel": channel,
        "sigma_nm": sigma_nm,
        "pixel_nm": pixel_nm,
        "offset_adu": offset_adu,
        "e_per_adu": e_per_adu,
        "read_noise_e": read_noise_e,
        "em_gain": em_gain,
        "camera_maps": camera_maps,
        "expect_frames": expect_frames,
    }
    of_movie = {name: value for name, value in given.items() if value is not None}
    with plain_errors():
        if _is_run(source):
            from her2sr_proc.cli_process_run import RunRequest, process_run

            _refuse("a run folder has its own", {"out": out, **of_movie})
            request = RunRequest(source, profile, scheduler, jobs, tuple(model or ()))
            process_run(request, as_json=as_json)
            return
        _refuse("is of a run folder", {"scheduler": scheduler})
        from her2sr_proc.cli_processing import MovieRequest, only_model, process_movie
        from her2sr_proc.errors import RequestError

        if out is None:
            raise RequestError(
                f"{source} is no run folder: it has no manifest.json; for a movie, say "
                f"by --out DIR where its results shall stand"
            )
        if model:
            of_movie["model"] = only_model(model)
        wanted = MovieRequest(
            Path(source), out, profile or "recommended", jobs, of_movie
        )
        process_movie(wanted, as_json=as_json)


def _is_run(source: str) -> bool:
    from her2sr_proc.store.layout import RunFolder
    from her2sr_proc.store.objects import is_remote

    return is_remote(source) or RunFolder(Path(source)).manifest.exists()


def _refuse(why: str, options: dict[str, Path | str | float | None]) -> None:
    """Refuse options that would do nothing."""
    from her2sr_proc.errors import RequestError

    names = [name for name, value in options.items() if value is not None]
    if names:
        option = "--" + names[0].replace("_", "-")
        raise RequestError(f"{option} cannot be used here: {why}; leave it out")
