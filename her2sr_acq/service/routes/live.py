"""The newest frame of the burst in progress, as a picture."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.live import Contrast
from her2sr_acq.service.problems import RESPONSES

router = APIRouter(tags=["microscope"], responses=RESPONSES)

Level = Annotated[int | None, Query(ge=0, le=65535, description="camera counts")]


@router.get(
    "/live.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def read_live_picture(
    context: ContextDep, low_adu: Level = None, high_adu: Level = None
) -> Response:
    """Return the last frame on disk of the run in progress, or of the last one.

    At most 1024 pixels a side and 5 pictures a second; `X-Unit`, `X-Frame` and
    `X-Age-S` say what it shows. Contrast by percentiles unless levels are given.
    """
    active = context.control.health().active_run
    newest = context.control.runs(limit=1)
    name = active or (newest[0].id if newest else "")
    if not name:
        raise RunNotFoundError("there is no run yet, and light is on in runs alone")
    folder = context.archive.folder(context.control.run(name).folder)
    picture = context.live.of(folder, Contrast(low_adu, high_adu))
    return Response(
        picture.jpeg,
        media_type="image/jpeg",
        headers={
            "x-run": name,
            "x-unit": picture.unit,
            "x-frame": str(picture.frame),
            "x-age-s": f"{max(0.0, time.time() - picture.written_s):.2f}",
        },
    )
