"""The last overview that was taken of a slide: its picture, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.engine.choice_views import SelectionView
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import AcqError
from her2sr_acq.service.choice_scene import Frame, Size, frame_of
from her2sr_acq.service.context import Context
from her2sr_proc.errors import ProcError

LOOKED_THROUGH = 500
"""Newest runs among which one of the slide is looked for."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The picture of a grid, and the rectangle of the stage that it shows."""

    run: str
    utc: str
    address: str
    frame: Frame
    tile: Size


def last_sight(context: Context, sample: str) -> Sight | None:
    """Return the newest overview of a slide; None without one, or without an answer.

    Two slides under one pseudonym are one slide to it, as to everything else here.
    """
    if not sample:
        return None
    try:
        for run in context.control.runs(limit=LOOKED_THROUGH):
            if run.sample == sample and (found := _sight(context, run)) is not None:
                return found
    except AcqError:
        return None
    return None


def _sight(context: Context, run: RunView) -> Sight | None:
    try:
        context.archive.overview_picture(run.folder, "grid")
        view: SelectionView = context.control.selection(run.id)
    except (AcqError, ProcError):
        return None
    if view.picture is None or not view.tiles:
        return None
    return Sight(
        run=run.id,
        utc=run.created_utc,
        address=view.picture,
        frame=frame_of(view),
        tile=Size.told(view),
    )
