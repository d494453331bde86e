"""The choice of fields over HTTP: what an overview shows, and what a person chose."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from her2sr_acq.engine.views import RunView, SelectionRequest, SelectionView
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.service.access import ORDER, ActorDep, OrderDep, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"], responses=RESPONSES)

RunId = Annotated[str, Path(max_length=64)]


@router.get("/selection")
def read_selection(run_id: RunId, context: ContextDep) -> SelectionView:
    """Return the tiles with scores and addresses of pictures, and the choice.

    `state` is `open` while the run waits for somebody to choose.
    """
    return context.control.selection(run_id)


@router.post("/selection", openapi_extra=ORDER)
def choose_fields(
    run_id: RunId, choice: SelectionRequest, control: OrderDep, actor: ActorDep
) -> RunView:
    """Choose the fields of a run that waits for it; they are taken in this order.

    Answers 409 for a run that does not wait. Whoever is logged in has chosen.
    """
    if (own := name_of(actor, choice.by)) != choice.by:
        raise PlanRejectedError(
            f"whoever is logged in chooses: give '{own}', not '{choice.by}'"
        )
    return control.choose(run_id, choice)


@router.get(
    "/overview/{name}.png",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
)
def read_overview_picture(
    run_id: RunId, name: Annotated[str, Path(max_length=64)], context: ContextDep
) -> FileResponse:
    """Return the overview picture of a field, or of the whole `grid`."""
    return FileResponse(
        context.archive.overview_picture(run_id, name),
        media_type="image/png",
        headers={"cache-control": "no-cache"},
    )
