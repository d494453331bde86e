"""The choice of fields over HTTP: what an overview shows, and what a person chose."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse
from pydantic import Field, JsonValue, field_validator

from her2sr_acq.engine.choice_views import SelectionRequest, SelectionView
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.outline import Box, Outline, read_outlines
from her2sr_acq.service.access import ORDER, VIEWER, ActorDep, OrderDep, name_of
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.model import Frozen

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"], responses=RESPONSES)

RunId = Annotated[str, Path(max_length=64)]


class Regions(Frozen):
    """Areas on the slide, as QuPath exports them."""

    regions: dict[str, JsonValue] = Field(
        description="GeoJSON of polygons, in micrometres of the stage"
    )

    @field_validator("regions")
    @classmethod
    def _are_areas(cls, regions: dict[str, JsonValue]) -> dict[str, JsonValue]:
        read_outlines(regions)
        return regions

    def outlines(self) -> tuple[Outline, ...]:
        """Return the areas."""
        return read_outlines(self.regions)


class Covered(Frozen):
    """Fields that an area overlaps."""

    fields: tuple[str, ...]


def covered(view: SelectionView, outlines: tuple[Outline, ...]) -> tuple[str, ...]:
    """Return the tiles with tissue that areas overlap, most of their area first."""
    size_um = view.tile_height_um, view.tile_width_um
    shares = {
        tile.field: sum(
            one.covered_um2(Box.around(tile.x_um, tile.y_um, size_um))
            for one in outlines
        )
        for tile in view.tiles
        if tile.holds_tissue
    }
    found = [name for name, share in shares.items() if share > 0.0]
    return tuple(sorted(found, key=lambda name: -shares[name]))


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


@router.post("/selection/regions", openapi_extra=VIEWER)
def find_fields(run_id: RunId, drawn: Regions, context: ContextDep) -> Covered:
    """Return the tiles that drawn areas overlap, most of their area first.

    Nothing is chosen by it; `POST` of the selection does that.
    """
    view = context.control.selection(run_id)
    return Covered(fields=covered(view, drawn.outlines()))


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
