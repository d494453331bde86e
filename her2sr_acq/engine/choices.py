"""What there is to choose from in a run, as it is shown, and a person's choice of it.

Reads the run folder, so that it answers for a run that is over, too.
"""

from __future__ import annotations

from typing import Literal

from her2sr_acq.engine.ballot import closed
from her2sr_acq.engine.choice import Choice, suggested
from her2sr_acq.engine.choice_views import OverviewTile, SelectionRequest, SelectionView
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.rebuild import order_of
from her2sr_acq.engine.slot import Slot
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import RunConflictError, RunNotFoundError
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.selection import Overview, Selection, TileScore
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest

State = Literal["none", "looking", "open", "made", "ended"]


class Choices:
    """Overviews and choices. May be used from any thread."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def look(self, run_id: str) -> SelectionView:
        """Return the tiles of a run, their scores and pictures, and the choice."""
        view = self._view(run_id)
        order = self._order(run_id)
        folder = self._slot.station.data.run(run_id)
        selection = _selection(folder)
        overview = selection.overview if selection else _overview(folder)
        plan = order.protocol.select
        camera = self._slot.station.for_protocol(order.protocol).config.camera
        height, width = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        mosaic = folder.overview_mosaic
        state = "none" if plan is None else _state(view, selection)
        offer = Choice((), {}, "")
        if state == "open" and plan is not None and overview is not None:
            offer = suggested(overview, order.tiles, (height, width), plan)
        return SelectionView(
            run=run_id,
            state=state,
            choose="" if plan is None else plan.choose,
            until_utc=view.awaits_until_utc,
            tile_height_um=height,
            tile_width_um=width,
            tiles=tuple(
                _tile(tile, folder, overview, selection) for tile in order.tiles
            ),
            picture=_address(run_id, "grid") if mosaic.exists() else None,
            scored_by=overview.scored_by if overview else "",
            fall_back=overview.fall_back if overview else "",
            by=selection.by if selection else "",
            rule=selection.rule if selection else "",
            seed=selection.seed if selection else None,
            chosen=selection.chosen if selection else (),
            most=min(plan.fields, len(order.tiles))
            if plan and state == "open"
            else None,
            suggested=offer.chosen,
            suggested_rule=offer.rule,
        )

    def choose(self, run_id: str, request: SelectionRequest) -> RunView:
        """Hand in a person's choice.

        Raises `RunConflictError` for a run that does not wait for one,
        `RunNotFoundError` for a field that it has not.
        """
        held = self._slot.holds(run_id)
        if held is None or held.is_over:
            raise RunConflictError(self._too_late(self._view(run_id)))
        known = {field.name for field in held.tracker.fields}
        for name in request.fields:
            if name not in known:
                raise RunNotFoundError(f"the run has no field '{name}'")
        if not held.ballot.is_open and (made := self._made(run_id)) is not None:
            raise RunConflictError(closed(made.utc, made.by, made.chosen))
        held.ballot.cast(request, utc=self._slot.station.clock.stamp())
        return held.view

    def _made(self, run_id: str) -> Selection | None:
        return _selection(self._slot.station.data.run(run_id))

    def _too_late(self, view: RunView) -> str:
        """Return why a run that is not in progress takes no choice."""
        if (made := self._made(view.id)) is not None:
            return closed(made.utc, made.by, made.chosen)
        if view.state is RunState.INTERRUPTED or view.state not in FINAL:
            return (
                f"the run is {view.state.value} and takes no choice now; resume it "
                f"first, and it waits for one again"
            )
        if _overview(self._slot.station.data.run(view.id)) is not None:
            return closed(view.ended_utc or "its end", "", ())
        return (
            f"cannot choose fields of a run that is {view.state.value} and had no "
            f"overview; submit it again"
        )

    def _view(self, run_id: str) -> RunView:
        held = self._slot.holds(run_id)
        return held.view if held else self._slot.station.database.run(run_id)

    def _order(self, run_id: str) -> RunOrder:
        order = self._slot.station.database.order(run_id)
        return order or order_of(self._slot.station.data.run(run_id))


def _state(view: RunView, selection: Selection | None) -> State:
    if selection is not None:
        return "made"
    if view.awaits == "selection":
        return "open"
    return "ended" if view.state in FINAL else "looking"


def _selection(folder: RunFolder) -> Selection | None:
    return read_manifest(folder).selection if folder.manifest.exists() else None


def _overview(folder: RunFolder) -> Overview | None:
    if not folder.overview.exists():
        return None
    return Overview.model_validate_json(folder.overview.read_text())


def _tile(
    tile: FieldFacts,
    folder: RunFolder,
    overview: Overview | None,
    selection: Selection | None,
) -> OverviewTile:
    is_seen = folder.overview_preview(tile.name).exists()
    score = (
        TileScore(field=tile.name, seen=is_seen, holds_tissue=True)
        if overview is None
        else overview.tile(tile.name)
    )
    return OverviewTile(
        **score.model_dump(),
        row=tile.row,
        column=tile.column,
        x_um=tile.x_um,
        y_um=tile.y_um,
        picture=_address(folder.name, tile.name) if is_seen else None,
        chosen=None if selection is None else tile.name in selection.chosen,
    )


def _address(run_id: str, name: str) -> str:
    return f"/api/v1/runs/{run_id}/overview/{name}.png"
