"""The verb `her2sr background`: a movie without its background, as ImageJ makes it.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from her2sr_proc.cli_options import EXITS, AsJson, Expected, Jobs, Scrub


def register(app: typer.Typer) -> None:
    """Mount this module's verb into the one command."""
    app.command("background", epilog=EXITS)(background)


def background(
    movie: Annotated[
        Path,
        typer.Argument(
            metavar="MOVIE", help="counts as for localize; TIFF or .npy of floats too"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="OUT.tif, or OUT.ome.tif")],
    radius: Annotated[
        float, typer.Option("--radius", help="of the ball, pixels")
    ] = 15.0,
    no_smooth: Annotated[
        bool,
        typer.Option("--no-smooth", help="roll under the frame, not its 3 x 3 mean"),
    ] = False,
    jobs: Jobs = 1,
    expect_frames: Expected = None,
    scrub: Scrub = False,
    as_json: AsJson = False,
) -> None:
    """Subtract the background of every frame by a rolling ball, bit for bit as ImageJ.

    Counts stay counts, at least 0; the baseline is 0 afterwards, so localize with
    --offset-adu 0.

    Example: her2sr background movie.tif --radius 15 --out flat.tif --jobs 2
    """
    from contextlib import closing

    from her2sr_proc.background import RollingBall
    from her2sr_proc.cli_progress import begin
    from her2sr_proc.cli_stack import Stack, open_stack, tell

    begin()
    with closing(open_stack(movie, out, expected=expect_frames)) as frames:
        ball = RollingBall(
            (frames.shape[1], frames.shape[2]),
            radius_px=radius,
            is_smoothed=not no_smooth,
        )
        note = f"rolling ball, radius {radius:g} px" + ", unsmoothed" * no_smooth
        said = Stack(movie, out, jobs=jobs, is_scrubbed=scrub).write(
            frames, lambda block, first: ball.block(block, first_frame=first), note
        )
    said |= {
        "radius_px": radius,
        "is_smoothed": not no_smooth,
        "shrink": ball.shrink,
        "offset_adu": 0,
    }
    tell(said, as_json=as_json)
