"""The slide as the page lays it out: fields, channels, outlines, drawn areas."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import AbsentError, DataError, RequestError
from her2sr_proc.review.machine import Machine, Stamp, stamp
from her2sr_proc.review.pictures import MOST_PX, SIZES_PX
from her2sr_proc.review.regions import places
from her2sr_proc.schema.manifest import ChannelFacts
from her2sr_proc.schema.pyramid import PyramidFacts
from her2sr_proc.schema.review import Layer, MosaicView, Outline
from her2sr_proc.schema.review_requests import AreaDrawn
from her2sr_proc.scoring.case import Case
from her2sr_proc.store.deepzoom import FACTS, TILING, files_of
from her2sr_proc.store.images import shape_of
from her2sr_proc.store.layout import RunFolder

_TILE = re.compile(r"^\d{1,4}_\d{1,4}$")


def mosaic(run: RunFolder, machine: Machine, case: Case) -> MosaicView:
    """Return everything of the slide that can be shown."""
    layers: list[Layer] = []
    untold: list[str] = []
    for facts in sorted(machine.manifest.channels, key=lambda c: c.role != "nuclei"):
        layer = _layer(run, machine, facts)
        if isinstance(layer, str):
            untold.append(layer)
        else:
            layers.append(layer)
    return MosaicView(
        fields=places(machine),
        layers=tuple(layers),
        untold=tuple(untold),
        outlines=_outlines(run.nuclei_geojson, stamp(run.nuclei_geojson)),
        areas=tuple(
            AreaDrawn.model_validate({"name": n, "region": r, "outline": o})
            for n, (r, o) in case.outlines.items()
        ),
    )


def tile(run: RunFolder, machine: Machine, channel: str, level: int, name: str) -> Path:
    """Return the file of one tile; ``name`` is COLUMN_ROW.

    Raises `RequestError` for what is no tile's name, or a tile that is dark: dark ones
    are not written.
    """
    machine.channel(channel)
    if not (0 <= level < 40 and _TILE.match(name)):
        raise RequestError("a tile is named by level and COLUMN_ROW")
    folder = files_of(run.mosaic(channel, "superresolution"))
    path = folder / str(level) / f"{name}.png"
    if not path.is_file() or path.resolve() != path.absolute():
        raise AbsentError(f"there is no light in tile {name} of level {level}")
    return path


def _layer(run: RunFolder, machine: Machine, facts: ChannelFacts) -> Layer | str:
    """Return how a channel can be shown, or why it cannot."""
    if facts.role == "nuclei":
        return _fields(facts)
    dzi = run.mosaic(facts.name, "superresolution")
    if dzi.is_file():
        return _tiles(facts, files_of(dzi) / FACTS)
    for field in machine.fields:
        path = run.image(field.field, facts.name, "superresolution")
        if path.exists():
            height, width = shape_of(path)
            if height * width <= MOST_PX:
                return _fields(facts)
            break
    return (
        f"{facts.name} ({facts.probe}) has no mosaic yet; draw it with `her2sr render "
        f"RUN_DIR --channel {facts.name}`"
    )


def _fields(facts: ChannelFacts) -> Layer:
    return Layer(
        channel=facts.name, probe=facts.probe, form="fields", sizes_px=SIZES_PX
    )


def _tiles(facts: ChannelFacts, path: Path) -> Layer:
    try:
        found = PyramidFacts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise DataError(
            f"{path.name} of the mosaic of {facts.name} cannot be read; draw it again "
            f"with `her2sr render`"
        ) from exc
    return Layer(
        channel=facts.name,
        probe=facts.probe,
        form="tiles",
        left_um=found.left_um,
        top_um=found.top_um,
        width_px=found.width_px,
        height_px=found.height_px,
        pixel_nm=found.pixel_nm,
        tile_px=TILING.tile_px,
        overlap_px=TILING.overlap_px,
    )


@lru_cache(maxsize=8)
def _outlines(path: Path, at: Stamp | None) -> tuple[Outline, ...]:
    if at is None:
        return ()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        scale = found["pixel_to_slide"]
        left = scale["x_um_of_first_pixel_centre"]
        top = scale["y_um_of_first_pixel_centre"]
        pixel = scale["pixel_um"]
        return tuple(
            Outline(
                key=feature["properties"]["name"],
                points=tuple(
                    (left + (x - 0.5) * pixel, top + (y - 0.5) * pixel)
                    for x, y in feature["geometry"]["coordinates"][0]
                ),
            )
            for feature in found["features"]
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as exc:
        raise DataError(
            f"{path.name} is no outline of nuclei ({exc}); process the run again"
        ) from exc
