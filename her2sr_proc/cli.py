"""Verbs of `her2sr` on movies and tables of any microscope: localize, render.

Declares the command line alone; the work is imported when a verb runs, so that
`her2sr --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from her2sr_proc.cli_camera import EPerAdu, OffsetAdu, PixelNm, ReadNoiseE
from her2sr_proc.cli_options import EXITS, AsJson


def register(app: typer.Typer) -> None:
    """Mount this module's verbs into the one command."""
    app.command("localize", epilog=EXITS)(localize)
    app.command("render", epilog=EXITS)(render)


def localize(
    movie: Annotated[
        Path,
        typer.Argument(
            metavar="MOVIE",
            help="TIFF, BigTIFF, OME-TIFF, a folder of TIFF frames, OME-Zarr, .npy, "
            ".npz; never loaded whole",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="LOCS.csv, LOCS.parquet or LOCS.hdf5")
    ],
    pixel_nm: PixelNm = 130.0,
    offset_adu: OffsetAdu = 100.0,
    e_per_adu: EPerAdu = 0.46,
    em_gain: Annotated[
        float,
        typer.Option("--em-gain", min=1, max=10_000, help="1: not an EMCCD"),
    ] = 1.0,
    read_noise_e: ReadNoiseE = 1.6,
    camera_maps: Annotated[
        Path | None,
        typer.Option(
            "--camera-maps",
            help=".npz with offset_adu, e_per_adu and variance_e2 of every pixel; "
            "replaces offset, gain and read noise",
        ),
    ] = None,
    sigma_px: Annotated[
        float | None,
        typer.Option(
            "--sigma-px",
            min=0.4,
            max=5,
            help="width of a spot in focus; default: 88 nm",
        ),
    ] = None,
    profile: Annotated[
        Literal["paper", "recommended"],
        typer.Option("--profile", help="paper: ThunderSTORM 1.3 at its defaults"),
    ] = "recommended",
    sigma_fixed: Annotated[
        bool, typer.Option("--sigma-fixed", help="of every spot, in focus or not")
    ] = False,
    emitters: Annotated[
        Literal["single", "multi"] | None,
        typer.Option(
            "--emitters", help="multi: spots that overlap are fitted together (default)"
        ),
    ] = None,
    fit_radius_px: Annotated[
        int | None,
        typer.Option("--fit-radius-px", min=1, max=10, help="the box has 2 r + 1 px"),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            help="find by wavelet planes, as ThunderSTORM: a factor of std(Wave.F1), "
            "or a formula of I, Wave.F, Wave.F1, Wave.F2",
        ),
    ] = None,
    frames: Annotated[
        str, typer.Option("--frames", metavar="A:B", help="from 0, without B")
    ] = ":",
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=256, help="threads; same table")
    ] = 1,
    table_format: Annotated[
        Literal["thunderstorm", "picasso", "native"] | None,
        typer.Option("--table-format", help="default: what the suffix stands for"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find and fit the spots of a movie; uncertainties are the Cramer-Rao bound.

    Example: her2sr localize movie.tif --out locs.csv --pixel-nm 130 --offset-adu 100
    """
    from her2sr_proc import cli_movie

    request = cli_movie.LocalizeRequest(
        movie=movie,
        out=out,
        camera={
            "pixel_nm": pixel_nm,
            "offset_adu": offset_adu,
            "e_per_adu": e_per_adu,
            "em_gain": em_gain,
            "read_noise_e": read_noise_e,
        },
        camera_maps=camera_maps,
        sigma_px=sigma_px,
        profile=profile,
        is_sigma_fixed=sigma_fixed,
        emitters=emitters,
        fit_radius_px=fit_radius_px,
        threshold=threshold,
        frames=frames,
        jobs=jobs,
        form=table_format,
    )
    cli_movie.localize(request, as_json=as_json)


def render(
    locs: Annotated[
        Path,
        typer.Argument(
            metavar="LOCS|RUN_DIR", help=".parquet, .csv or .hdf5; or a run's folder"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="SR.tif, or SR.png for people to look at; at many scales: SR.dzi "
            "(OpenSeadragon) or SR.ome.zarr (napari, QuPath); default for a run: "
            "images/mosaic in its folder",
        ),
    ] = None,
    pixel_nm: Annotated[
        float, typer.Option("--pixel-nm", min=0.1, max=1000, help="of the image")
    ] = 20.0,
    method: Annotated[
        Literal["gaussian", "histogram", "ash"],
        typer.Option("--method", help="ash: averaged shifted histogram"),
    ] = "gaussian",
    sigma_nm: Annotated[
        float | None,
        typer.Option(
            "--sigma-nm", min=0.1, max=1000, help="of every Gaussian; default: its own"
        ),
    ] = None,
    drift_corrected: Annotated[
        bool, typer.Option("--drift-corrected", help="take the drift off before (aim)")
    ] = False,
    max_uncertainty_nm: Annotated[
        float,
        typer.Option("--max-uncertainty-nm", min=0.1, max=10_000, help="draw no worse"),
    ] = 60.0,
    camera_pixel_nm: Annotated[
        float,
        typer.Option(
            "--camera-pixel-nm", min=1, max=10_000, help="where LOCS does not say"
        ),
    ] = 130.0,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="HxW",
            help="camera pixels, where LOCS does not say; default: as far as it goes",
        ),
    ] = None,
    colour: Annotated[
        Literal["grey", "green", "red", "blue", "hot"],
        typer.Option("--colour", help="of a .png or .dzi; a .tif holds numbers"),
    ] = "hot",
    channel: Annotated[
        str | None, typer.Option("--channel", help="of a run, such as 561")
    ] = None,
    white_per_um2: Annotated[
        float | None,
        typer.Option(
            "--white-per-um2",
            min=1e-6,
            max=1e9,
            help="localizations a um2 shown in full, in every tile of every scale; "
            "default: fitted once to the picture",
        ),
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option("--gamma", min=0.1, max=5, help="of a .dzi; default: 0.4"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, max=256, help="threads that draw tiles"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw localizations as a super-resolution image, or at many scales for deep zoom.

    Example: her2sr render locs.csv --out sr.tif --pixel-nm 20

    Example: her2sr render data/runs/RUN_ID --channel 561 --colour red --jobs 2
    """
    from her2sr_proc import cli_render

    request = cli_render.RenderRequest(
        locs=locs,
        pixel_nm=pixel_nm,
        method=method,
        sigma_nm=sigma_nm,
        drift_corrected=drift_corrected,
        max_uncertainty_nm=max_uncertainty_nm,
        camera_pixel_nm=camera_pixel_nm,
        size=size,
        colour=colour,
    )
    only_tiles = {
        "channel": channel,
        "white_per_um2": white_per_um2,
        "gamma": gamma,
        "jobs": jobs,
    }
    if out is not None and cli_render.is_single(locs, out):
        cli_render.require_none_of(only_tiles, out)
        cli_render.render(request, out, as_json=as_json)
        return
    from her2sr_proc import cli_tiles

    tiles = cli_tiles.TilesRequest(
        drawing=request,
        out=out,
        channel=channel,
        white_per_um2=white_per_um2,
        gamma=gamma,
        jobs=jobs,
    )
    cli_tiles.render(tiles, as_json=as_json)
