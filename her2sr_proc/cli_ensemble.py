"""`her2sr ensemble`: where a burst stops showing blobs and starts showing molecules.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.cli_tables import Locs, Pixel, open_table, write_back
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.ensemble import EnsembleEnd


def register(app: typer.Typer) -> None:
    """Mount the verb into the one command."""
    app.command("ensemble", epilog=EXITS)(ensemble)


def ensemble(
    locs: Locs,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="MARKED.parquet, with a column centroid"),
    ] = None,
    blob_nm: Annotated[
        float,
        typer.Option(
            "--blob-nm", min=1, max=1000, help="standard deviation of a probe's blob"
        ),
    ] = 85.0,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            min=1,
            max=10_000_000,
            help="of the burst; default: as LOCS says",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="of the interval's resampling")
    ] = 1,
    camera_pixel_nm: Pixel = 130.0,
    as_json: AsJson = False,
) -> None:
    """Tell where the ensemble phase of a burst ends; mark rows that lie before it.

    Until then all dyes of a locus are lit and a row is the middle of its blob, whatever
    its uncertainty says. In MARKED the column centroid is 1 for such rows, 2 where the
    end's interval leaves it open and 0 for molecules, and the uncertainties of the
    first two are a blob's. Give the table as localized: not linked, not filtered.

    Example: her2sr ensemble locs.parquet --out marked.parquet
    """
    import numpy as np

    from her2sr_proc.clumps import find_clumps
    from her2sr_proc.ensemble import ensemble_end, mark_centroids
    from her2sr_proc.errors import RequestError
    from her2sr_proc.schema.count_params import EnsembleParams, LociParams

    if out is not None and out.suffix.lower() != ".parquet":
        raise RequestError(
            f"{out}: the column centroid has a place in .parquet alone; name it so"
        )
    table, facts = open_table(locs, out, camera_pixel_nm)
    if "detections" in table.columns:
        raise RequestError(
            f"{locs} is linked, which hides when dyes were lit; give the table that it "
            f"was linked from"
        )
    if out is not None and "centroid" in table.columns:
        raise RequestError(
            f"{locs} is marked already, as tables of a run are; leave --out away to be "
            f"told the end again"
        )
    told = int(table["frame"].max()) + 1 if len(table) else 0
    count = frames if frames is not None else max(facts.frames, told)
    if count < told:
        raise RequestError(
            f"--frames {count}, but {locs} has rows of frame {told - 1}; give the "
            f"frames of the whole burst"
        )
    clumps = find_clumps(table, blob_nm=blob_nm, least=LociParams().least)
    end = ensemble_end(
        table,
        clumps,
        frames=count,
        params=EnsembleParams(),
        rng=np.random.default_rng(seed),
    )
    if out is not None:
        write_back(locs, out, mark_centroids(table, end, blob_nm=blob_nm), facts)
    if as_json:
        said = {**asdict(end), "table": None if out is None else str(out)}
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(_words(end))
    if out is not None:
        typer.echo(f"wrote {out}")


def _words(end: EnsembleEnd) -> str:
    """Return one sentence that holds for a unit."""
    low = "unknown" if end.low is None else f"{end.low:.0f}"
    high = "beyond the burst" if end.high is None else f"{end.high:.0f}"
    if end.end is None:
        return (
            f"no end of the ensemble phase in {end.frames} frames: {end.reason} "
            f"({end.clumps} clumps); every row is a blob's centroid"
        )
    return (
        f"the ensemble phase ends at frame {end.end:.0f} of {end.frames} (95 %: {low} "
        f"to {high}; {end.clumps} clumps, {end.dye_photons:.0f} photons a dye and "
        f"frame); rows before it are blobs' centroids"
    )
