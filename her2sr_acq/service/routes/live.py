"""The newest frame of the burst in progress, as a picture."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import ValidationError
from starlette.responses import Response

from her2sr_acq.engine.states import FINAL
from her2sr_acq.errors import AcqError, RunNotFoundError
from her2sr_acq.service.context import Context, ContextDep
from her2sr_acq.service.live import Contrast
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.manifest import read_manifest

router = APIRouter(tags=["microscope"], responses=RESPONSES)

NOTHING: dict[str, str] = {"description": "there is no picture now"}
Optional = Annotated[
    bool, Query(description="204 instead of 404 while there is no picture")
]
Level = Annotated[int | None, Query(ge=0, le=65535, description="camera counts")]


@router.get(
    "/live.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 204: NOTHING},
)
def read_live_picture(
    context: ContextDep,
    low_adu: Level = None,
    high_adu: Level = None,
    optional: Optional = False,
) -> Response:
    """Return the newest frame of the burst, or the last one on disk.

    At most 1024 pixels a side and 5 pictures a second; `X-Unit`, `X-Frame`, `X-Age-S`
    and `X-Source` (stream or disk) say what it shows. Contrast by percentiles
    unless levels are given.
    """
    try:
        return _live(context, Contrast(low_adu, high_adu))
    except RunNotFoundError:
        if optional:
            return Response(status_code=204)
        raise


@router.get(
    "/runs/{run_id}/growing.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, 204: NOTHING},
)
def read_growing_picture(
    run_id: Annotated[str, Path(max_length=64)], context: ContextDep
) -> Response:
    """Return the super-resolution picture of the burst in progress, as far as it is.

    A picture to watch by, of at most 512 pixels a side; `X-Localizations`, `X-Frames`
    and `X-Trace` (localizations per frame, as points of a line) say what it is made of.
    204 where no burst is localized now.
    """
    run = context.control.run(run_id)
    if run.state in FINAL:  # what is over is under review: it is counted, not watched
        return Response(status_code=204)
    field, _, channel = run.current.partition("/")
    try:
        folder = context.archive.folder(run.folder)
        # an attempt may follow the channel; the picture is of the newest parts anyway
        units = [f for f in context.control.fields(run_id) if f.name == field]
        taken = [u for f in units for u in f.units if u.channel == channel]
        manifest = read_manifest(folder)
        unit = UnitKey(
            run=folder.name,
            field=field,
            channel=channel,
            attempt=taken[-1].attempt if taken else 1,
        )
    except (AcqError, ProcError, ValidationError):
        return Response(status_code=204)
    longer_px = max(manifest.frame_height, manifest.frame_width)
    grown = context.growing.of(folder, unit, longer_px * manifest.camera.pixel_nm)
    if grown is None:
        return Response(status_code=204)
    return Response(
        grown.png,
        media_type="image/png",
        headers={
            "x-unit": grown.unit,
            "x-localizations": str(grown.localizations),
            "x-frames": str(grown.frames),
            "x-trace": grown.trace,
        },
    )


def _live(context: Context, contrast: Contrast) -> Response:
    active = context.control.health().active_run
    newest = context.control.runs(limit=1)
    name = active or (newest[0].id if newest else "")
    if not name:
        raise RunNotFoundError("there is no run yet, and light is on in runs alone")
    folder = context.archive.folder(context.control.run(name).folder)
    picture = context.live.of(folder, contrast)
    return Response(
        picture.jpeg,
        media_type="image/jpeg",
        headers={
            "x-run": name,
            "x-unit": picture.unit,
            "x-frame": str(picture.frame),
            "x-source": picture.source,
            "x-age-s": f"{max(0.0, time.time() - picture.written_s):.2f}",
        },
    )
