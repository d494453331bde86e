"""Verbs of `her2sr` on tables of localizations: filter, link, drift, resolution.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from her2sr_proc.drift import Drift
    from her2sr_proc.schema.table import Localizations
    from her2sr_proc.store.facts import MovieFacts

Locs = Annotated[Path, typer.Argument(metavar="LOCS", help=".parquet, .csv or .hdf5")]
Out = Annotated[Path, typer.Option("--out", help="LOCS2: .parquet, .csv or .hdf5")]
Pixel = Annotated[
    float,
    typer.Option(
        "--camera-pixel-nm", min=1, max=10_000, help="where LOCS does not say"
    ),
]
SHORT = {
    "x": "x_nm",
    "y": "y_nm",
    "sigma": "sigma_nm",
    "intensity": "photons",
    "offset": "background_photons",
    "bkgstd": "background_sd_photons",
    "uncertainty": "uncertainty_nm",
}
"""ThunderSTORM's names of columns, which formulas may use beside ours."""


def register(app: typer.Typer) -> None:
    """Mount this module's verbs into the one command."""
    app.command("filter", epilog=EXITS)(keep)
    app.command("link", epilog=EXITS)(link)
    app.command("drift", epilog=EXITS)(drift)
    app.command("resolution", epilog=EXITS)(resolution)


def keep(
    locs: Locs,
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help="rows where it is true stay")
    ],
    out: Out,
    camera_pixel_nm: Pixel = 130.0,
    as_json: AsJson = False,
) -> None:
    """Keep the rows of a table for which a formula over its columns is true.

    Names are those of the native columns, or ThunderSTORM's; signs + - * / ^ < > <= >=
    == != & | !; functions abs sqrt exp log sum mean median min max std var. Words of
    channel and field stand in quotes: "channel == '561'".

    Example: her2sr filter locs.csv 'uncertainty_nm < 30 & photons > 200' --out good.csv
    """
    import numpy as np

    from her2sr_proc.errors import RequestError
    from her2sr_proc.expression import parse

    read = parse(formula)
    table, facts = open_table(locs, out, camera_pixel_nm)
    values = {
        name: array.astype(np.float64)
        for name, array in table.columns.items()
        if array.dtype.kind in "iufb"
    }
    words = {n: a for n, a in table.columns.items() if n not in values}
    for short, name in SHORT.items():
        values.setdefault(short, values[name])
    is_kept = np.asarray(read.evaluate({**values, **words}))
    if is_kept.dtype != np.bool_ or is_kept.shape not in ((), (len(table),)):
        raise RequestError(
            f"'{formula}' gives numbers, not yes or no; compare them with something, "
            f"as in 'photons > 200'"
        )
    kept = table.take(np.broadcast_to(is_kept, len(table)))
    write_back(locs, out, kept, facts)
    said = {"rows": len(table), "kept": len(kept)}
    _tell(out, said, f"{len(kept)} of {len(table)} rows kept", as_json=as_json)


def link(
    locs: Locs,
    out: Out,
    distance_nm: Annotated[
        float,
        typer.Option("--distance-nm", min=0.1, max=10_000, help="of the last place"),
    ] = 20.0,
    gap: Annotated[
        int, typer.Option("--gap", min=0, max=1_000_000, help="dark frames between")
    ] = 1,
    camera_pixel_nm: Pixel = 130.0,
    as_json: AsJson = False,
) -> None:
    """Merge the localizations of a molecule that was lit for several frames.

    Example: her2sr link locs.parquet --out linked.parquet --distance-nm 30
    """
    from her2sr_proc.linking import link as merge

    table, facts = open_table(locs, out, camera_pixel_nm)
    merged = merge(table, distance_nm=distance_nm, gap=gap)
    write_back(locs, out, merged, facts)
    said = {"rows": len(table), "molecules": len(merged)}
    _tell(out, said, f"{len(table)} rows are {len(merged)} now", as_json=as_json)


def drift(
    locs: Locs,
    out: Out,
    method: Annotated[
        Literal["aim", "rcc"],
        typer.Option("--method", help="intersections, or correlation of images"),
    ] = "aim",
    segment: Annotated[
        int | None,
        typer.Option(
            "--segment", min=2, max=1_000_000, help="frames; default: 100, rcc 500"
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", help="CSV of the drift: frame, x_nm, y_nm"),
    ] = None,
    camera_pixel_nm: Pixel = 130.0,
    as_json: AsJson = False,
) -> None:
    """Find how the sample moved, and write the table as if it had not.

    Example: her2sr drift locs.parquet --out still.parquet --trace drift.csv
    """
    import numpy as np

    from her2sr_proc.store.atomic import require_writable, telling, write_text

    if trace is not None:
        _require_apart(trace, locs, out)
        require_writable(trace)
    table, facts = open_table(locs, out, camera_pixel_nm)
    path = _drift(table, facts, method, segment)
    write_back(locs, out, path.taken_off(table), facts)
    if trace is not None:
        rows = (f"{n},{x:.3f},{y:.3f}" for n, (x, y) in enumerate(path.xy_nm))
        with telling(trace):
            write_text(trace, "\n".join(["frame,x_nm,y_nm", *rows]) + "\n")
    reach = np.ptp(path.xy_nm, axis=0)
    said = {"x_nm": round(float(reach[0]), 2), "y_nm": round(float(reach[1]), 2)}
    words = f"drift of {reach[0]:.1f} nm in x and {reach[1]:.1f} nm in y taken off"
    _tell(out, said, words, as_json=as_json)


def resolution(
    locs: Locs,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="of the splits into halves")
    ] = 1,
    camera_pixel_nm: Pixel = 130.0,
    as_json: AsJson = False,
) -> None:
    """Tell density, precision and resolution of a table; link re-blinks first.

    Example: her2sr resolution linked.parquet
    """
    import numpy as np

    from her2sr_proc.resolution import measure_resolution
    from her2sr_proc.schema.table import require_one_unit
    from her2sr_proc.store.tables import read_table

    typer.echo(BANNER, err=True)
    table, _ = read_table(locs, pixel_nm=camera_pixel_nm)
    require_one_unit(table)
    found = measure_resolution(table, np.random.default_rng(seed))
    is_linked = "detections" in table.columns
    told = {
        "localizations": found.localizations,
        "density_um2": found.density_um2,
        "uncertainty_nm": found.uncertainty_nm,
        "nena_nm": found.nena_nm,
        "frc_nm": found.frc_nm,
        "frc_sd_nm": found.frc_sd_nm,
        "linked": is_linked,
    }
    if as_json:
        said = {
            k: None if v is not None and math.isnan(float(v)) else v
            for k, v in told.items()
        }
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    density = found.density_um2
    typer.echo(
        f"{found.localizations} localizations, "
        f"{'unknown' if math.isnan(density) else f'{density:.3g}'} a um2; "
        f"reported precision {_nm(found.uncertainty_nm)} (median), "
        f"measured {_nm(found.nena_nm)} (neighbours in adjacent frames)"
    )
    doubt = "" if is_linked else "; not linked: re-blinks make it look finer than it is"
    typer.echo(
        f"Fourier ring correlation at 1/7: {_nm(found.frc_nm)} "
        f"+- {_nm(found.frc_sd_nm)}{doubt}"
    )


def _nm(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.1f} nm"


def _require_apart(trace: Path, *tables: Path) -> None:
    """Refuse a trace that would be written over one of the tables."""
    from her2sr_proc.errors import RequestError

    for table in tables:
        if trace.resolve() == table.resolve():
            raise RequestError(
                f"--trace {trace} would be written over the table {table}; give it "
                f"another name"
            )


def _drift(
    table: Localizations,
    facts: MovieFacts,
    method: Literal["aim", "rcc"],
    segment: int | None,
) -> Drift:
    from her2sr_proc.drift import measure_drift
    from her2sr_proc.schema.table import require_one_unit

    require_one_unit(table)
    frames = max(facts.frames, int(table["frame"].max()) + 1 if len(table) else 0)
    return measure_drift(
        table,
        frames=frames,
        method=method,
        segment_frames=segment or (100 if method == "aim" else 500),
    )


def open_table(
    locs: Path, out: Path | None, pixel_nm: float
) -> tuple[Localizations, MovieFacts]:
    """Return a table and its facts; refuse an ``out`` that cannot be written."""
    from her2sr_proc.schema.table import farthest
    from her2sr_proc.store.facts import MovieFacts
    from her2sr_proc.store.tables import form_of, read_table, require_place

    typer.echo(BANNER, err=True)
    if out is not None:
        require_place(out, form_of(out))
    table, facts = read_table(locs, pixel_nm=pixel_nm)
    if facts is None:
        far = (farthest(table["x_nm"]), farthest(table["y_nm"]))
        width, height = (int(reach / pixel_nm) + 1 for reach in far)
        frames = int(table["frame"].max()) + 1 if len(table) else 0
        facts = MovieFacts(pixel_nm, height, width, frames, source=locs.name)
    return table, facts


def write_back(locs: Path, out: Path, table: Localizations, facts: MovieFacts) -> None:
    """Write a table in the form that its name, or else its source, has."""
    from her2sr_proc.store.atomic import telling
    from her2sr_proc.store.tables import form_after, write_table

    with telling(out):
        write_table(out, table, facts, form=form_after(locs, out))


def _tell(out: Path, said: Mapping[str, object], words: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**said, "table": str(out), "banner": BANNER}))
        return
    typer.echo(words)
    typer.echo(f"wrote {out}")
