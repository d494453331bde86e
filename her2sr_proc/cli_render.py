"""What `her2sr render` does with one image: a table in, a file and a few lines out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import typer

from her2sr_proc.cli_progress import begin
from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.rendering import is_drawn
from her2sr_proc.rendering import render as draw
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import Localizations, farthest, require_one_unit
from her2sr_proc.store.atomic import require_writable, telling
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.images import Colour, PreviewStyle, write_preview, write_tiff
from her2sr_proc.store.tables import read_table

_SIZE = re.compile(r"^([1-9]\d{0,4})x([1-9]\d{0,4})$")
MAX_IMAGE_PX = 2**28
TILED = (".dzi", ".zarr")
"""Suffixes of pictures at many scales."""
DRIFT_SEGMENT_FRAMES = 100


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """The command line of `her2sr render`, as typed."""

    locs: Path
    pixel_nm: float
    method: Literal["gaussian", "histogram", "ash"]
    sigma_nm: float | None
    drift_corrected: bool
    max_uncertainty_nm: float
    camera_pixel_nm: float
    size: str | None
    colour: Colour


class _Frame(TypedDict):
    height_px: int
    width_px: int
    pixel_nm: float


def is_single(locs: Path, out: Path) -> bool:
    """Return whether these ask for one image rather than one at many scales."""
    return not locs.is_dir() and out.suffix.lower() not in TILED


def require_none_of(options: Mapping[str, object], out: Path) -> None:
    """Refuse options that do nothing for one image."""
    for name, value in options.items():
        if value is not None:
            raise RequestError(
                f"--{name.replace('_', '-')} is for pictures at many scales (.dzi, "
                f".ome.zarr); leave it out for '{out.suffix}'"
            )


def render(request: RenderRequest, out: Path, *, as_json: bool) -> None:
    """Write the image of a table, and say what is in it."""
    begin()
    if out.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise RequestError(
            f"an image is written as .tif or .png, or at many scales as .dzi or "
            f".ome.zarr, not '{out.suffix}'"
        )
    require_writable(out)
    params = params_of(request)
    table, facts = read_table(request.locs, pixel_nm=request.camera_pixel_nm)
    require_one_unit(table)
    if request.drift_corrected:
        table = still(table, facts)
    height_px, width_px, camera_nm = field_of(request, table, facts)
    if height_px * width_px * (camera_nm / params.pixel_nm) ** 2 > MAX_IMAGE_PX:
        raise RequestError(
            f"{height_px} x {width_px} pixels of {camera_nm:g} nm are too many at "
            f"{params.pixel_nm:g} nm for one image; choose a larger --pixel-nm, or "
            f"--out SR.dzi, which is drawn in tiles"
        )
    frame = _Frame(height_px=height_px, width_px=width_px, pixel_nm=camera_nm)
    image = draw(table, **frame, params=params)
    with telling(out):
        _write_image(request, out, image)
    drawn = int(is_drawn(table, **frame, params=params).sum())
    said = {
        "image": str(out),
        "height_px": image.shape[0],
        "width_px": image.shape[1],
        "pixel_nm": request.pixel_nm,
        "localizations": len(table),
        "drawn": drawn,
    }
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(
        f"{drawn} of {len(table)} localizations drawn on {image.shape[0]} x "
        f"{image.shape[1]} px of {request.pixel_nm:g} nm; the others are less certain "
        f"than {request.max_uncertainty_nm:g} nm or outside"
    )
    typer.echo(f"wrote {out}")


def params_of(request: RenderRequest) -> RenderParams:
    """Return what decides how a table is drawn."""
    return RenderParams(
        pixel_nm=request.pixel_nm,
        method=request.method,
        fixed_sigma_nm=request.sigma_nm,
        maximum_uncertainty_nm=request.max_uncertainty_nm,
    )


def _write_image(
    request: RenderRequest, out: Path, image: npt.NDArray[np.float32]
) -> None:
    if out.suffix.lower() == ".png":
        style = PreviewStyle(colour=request.colour, pixel_nm=request.pixel_nm)
        write_preview(out, image, style)
    else:
        write_tiff(out, image, pixel_nm=request.pixel_nm)


def still(table: Localizations, facts: MovieFacts | None) -> Localizations:
    """Return the table without the drift of its burst."""
    seen = int(table["frame"].max()) + 1 if len(table) else 0
    frames = max(seen, facts.frames if facts else 0)
    drift = measure_drift(
        table, frames=frames, method="aim", segment_frames=DRIFT_SEGMENT_FRAMES
    )
    return drift.taken_off(table)


def field_of(
    request: RenderRequest, table: Localizations, facts: MovieFacts | None
) -> tuple[int, int, float]:
    """Return height, width and pixel of the camera's frame, as far as it is known."""
    match = _SIZE.match(request.size or "1x1")
    if match is None:
        raise RequestError(f"--size is HxW, such as 512x512, not '{request.size}'")
    if facts is not None:
        return facts.height_px, facts.width_px, facts.pixel_nm
    pixel_nm = request.camera_pixel_nm
    if request.size is None:
        return (
            _reach(table["y_nm"], pixel_nm),
            _reach(table["x_nm"], pixel_nm),
            pixel_nm,
        )
    return int(match[1]), int(match[2]), pixel_nm


def _reach(position_nm: npt.NDArray[np.generic], pixel_nm: float) -> int:
    """Return the camera pixels from 0 to the farthest finite position."""
    return max(1, math.ceil(farthest(position_nm) / pixel_nm + 0.5))
