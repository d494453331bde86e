"""What `her2sr localize` and `render` do: files in, files and a few lines out."""

from __future__ import annotations

import json
import logging
import math
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import typer

from her2sr_proc.cli_progress import showing
from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.finding import formula
from her2sr_proc.live.warming import warm
from her2sr_proc.offline.movie import Outcome, Recipe, localize_movie
from her2sr_proc.rendering import is_drawn
from her2sr_proc.rendering import render as draw
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import PAPER_LOCALIZE, LocalizeParams, RenderParams
from her2sr_proc.schema.table import Localizations, farthest
from her2sr_proc.store.atomic import require_writable, telling
from her2sr_proc.store.camera_maps import read_camera_maps
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.images import Colour, PreviewStyle, write_preview, write_tiff
from her2sr_proc.store.tables import (
    TableForm,
    form_of,
    read_table,
    require_place,
    write_table,
)

_RANGE = re.compile(r"^(\d*):(\d*)$")
_SIZE = re.compile(r"^([1-9]\d{0,4})x([1-9]\d{0,4})$")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THRESHOLD = re.compile(rf"^(?:({_NUMBER})|(?:({_NUMBER})\*)?std\(Wave\.F1\))$")
LONGEST_FORMULA = 500
MAX_IMAGE_PX = 2**28
DRIFT_SEGMENT_FRAMES = 100


@dataclass(frozen=True, slots=True)
class LocalizeRequest:
    """The command line of `her2sr localize`, as typed."""

    movie: Path
    out: Path
    camera: dict[str, float]
    camera_maps: Path | None
    sigma_px: float | None
    profile: Literal["paper", "recommended"]
    is_sigma_fixed: bool
    emitters: Literal["single", "multi"] | None
    fit_radius_px: int | None
    threshold: str | None
    frames: str
    jobs: int
    form: TableForm | None


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """The command line of `her2sr render`, as typed."""

    locs: Path
    out: Path
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


def localize(request: LocalizeRequest, *, as_json: bool) -> None:
    """Write the table of a movie, and say what was found and how fast."""
    _begin()
    form = request.form or form_of(request.out)
    require_place(request.out, form)
    params = _params(request)
    camera = CameraModel.model_validate(request.camera)
    with closing(open_movie(request.movie)) as movie:
        _require_room(movie.shape, 2 * params.radius_px + 1)
        wanted = parse_frames(request.frames, movie.shape[0])
        recipe = Recipe(_maps(request, camera, movie), camera.pixel_nm, params)
        warm()
        with showing("frames") as tell:
            outcome = localize_movie(
                movie, recipe, frames=wanted, jobs=request.jobs, progress=tell
            )
        facts = MovieFacts(
            pixel_nm=camera.pixel_nm,
            height_px=movie.shape[1],
            width_px=movie.shape[2],
            frames=movie.shape[0],
            source=request.movie.name,
        )
    with telling(request.out):
        write_table(request.out, outcome.table, facts, form=form)
    _tell_localized(request, outcome, facts, as_json=as_json)


def render(request: RenderRequest, *, as_json: bool) -> None:
    """Write the image of a table, and say what is in it."""
    _begin()
    if request.out.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise RequestError(
            f"an image is written as .tif or .png, not '{request.out.suffix}'"
        )
    require_writable(request.out)
    params = RenderParams(
        pixel_nm=request.pixel_nm,
        method=request.method,
        fixed_sigma_nm=request.sigma_nm,
        maximum_uncertainty_nm=request.max_uncertainty_nm,
    )
    table, facts = read_table(request.locs, pixel_nm=request.camera_pixel_nm)
    if request.drift_corrected:
        table = _still(table, facts)
    height_px, width_px, camera_nm = _field(request, table, facts)
    if height_px * width_px * (camera_nm / params.pixel_nm) ** 2 > MAX_IMAGE_PX:
        raise RequestError(
            f"{height_px} x {width_px} pixels of {camera_nm:g} nm are too many at "
            f"{params.pixel_nm:g} nm; choose a larger --pixel-nm"
        )
    frame = _Frame(height_px=height_px, width_px=width_px, pixel_nm=camera_nm)
    image = draw(table, **frame, params=params)
    with telling(request.out):
        _write_image(request, image)
    drawn = int(is_drawn(table, **frame, params=params).sum())
    _tell_rendered(request, len(table), drawn, image.shape, as_json=as_json)


def _write_image(request: RenderRequest, image: npt.NDArray[np.float32]) -> None:
    if request.out.suffix.lower() == ".png":
        style = PreviewStyle(colour=request.colour, pixel_nm=request.pixel_nm)
        write_preview(request.out, image, style)
    else:
        write_tiff(request.out, image, pixel_nm=request.pixel_nm)


def parse_frames(text: str, count: int) -> range:
    """Return the frames that ``A:B`` names in a movie of ``count`` frames.

    Raises `RequestError` when it names none.
    """
    match = _RANGE.match(text.strip())
    if match is None:
        raise RequestError(f"--frames is A:B, such as 0:100, not '{text}'")
    start = int(match[1] or 0)
    stop = int(match[2] or count)
    if not start < stop <= count:
        raise RequestError(
            f"--frames {text} is outside the movie, which has frames 0 to {count - 1}"
        )
    return range(start, stop)


def parse_threshold(text: str) -> dict[str, object]:
    """Return the settings of a threshold: a factor of std(Wave.F1), or a formula.

    Raises `RequestError` for what is neither.
    """
    match = _THRESHOLD.match(text.replace(" ", ""))
    if match is None:
        if len(text) > LONGEST_FORMULA:
            raise RequestError(
                f"--threshold is a formula of {LONGEST_FORMULA} characters at most, "
                f"and this one has {len(text)}"
            )
        return {"detector": "wavelet", "threshold": formula(text).text}
    factor = float(match[1] or match[2] or 1)
    if not 0 < factor <= 20:
        raise RequestError(
            f"--threshold is a factor of std(Wave.F1) above 0 and up to 20, or a "
            f"formula of planes, not '{text}'"
        )
    return {"detector": "wavelet", "threshold": None, "threshold_factor": factor}


def _begin() -> None:
    typer.echo(BANNER, err=True)
    # tifffile logs every oddity of a file; what matters is raised in one sentence.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


def _params(request: LocalizeRequest) -> LocalizeParams:
    is_paper = request.profile == "paper"
    base = PAPER_LOCALIZE if is_paper else LocalizeParams()
    changes: dict[str, object] = {}
    if request.is_sigma_fixed:
        changes["width"] = "known"
    if request.emitters is not None:
        changes["emitters"] = request.emitters
    if request.sigma_px is not None:
        changes["sigma_px"] = request.sigma_px
    elif not is_paper:
        # the optics' width in nanometres does not depend on the camera's pixels
        standard = LocalizeParams().sigma_px * CameraModel().pixel_nm
        changes["sigma_px"] = min(max(standard / request.camera["pixel_nm"], 0.4), 5.0)
    if request.fit_radius_px is not None:
        changes["fit_radius_px"] = request.fit_radius_px
    if request.threshold is not None:
        changes |= parse_threshold(request.threshold)
    return LocalizeParams.model_validate({**base.model_dump(), **changes})


def _require_room(shape: tuple[int, int, int], box_px: int) -> None:
    """Refuse frames in which no spot could ever be fitted."""
    if min(shape[1:]) < box_px:
        raise RequestError(
            f"frames of {shape[1]} x {shape[2]} pixels are smaller than the box of "
            f"{box_px} x {box_px} that a spot is fitted in; choose a smaller "
            f"--fit-radius-px, or check that the movie is the right one"
        )


def _maps(
    request: LocalizeRequest, camera: CameraModel, movie: FrameSource
) -> CameraMaps:
    shape = movie.shape[1:]
    if request.camera_maps is None:
        return CameraMaps.uniform(camera, shape)
    return read_camera_maps(request.camera_maps, camera, shape)


def _still(table: Localizations, facts: MovieFacts | None) -> Localizations:
    """Return the table without the drift of its burst."""
    seen = int(table["frame"].max()) + 1 if len(table) else 0
    frames = max(seen, facts.frames if facts else 0)
    drift = measure_drift(
        table, frames=frames, method="aim", segment_frames=DRIFT_SEGMENT_FRAMES
    )
    return drift.taken_off(table)


def _field(
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


def _tell_localized(
    request: LocalizeRequest, outcome: Outcome, facts: MovieFacts, *, as_json: bool
) -> None:
    count = len(outcome.table)
    said: dict[str, object] = {
        "movie": str(request.movie),
        "table": str(request.out),
        "frames": outcome.frames,
        "height_px": facts.height_px,
        "width_px": facts.width_px,
        "localizations": count,
        "input_s": round(outcome.input_s, 3),
        "fit_s": round(outcome.fit_s, 3),
        "wall_s": round(outcome.wall_s, 3),
        "frames_per_s": round(_rate(outcome.frames, outcome.wall_s), 1),
        "localizations_per_s": round(_rate(count, outcome.wall_s), 1),
        "fit_frames_per_s": round(_rate(outcome.frames, outcome.fit_s), 1),
        "fit_localizations_per_s": round(_rate(count, outcome.fit_s), 1),
        "jobs": request.jobs,
    }
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(
        f"{outcome.frames} frames of {facts.height_px} x {facts.width_px} px, "
        f"{count} localizations in {outcome.wall_s:.2f} s: "
        f"{said['frames_per_s']} frames/s, {said['localizations_per_s']} "
        f"localizations/s"
    )
    typer.echo(
        f"input {outcome.input_s:.2f} s; detection and fit {outcome.fit_s:.2f} s of "
        f"one thread: {said['fit_frames_per_s']} frames/s, "
        f"{said['fit_localizations_per_s']} localizations/s"
    )
    typer.echo(f"wrote {request.out}")


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _tell_rendered(
    request: RenderRequest,
    count: int,
    drawn: int,
    shape: tuple[int, ...],
    *,
    as_json: bool,
) -> None:
    if as_json:
        said = {
            "image": str(request.out),
            "height_px": shape[0],
            "width_px": shape[1],
            "pixel_nm": request.pixel_nm,
            "localizations": count,
            "drawn": drawn,
            "banner": BANNER,
        }
        typer.echo(json.dumps(said))
        return
    typer.echo(
        f"{drawn} of {count} localizations drawn on {shape[0]} x {shape[1]} px of "
        f"{request.pixel_nm:g} nm; the others are less certain than "
        f"{request.max_uncertainty_nm:g} nm or outside"
    )
    typer.echo(f"wrote {request.out}")
