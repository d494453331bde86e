"""The microscope over HTTP: what it is, what it can do, how much disk is left."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from her2sr_acq.engine.device_views import CheckupView, DevicesView
from her2sr_acq.engine.hand_views import (
    Jog,
    Marks,
    Picture,
    SnapRequest,
    StagePosition,
    StageView,
)
from her2sr_acq.engine.views import ProtocolView
from her2sr_acq.errors import RunConflictError
from her2sr_acq.service import phrases
from her2sr_acq.service.access import ACT, ORDER, OrderDep
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.language import SpokenDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen

router = APIRouter(tags=["microscope"], responses=RESPONSES)


class StorageView(Frozen):
    """The file system that holds the data folder."""

    total_bytes: int = Field(ge=0)
    free_bytes: int = Field(ge=0)
    runs: int = Field(ge=0, description="run folders on it")


@router.get("/devices")
def read_devices(context: ContextDep) -> DevicesView:
    """Return what every device says of itself."""
    return context.control.devices()


@router.post("/doctor", openapi_extra=ACT)
def examine(context: ContextDep, spoken: SpokenDep) -> CheckupView:
    """Look at everything that `her2sr doctor` looks at.

    The light is shut for it. In a run no device is asked, and the answer says so. 409
    while another look is going on: its answer holds for both.
    """
    if not context.doctor.acquire(blocking=False):
        raise RunConflictError(
            "everything is being examined already; wait for that answer, some seconds"
        )
    try:
        seen = context.control.examine()
    finally:
        context.doctor.release()
    return seen.model_copy(update={"found": phrases.lines(spoken, seen.found)})


@router.post("/stage/move", openapi_extra=ORDER)
def move_stage(position: StagePosition, control: OrderDep) -> StagePosition:
    """Move the stage, in the dark and between runs; return where it reads itself.

    The same place twice is no further move. 409 while a run has the microscope.
    """
    return control.move(position)


@router.get("/stage")
def read_stage(context: ContextDep) -> StageView:
    """Return where stage and focus stand. 409 while a run has the microscope."""
    return context.control.where()


@router.post("/stage/jog", openapi_extra=ORDER)
def jog_stage(jog: Jog, control: OrderDep) -> StageView:
    """Step stage and focus from where they are, in the dark and between runs.

    A step beyond the limits is refused before anything moves.
    """
    return control.jog(jog)


@router.post("/stage/snap", openapi_extra=ORDER)
def take_picture(asked: SnapRequest, control: OrderDep) -> Picture:
    """Take one picture of the present place, in light that is counted.

    A place that has had what looking may spend is refused before anything is lit.
    """
    return control.snap(asked)


class NamedPlace(Frozen):
    """The present place, to be kept under a name."""

    name: str = Field(pattern=NAME, description="such as corner-1")


@router.get("/stage/marks")
def read_marks(context: ContextDep) -> Marks:
    """Return the places marked, and the rectangle that holds them."""
    return context.control.marks()


@router.post("/stage/marks", openapi_extra=ORDER)
def mark_place(place: NamedPlace, control: OrderDep) -> Marks:
    """Keep the present place under a name: a corner, a region on the way."""
    return control.mark(place.name)


@router.delete("/stage/marks", openapi_extra=ORDER)
def clear_marks(control: OrderDep) -> Marks:
    """Forget every mark."""
    return control.clear_marks()


@router.get("/protocols")
def read_protocols(context: ContextDep) -> list[ProtocolView]:
    """Return the packaged protocols and what each would cost here."""
    return context.control.protocols()


@router.get("/storage")
def read_storage(context: ContextDep) -> StorageView:
    """Return how much room is left for frames."""
    space = context.archive.space()
    return StorageView(
        total_bytes=space.total_bytes,
        free_bytes=space.free_bytes,
        runs=sum(1 for _ in context.archive.run_ids()),
    )
