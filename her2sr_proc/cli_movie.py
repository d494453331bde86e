"""What `her2sr localize` does: a movie in, a table and a few lines out."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from her2sr_proc.cli_progress import begin, showing
from her2sr_proc.errors import RequestError
from her2sr_proc.finding import formula
from her2sr_proc.live.warming import warm
from her2sr_proc.offline.movie import Outcome, Recipe, localize_movie
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import PAPER_LOCALIZE, LocalizeParams
from her2sr_proc.store.atomic import telling
from her2sr_proc.store.camera_maps import read_camera_maps
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.tables import (
    TableForm,
    form_of,
    require_place,
    write_table,
)

_RANGE = re.compile(r"^(\d*):(\d*)$")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THRESHOLD = re.compile(rf"^(?:({_NUMBER})|(?:({_NUMBER})\*)?std\(Wave\.F1\))$")
LONGEST_FORMULA = 500


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


def localize(request: LocalizeRequest, *, as_json: bool) -> None:
    """Write the table of a movie, and say what was found and how fast."""
    begin()
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
