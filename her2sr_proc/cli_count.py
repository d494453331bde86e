"""The verb `her2sr count`: signals in given nuclei, of a run or of a table.

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
    from collections.abc import Mapping, Sequence

SUFFIXES = (".csv", ".parquet")
Row = dict[str, object]


def register(app: typer.Typer) -> None:
    """Mount this module's verb into the one command."""
    app.command("count", epilog=EXITS)(count)


def count(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_DIR|LOCS",
            help="a computed run, or a table of one channel and field: .parquet, .csv "
            "or .hdf5",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="COUNTS.csv or COUNTS.parquet, a row a nucleus"),
    ],
    nuclei: Annotated[
        Path | None,
        typer.Option(
            "--nuclei",
            help="LABELS.tif, .zip (ImageJ) or .geojson (QuPath); of a run with "
            "several fields: a folder with a file a field; default: the run's own",
        ),
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="of a run: count this one alone")
    ] = None,
    probe: Annotated[
        Literal["HER2", "CEP17"] | None,
        typer.Option(
            "--probe", help="of a table: what it shows; needed, never guessed"
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            "--beside", help="of a table: LOCS of the same field's other probe"
        ),
    ] = None,
    camera_pixel_nm: Annotated[
        float,
        typer.Option(
            "--camera-pixel-nm",
            min=1,
            max=10_000,
            help="of labels and table, where LOCS does not say",
        ),
    ] = 130.0,
    as_json: AsJson = False,
) -> None:
    """Count signals in given nuclei; the run or table stays as it is.

    A run is counted in all arms, by the counter of its answer. A table alone is counted
    where it is dense: resolved (sr) and with sisters merged (sr_merged); it shows no
    conventional signals, and clusters stay as resolved. Link it before.

    Example: her2sr count data/runs/RUN_ID --nuclei drawn.zip --out counts.csv

    Example: her2sr count her2.parquet --probe HER2 --nuclei labels.tif --out counts.csv
    """
    from her2sr_proc.errors import RequestError
    from her2sr_proc.offline.table_counts import count_tables
    from her2sr_proc.store.atomic import require_writable

    typer.echo(BANNER, err=True)
    if out.suffix.lower() not in SUFFIXES:
        raise RequestError(f"{out.name} is no table's name; end it in .csv or .parquet")
    _require_apart(out, source, nuclei, beside)
    require_writable(out)
    if nuclei is not None and not nuclei.exists():
        raise RequestError(f"there are no nuclei {nuclei}; check the path")
    if source.is_dir():
        _refuse({"--probe": probe, "--beside": beside}, "a run; its manifest says it")
        rows, flags = _of_run(source, nuclei, field)
    else:
        _refuse({"--field": field}, "a table: it is of one field")
        if nuclei is None or probe is None:
            missing = "--nuclei" if nuclei is None else "--probe HER2 or --probe CEP17"
            raise RequestError(
                f"a table does not say all that counting asks: {missing}"
            )
        other: Literal["HER2", "CEP17"] = "CEP17" if probe == "HER2" else "HER2"
        tables = {probe: source} | ({other: beside} if beside is not None else {})
        rows, flags = count_tables(tables, nuclei, pixel_nm=camera_pixel_nm)
    _write(out, rows)
    _tell(out, rows, flags, as_json=as_json)


def _require_apart(out: Path, source: Path, *inputs: Path | None) -> None:
    """Refuse counts that would be written over what they are counted from."""
    from her2sr_proc.errors import RequestError

    place = out.resolve()
    if source.is_dir() and place.is_relative_to(source.resolve()) and out.exists():
        raise RequestError(
            f"{out} is a file of the run, which stays as it is; write the counts "
            f"elsewhere"
        )
    for path in (source, *inputs):
        if path is not None and place == path.resolve():
            raise RequestError(
                f"the counts would be written over {path}; give --out another name"
            )


def _refuse(options: Mapping[str, object], of: str) -> None:
    from her2sr_proc.errors import RequestError

    for name, value in options.items():
        if value is not None:
            raise RequestError(f"{name} says nothing of {of}; leave it out")


def _of_run(
    folder: Path, nuclei: Path | None, field: str | None
) -> tuple[list[Row], list[str]]:
    from her2sr_proc.offline.recount import recount
    from her2sr_proc.store.layout import RunFolder

    return recount(RunFolder(folder.resolve()), nuclei, field=field)


def _write(out: Path, rows: Sequence[Row]) -> None:
    from her2sr_proc.offline.exports import write_rows_parquet
    from her2sr_proc.store.atomic import telling
    from her2sr_proc.store.results import write_count_rows

    write = write_count_rows if out.suffix.lower() == ".csv" else write_rows_parquet
    with telling(out):
        write(out, rows)


def _tell(out: Path, rows: Sequence[Row], flags: list[str], *, as_json: bool) -> None:
    from her2sr_proc.store.results import count_stems

    counted = [row for row in rows if row["excluded"] == "false"]
    totals = {
        stem: sum(int(str(row[stem])) for row in counted)
        for stem in count_stems()
        if any(stem in row for row in counted)
    }
    if as_json:
        said = {
            "counts": str(out),
            "nuclei": len(rows),
            "counted": len(counted),
            "signals": totals,
            "flags": flags,
            "banner": BANNER,
        }
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{len(rows)} nuclei, {len(counted)} counted")
    for stem, total in totals.items():
        typer.echo(f"  {stem}: {total}, {total / len(counted):.2f} a nucleus")
    for flag in flags:
        typer.echo(f"flag: {flag}")
    typer.echo(f"wrote {out}")
