"""What `her2sr render` does where a picture at many scales is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import typer

from her2sr_proc.cli_progress import begin, showing
from her2sr_proc.cli_render import TILED, RenderRequest, field_of, params_of, still
from her2sr_proc.errors import RequestError
from her2sr_proc.offline.mosaic import mosaic_of
from her2sr_proc.pyramid.drawing import Drawing, cell_nm
from her2sr_proc.pyramid.frames import PLACES, Batches, Ground, frame_of
from her2sr_proc.pyramid.making import make, white_per_um2
from her2sr_proc.pyramid.shelf import Frame, Shelf
from her2sr_proc.schema.levels import Levels
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.pyramid import PyramidFacts
from her2sr_proc.schema.table import Localizations, require_one_unit
from her2sr_proc.store import deepzoom, ngff
from her2sr_proc.store.atomic import telling
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.tables import (
    count_parquet,
    read_parquet_metadata,
    read_parquet_parts,
    read_table,
)

Array = npt.NDArray[np.generic]

GAMMA = 0.4
"""As in the previews of single fields: signals that differ a thousandfold are seen."""
PART_ROWS = 2**20


@dataclass(frozen=True, slots=True)
class TilesRequest:
    """The command line of `her2sr render` with a picture at many scales, as typed."""

    drawing: RenderRequest
    out: Path | None
    channel: str | None
    white_per_um2: float | None
    gamma: float | None
    jobs: int | None


@dataclass(frozen=True, slots=True)
class _Source:
    """Tables that lie side by side in one picture."""

    name: str
    space: Literal["table", "slide"]
    height_nm: float
    width_nm: float
    left_um: float
    top_um: float
    localizations: int
    frames: Callable[[RenderParams, float], list[Frame]]
    """Asked with what to draw, and the side of the picture's cells."""


def render(request: TilesRequest, *, as_json: bool) -> None:
    """Write a table, or all fields of a run, as a picture at many scales."""
    begin()
    out = _place(request)
    store = deepzoom if out.suffix.lower() == ".dzi" else ngff
    _require_sense(request, out)
    store.require_place(out)
    source = _run(request) if request.drawing.locs.is_dir() else _table(request.drawing)
    params = params_of(request.drawing)
    levels = Levels.covering(
        source.height_nm,
        source.width_nm,
        pixel_nm=params.pixel_nm,
        tiling=store.TILING,
    )
    shelf = Shelf(source.frames(params, cell_nm(levels)))
    drawing = Drawing(levels, shelf, params)
    facts = _facts(request, source, drawing, shelf.rows)
    with (
        telling(out),
        store.writing(out, levels, facts) as writer,
        showing("tiles") as tell,
    ):
        tiles = make(drawing, writer, jobs=request.jobs or 1, progress=tell)
    _tell(out, facts, tiles, as_json=as_json)


def _place(request: TilesRequest) -> Path:
    """Return where the picture goes. Raises `RequestError` where that is not said."""
    out = request.out
    if out is None:
        if not request.drawing.locs.is_dir() or request.channel is None:
            raise RequestError(
                "--out is missing; name SR.tif, SR.png, SR.dzi or SR.ome.zarr"
            )
        return RunFolder(request.drawing.locs.resolve()).mosaic(
            request.channel, "superresolution"
        )
    if out.suffix.lower() not in TILED:
        raise RequestError(
            f"all fields of a run are drawn at many scales, as .dzi or .ome.zarr, not "
            f"'{out.suffix}'; for one field give its table"
        )
    return out


def _require_sense(request: TilesRequest, out: Path) -> None:
    """Refuse options that would do nothing here."""
    is_run = request.drawing.locs.is_dir()
    if request.gamma is not None and out.suffix.lower() != ".dzi":
        raise RequestError("--gamma is for .dzi; .ome.zarr holds numbers: leave it out")
    if is_run and request.channel is None:
        raise RequestError(
            "all fields of a run are drawn a channel at a time; name it with --channel"
        )
    if request.channel is not None and not is_run:
        raise RequestError("--channel is for a run folder; leave it out for a table")
    if is_run and (request.drawing.drift_corrected or request.drawing.size):
        raise RequestError(
            "--drift-corrected and --size are for one table; leave them out for a run"
        )


def _run(request: TilesRequest) -> _Source:
    run = RunFolder(request.drawing.locs.resolve())
    mosaic = mosaic_of(run, request.channel or "")
    return _Source(
        name=run.name,
        space="slide",
        height_nm=mosaic.height_nm,
        width_nm=mosaic.width_nm,
        left_um=mosaic.left_um,
        top_um=mosaic.top_um,
        localizations=mosaic.localizations,
        frames=mosaic.frames,
    )


def _table(request: RenderRequest) -> _Source:
    ground, batches, count = _opened(request)

    def frames(params: RenderParams, cell: float) -> list[Frame]:
        return [frame_of(ground, batches, params=params, cell_nm=cell)]

    height_nm, width_nm = ground.size_nm
    edge_um = -0.5 * ground.pixel_nm / 1000.0
    return _Source(
        name=request.locs.name,
        space="table",
        height_nm=height_nm,
        width_nm=width_nm,
        left_um=edge_um,
        top_um=edge_um,
        localizations=count,
        frames=frames,
    )


def _opened(request: RenderRequest) -> tuple[Ground, Batches, int]:
    """Return the frame of a table, its rows in parts, and how many they are.

    A native table that knows its movie is read in parts; others are read whole.
    """
    path = request.locs
    facts = _native_facts(path)
    if facts is not None and not request.drift_corrected:
        ground = Ground(facts.height_px, facts.width_px, facts.pixel_nm)
        return (
            ground,
            lambda: read_parquet_parts(path, PLACES, rows=PART_ROWS),
            count_parquet(path),
        )
    table, facts = read_table(path, pixel_nm=request.camera_pixel_nm)
    require_one_unit(table)
    if request.drift_corrected:
        table = still(table, facts)
    ground = Ground(*field_of(request, table, facts))
    needed = {name: table[name] for name in PLACES}
    return ground, lambda: _parts(needed, len(table)), len(table)


def _native_facts(path: Path) -> MovieFacts | None:
    if path.suffix.lower() != ".parquet" or not path.exists():
        return None
    return MovieFacts.from_metadata(path, read_parquet_metadata(path))


def _parts(columns: Mapping[str, Array], rows: int) -> Iterator[Localizations]:
    for start in range(0, rows, PART_ROWS):
        part = slice(start, start + PART_ROWS)
        yield Localizations({name: array[part] for name, array in columns.items()})


def _facts(
    request: TilesRequest, source: _Source, drawing: Drawing, drawn: int
) -> PyramidFacts:
    levels = drawing.levels
    return PyramidFacts(
        source=source.name,
        channel=request.channel,
        method=request.drawing.method,
        pixel_nm=levels.pixel_nm,
        levels=levels.count,
        height_px=levels.height_px,
        width_px=levels.width_px,
        space=source.space,
        left_um=source.left_um,
        top_um=source.top_um,
        localizations=source.localizations,
        drawn=drawn,
        white_per_um2=request.white_per_um2 or white_per_um2(drawing),
        gamma=request.gamma or GAMMA,
        colour=request.drawing.colour,
    )


def _tell(out: Path, facts: PyramidFacts, tiles: int, *, as_json: bool) -> None:
    if as_json:
        said = facts.model_dump(mode="json")
        typer.echo(json.dumps({"picture": str(out), "tiles": tiles, **said}))
        return
    typer.echo(
        f"{facts.drawn} of {facts.localizations} localizations drawn on "
        f"{facts.height_px} x {facts.width_px} px of {facts.pixel_nm:g} nm and on "
        f"{facts.levels - 1} coarser levels: {tiles} tiles"
    )
    typer.echo(
        f"white is {facts.white_per_um2:g} localizations a um2 in all of them; give "
        f"--white-per-um2 {facts.white_per_um2:g} to draw others alike"
    )
    typer.echo(f"wrote {out}")
