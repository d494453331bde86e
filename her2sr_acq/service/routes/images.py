"""Previews over HTTP, read from the disk."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES

router = APIRouter(
    prefix="/runs/{run_id}/images", tags=["results"], responses=RESPONSES
)


@router.get(
    "/{field}/{channel}/{kind}.png",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
)
def read_image(
    run_id: str, field: str, channel: str, kind: str, context: ContextDep
) -> FileResponse:
    """Return a preview; ``kind`` is ``conventional`` or ``superresolution``."""
    path = context.archive.preview(run_id, field, channel, kind)
    return FileResponse(
        path, media_type="image/png", headers={"cache-control": "no-cache"}
    )
