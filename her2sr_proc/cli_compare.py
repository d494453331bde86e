"""`her2sr compare`: one movie by both profiles, side by side on one page.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from her2sr_proc.cli_camera import EPerAdu, OffsetAdu, PixelNm, ReadNoiseE
from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.cli_runs import plain_errors, run_progress
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.offline.side_by_side import SideBySide

PAGE, FIGURES = "compare.html", "compare.json"


def register(app: typer.Typer) -> None:
    """Mount the verb into the one command."""
    app.command("compare", epilog=EXITS)(compare)


def compare(
    movie: Annotated[
        Path,
        typer.Argument(
            metavar="MOVIE", help="TIFF, a folder of frames, OME-Zarr, .npy"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="a folder to make")],
    pixel_nm: PixelNm = 130.0,
    offset_adu: OffsetAdu = 100.0,
    e_per_adu: EPerAdu = 0.46,
    read_noise_e: ReadNoiseE = 1.6,
    sigma_nm: Annotated[
        float,
        typer.Option("--sigma-nm", min=40, max=1000, help="width of a spot in focus"),
    ] = 88.0,
    channel: Annotated[
        str,
        typer.Option("--channel", help="488 or 561: which of the paper's thresholds"),
    ] = "488",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, max=256, help="threads; default: all cores"),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="of the halves of the ring correlation")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Show a movie conventionally, as the paper did it, and as recommended.

    Writes DIR/compare.html (one file), compare.json, and table and picture of every
    profile.

    Example: her2sr compare movie.tif --out beside --channel 561
    """
    import os

    camera = {
        "pixel_nm": pixel_nm,
        "offset_adu": offset_adu,
        "e_per_adu": e_per_adu,
        "read_noise_e": read_noise_e,
    }
    with plain_errors(), run_progress() as tell:
        from contextlib import closing

        import numpy as np

        from her2sr_proc.errors import RequestError
        from her2sr_proc.offline.side_by_side import Setting, compare_movie
        from her2sr_proc.schema.camera import CameraMaps, CameraModel
        from her2sr_proc.store.frames import open_movie
        from her2sr_proc.store.profiles import load_profile

        if out.exists():
            raise RequestError(f"{out} exists already; choose another --out")
        profiles = load_profile("paper"), load_profile("recommended")
        model = CameraModel.model_validate(camera)
        with closing(open_movie(movie)) as source:
            setting = Setting(
                camera=CameraMaps.uniform(model, source.shape[1:]),
                pixel_nm=pixel_nm,
                sigma_nm=sigma_nm,
                channel=channel,
                conventional_frames=profiles[1].count.conventional_frames,
                jobs=jobs or os.cpu_count() or 1,
            )
            rng = np.random.default_rng(seed)
            found = compare_movie(source, setting, profiles, tell=tell, rng=rng)
        figures = _figures(found)
        _write(out, found, pixel_nm=pixel_nm, channel=channel, figures=figures)
    if as_json:
        typer.echo(json.dumps({**figures, "page": str(out / PAGE), "banner": BANNER}))
        return
    typer.echo(BANNER)
    for name, side in figures["profiles"].items():
        rate = figures["frames"] / side["seconds"]
        typer.echo(
            f"{name:12}{side['localizations']:>9} localizations, "
            f"{side['seconds']:.1f} s, {rate:.0f} frames/s"
        )
    typer.echo(f"page: {out / PAGE}")


def _figures(found: SideBySide) -> dict[str, Any]:
    import dataclasses
    import math

    def told(values: dict[str, float]) -> dict[str, float | None]:
        return {k: v if math.isfinite(v) else None for k, v in values.items()}

    return {
        "frames": found.frames,
        "profiles": {
            side.profile.name: {
                "digest": side.profile.digest,
                "localizations": len(side.table),
                "seconds": sum(step.seconds for step in side.steps),
                "steps": [dataclasses.asdict(step) for step in side.steps],
                "resolution": told(dataclasses.asdict(side.resolution)),
            }
            for side in found.sides
        },
    }


def _write(
    out: Path,
    found: SideBySide,
    *,
    pixel_nm: float,
    channel: str,
    figures: dict[str, Any],
) -> None:
    from her2sr_proc.errors import WriteError
    from her2sr_proc.report.compare_page import render_comparison
    from her2sr_proc.store.atomic import replacing_folder, write_text
    from her2sr_proc.store.images import write_tiff
    from her2sr_proc.store.tables import write_parquet
    from her2sr_proc.versions import versions

    page = render_comparison(
        found.conventional,
        found.sides,
        frames=found.frames,
        pixel_nm=pixel_nm,
        channel=channel,
        made_with=versions(),
    )
    try:
        with replacing_folder(out) as folder:
            write_text(folder / PAGE, page)
            write_text(folder / FIGURES, json.dumps({**figures, "banner": BANNER}))
            write_tiff(
                folder / "conventional.tif", found.conventional, pixel_nm=pixel_nm
            )
            for side in found.sides:
                name = side.profile.name
                table = folder / f"{name}.parquet"
                write_parquet(
                    table, side.table, {"profile_digest": side.profile.digest}
                )
                picture = folder / f"{name}.tif"
                write_tiff(picture, side.picture, pixel_nm=side.profile.render.pixel_nm)
    except OSError as exc:
        raise WriteError(
            f"{out} could not be written ({exc.strerror or exc}); make room there"
        ) from exc
