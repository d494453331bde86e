"""Pictures of a review: none tells a count."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response

from her2sr_acq.service import answers
from her2sr_acq.service.access import ActorDep
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_acq.service.reviewing import crop, desk, field_picture, tile
from her2sr_acq.service.routes.review import FieldName, Item, Nucleus, ReadingName
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.reading import Picture

router = APIRouter(prefix="/runs/{run_id}/review", tags=["review"], responses=RESPONSES)
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
KEPT = {"cache-control": "private, max-age=300"}
View = Literal["both", "her2", "cep17"]
Colours = Annotated[
    Literal["safe", "clinic"],
    Query(description="safe: HER2 magenta; clinic: HER2 red; CEP17 green"),
]
Channel = Annotated[str, Path(pattern=NAME)]


@router.get(
    "/fields/{field}/{channel}/{size}.png", response_class=Response, responses={**PNG}
)
def read_field(
    run_id: str,
    field: FieldName,
    channel: Channel,
    size: Literal["256", "1024", "4096"],
    context: ContextDep,
) -> Response:
    """Return one channel of a field, at most ``size`` pixels a side."""
    picture = field_picture(desk(context, run_id), field, channel, int(size))
    return Response(picture, media_type="image/png", headers=KEPT)


@router.get(
    "/mosaic/{channel}/{level}/{tile_name}.png",
    response_class=FileResponse,
    responses={**PNG},
)
def read_tile(
    run_id: str,
    channel: Channel,
    level: Annotated[int, Path(ge=0, lt=40)],
    tile_name: Annotated[str, Path(pattern=r"^\d{1,4}_\d{1,4}$")],
    context: ContextDep,
) -> FileResponse:
    """Return a tile, COLUMN_ROW, of the super-resolution mosaic; 404 for dark ones."""
    path = tile(desk(context, run_id), channel, level, tile_name)
    return FileResponse(path, media_type="image/png", headers=KEPT)


@router.get(
    "/nuclei/{field}/{nucleus}/{picture}/{view}.png",
    response_class=Response,
    responses={**PNG},
)
def read_crop(  # noqa: PLR0913 - one id a part of the path
    run_id: str,
    field: FieldName,
    nucleus: Nucleus,
    picture: Picture,
    view: View,
    context: ContextDep,
    actor: ActorDep,
    colours: Colours = "safe",
) -> Response:
    """Return a nucleus cut out: both probes over DAPI, or one alone in grey.

    409 `blinded` to an account whose reading is open: the same bytes as those of a
    picture of the reading would tell which nucleus and arm it is of.
    """
    answers.refuse_reader(context, run_id, actor)
    found = desk(context, run_id)
    image = crop(found, f"{field}/{nucleus}", picture, view, colours)
    return Response(image, media_type="image/png", headers=KEPT)


@router.get(
    "/readings/{reading}/items/{item}/{view}.png",
    response_class=Response,
    responses={**PNG},
)
def read_item(
    run_id: str,
    reading: ReadingName,
    item: Item,
    view: View,
    context: ContextDep,
    colours: Colours = "safe",
) -> Response:
    """Return one picture of a reading; which nucleus and arm it is stays untold."""
    found = desk(context, run_id)
    shown = found.item(reading, item)
    image = crop(found, shown.nucleus, shown.picture, view, colours)
    return Response(image, media_type="image/png", headers=KEPT)
