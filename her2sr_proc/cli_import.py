"""`her2sr import`: movies of a microscope that this program does not drive.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from her2sr_proc.cli_camera import EPerAdu, OffsetAdu, PixelNm, ReadNoiseE
from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.cli_runs import plain_errors, run_progress, summary
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.offline.importing import Imported, ImportOrder

LASERS = (405, 488, 561, 640, 647)
"""Numbers that a file name gives when it speaks of its light."""


def register(app: typer.Typer) -> None:
    """Mount the verb into the one command."""
    app.command("import", epilog=EXITS)(import_run)


def import_run(
    her2: Annotated[
        Path,
        typer.Option("--her2", help="movie of HER2; TIFF, a folder, OME-Zarr, .npy"),
    ],
    cep17: Annotated[Path, typer.Option("--cep17", help="movie of CEP17")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="RUN_DIR",
            help="the run folder to make; DATA/runs/NAME for the page to show it",
        ),
    ],
    dapi: Annotated[
        Path | None,
        typer.Option("--dapi", help="movie of the nuclei; without it none is counted"),
    ] = None,
    her2_nm: Annotated[
        int, typer.Option("--her2-nm", min=300, max=1100, help="light of HER2")
    ] = 561,
    cep17_nm: Annotated[
        int, typer.Option("--cep17-nm", min=300, max=1100, help="light of CEP17")
    ] = 488,
    dapi_nm: Annotated[
        int, typer.Option("--dapi-nm", min=300, max=1100, help="light of DAPI")
    ] = 405,
    pixel_nm: PixelNm = 130.0,
    offset_adu: OffsetAdu = 100.0,
    e_per_adu: EPerAdu = 0.46,
    em_gain: Annotated[
        float, typer.Option("--em-gain", min=1, max=10_000, help="1: not an EMCCD")
    ] = 1.0,
    read_noise_e: ReadNoiseE = 1.6,
    exposure_ms: Annotated[
        float, typer.Option("--exposure-ms", min=0.01, max=60_000, help="of a frame")
    ] = 30.0,
    her2_sigma_nm: Annotated[
        float | None,
        typer.Option(
            "--her2-sigma-nm", min=40, max=1000, help="width of a spot of HER2 in focus"
        ),
    ] = None,
    cep17_sigma_nm: Annotated[
        float | None,
        typer.Option("--cep17-sigma-nm", min=40, max=1000, help="the same of CEP17"),
    ] = None,
    expect_frames: Annotated[
        int | None,
        typer.Option(
            "--expect-frames",
            min=1,
            max=10_000_000,
            help="of HER2 and CEP17; a shorter movie makes a partial run",
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample", help="a pseudonym, never a patient; default: RUN_DIR's name"
        ),
    ] = None,
    operator: Annotated[
        str, typer.Option("--operator", help="who imports: a pseudonym")
    ] = "import",
    process: Annotated[
        bool, typer.Option("--process", help="process it too, up to the report")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a run folder of movies, which every other verb and page reads as its own.

    Which probe a movie shows is what you say, never what its name says; names and dates
    of the files are not kept.

    Example: her2sr import --her2 a_SR_561.tif --cep17 a_SR_488.tif --dapi a_405.tif
    --out data/runs/slide-7
    """
    with plain_errors():
        movies = {"her2": her2, "cep17": cep17, "dapi": dapi}
        lasers = {"her2": her2_nm, "cep17": cep17_nm, "dapi": dapi_nm}
        _check_lasers(movies, lasers)
        camera = {
            "pixel_nm": pixel_nm,
            "offset_adu": offset_adu,
            "e_per_adu": e_per_adu,
            "em_gain": em_gain,
            "read_noise_e": read_noise_e,
        }
        people = sample if sample is not None else out.resolve().name, operator
        asked = [
            {
                "path": path,
                "probe": name.upper(),
                "laser_nm": lasers[name],
                "role": "nuclei" if name == "dapi" else "signal",
                "exposure_ms": exposure_ms,
                "spot_sigma_nm": {"her2": her2_sigma_nm, "cep17": cep17_sigma_nm}.get(
                    name
                ),
                "expected_frames": None if name == "dapi" else expect_frames,
            }
            for name, path in movies.items()
            if path is not None
        ]
        order = _order(asked, camera, people)
        _run(order, out, process=process, as_json=as_json)


def _run(order: ImportOrder, out: Path, *, process: bool, as_json: bool) -> None:
    from datetime import UTC, datetime

    from her2sr_proc.offline.importing import import_movies
    from her2sr_proc.store.layout import RunFolder

    def utc() -> str:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return now.replace("+00:00", "Z")

    run = RunFolder(out.resolve())
    _require_pseudonym("--out", run.name)
    with run_progress() as tell:
        done = import_movies(order, run, tell, utc=utc)
        result = None
        if process:
            from her2sr_proc.offline.pipeline import process_run

            result = process_run(run, tell)
    if as_json:
        typer.echo(json.dumps(_said(done, is_processed=result is not None)))
        return
    typer.echo(BANNER)
    for channel in order.movies:
        name = str(channel.laser_nm)
        typer.echo(f"{name} ({channel.probe}): {done.frames[name]} frames")
    for name, count in done.missing.items():
        typer.echo(f"{name}: partial, {count} frames fewer than expected")
    if result is None:
        for flag in done.flags:
            typer.echo(f"flag: {flag}")
    for line in summary(result) if result is not None else ():
        typer.echo(line)
    typer.echo(
        f"report: {run.report}"
        if result is not None
        else f"wrote {run.root}; `her2sr process {out}` answers for it"
    )


def _said(done: Imported, *, is_processed: bool) -> dict[str, object]:
    return {
        "run": str(done.run.root),
        "frames": done.frames,
        "missing": done.missing,
        "flags": list(done.flags),
        "report": str(done.run.report) if is_processed else None,
        "banner": BANNER,
    }


def _order(
    movies: list[dict[str, Any]], camera: dict[str, float], people: tuple[str, str]
) -> ImportOrder:
    from her2sr_proc.offline.importing import ImportOrder, MovieToImport
    from her2sr_proc.schema.camera import CameraModel
    from her2sr_proc.schema.params import Profile
    from her2sr_proc.versions import versions

    sample, operator = people
    _require_pseudonym("--sample", sample)
    _require_pseudonym("--operator", operator)
    return ImportOrder(
        movies=tuple(MovieToImport(**movie) for movie in movies),
        camera=CameraModel.model_validate(camera),
        profile=Profile(),
        sample=sample,
        operator=operator,
        versions=versions(),
    )


def _check_lasers(movies: dict[str, Path | None], lasers: dict[str, int]) -> None:
    """Raise `RequestError` where two share a light, or a file name contradicts."""
    from her2sr_proc.errors import RequestError

    given = {name: path for name, path in movies.items() if path is not None}
    used = [lasers[name] for name in given]
    if len(set(used)) < len(used):
        raise RequestError(
            "two movies have the same light; give each its own by --her2-nm, "
            "--cep17-nm and --dapi-nm"
        )
    for name, path in given.items():
        found = {int(n) for n in re.findall(r"(?<!\d)(\d{3})(?!\d)", path.name)}
        named = sorted(found & set(LASERS))
        if named and lasers[name] not in named:
            raise RequestError(
                f"the name of {path} says {named[0]} nm, but --{name} was taken with "
                f"{lasers[name]} nm; swap the movies, or say --{name}-nm {named[0]}"
            )


def _require_pseudonym(option: str, value: str) -> None:
    from her2sr_proc.errors import RequestError
    from her2sr_proc.schema.block import NAME

    if not re.fullmatch(NAME, value):
        raise RequestError(
            f"{option}: '{value}' is no name for a run or a person here; use 1 to 64 "
            f"letters, digits, '-' and '_', and never a patient's name or number"
        )
