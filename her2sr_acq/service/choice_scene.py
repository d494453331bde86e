"""What the page of a run shows of the choice of its fields: tiles where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from her2sr_acq.engine.choice_views import OverviewTile, SelectionView
from her2sr_acq.service.context import Context
from her2sr_acq.service.scenes import Scene, attempt


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle on the slide that holds tiles, in um of the stage."""

    left_um: float
    top_um: float
    width_um: float
    height_um: float

    @classmethod
    def of(cls, places: Sequence[tuple[float, float]], tile: Size) -> Frame:
        """Return the frame of tiles of a width and height with these centres."""
        across, down = zip(*places, strict=True)
        left, top = min(across) - tile.width_um / 2, min(down) - tile.height_um / 2
        return cls(
            left,
            top,
            max(across) + tile.width_um / 2 - left,
            max(down) + tile.height_um / 2 - top,
        )


@dataclass(frozen=True, slots=True)
class Size:
    """Of one tile."""

    width_um: float
    height_um: float

    @classmethod
    def told(cls, view: SelectionView) -> Size:
        """Return the size of the tiles of an overview."""
        return cls(view.tile_width_um, view.tile_height_um)


@dataclass(frozen=True, slots=True)
class Place:
    """One tile, and where it lies in the picture of all, in percent of it."""

    tile: OverviewTile
    left: float
    top: float
    order: int
    """When it is taken, from 1; 0 where it is not chosen, or not decided yet."""


def choice_scene(context: Context, run_id: str) -> Scene:
    """Return the tiles and the choice; nothing where there is none to be made."""
    view: SelectionView | None
    view = attempt(lambda: context.control.selection(run_id), None, [])
    if view is None or view.state == "none" or not view.tiles:
        return {"choice": None, "run_id": run_id}
    frame = frame_of(view)
    return {
        "choice": view,
        "run_id": run_id,
        "places": _places(view, frame),
        "wide": 100.0 * view.tile_width_um / frame.width_um,
        "high": 100.0 * view.tile_height_um / frame.height_um,
        "aspect": frame.width_um / frame.height_um,
    }


def frame_of(view: SelectionView) -> Frame:
    """Return where the picture of the whole grid lies on the slide."""
    return Frame.of([(t.x_um, t.y_um) for t in view.tiles], Size.told(view))


def _places(view: SelectionView, frame: Frame) -> list[Place]:
    order = {name: number for number, name in enumerate(view.chosen, start=1)}
    return [
        Place(
            tile=tile,
            left=100.0
            * (tile.x_um - view.tile_width_um / 2 - frame.left_um)
            / frame.width_um,
            top=100.0
            * (tile.y_um - view.tile_height_um / 2 - frame.top_um)
            / frame.height_um,
            order=order.get(tile.field, 0),
        )
        for tile in sorted(view.tiles, key=lambda t: (t.row, t.column))
    ]
