"""From a request to the desk of a run, and to the person who works at it.

The one door of the service to the steps of processing (decision 0021). The process of
the service loads them once it listens; other users of this module, when they ask.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Annotated

from fastapi import Header

from her2sr_acq.errors import LoginNeededError, PlanRejectedError
from her2sr_acq.service.access import ActorDep
from her2sr_acq.service.context import Context
from her2sr_proc.schema.case import ACCOUNT, NAMED, UNNAMED
from her2sr_proc.schema.review import MosaicView, Reviewer

if TYPE_CHECKING:
    from pathlib import Path

    from her2sr_proc.review.desk import Desk
    from her2sr_proc.review.pictures import Colours, View
    from her2sr_proc.schema.reading import Picture


log = logging.getLogger(__name__)


def load() -> None:
    """Import the steps now.

    Imported while others ask, they hold up every answer, an e-stop's by 0.3 s: so once,
    in the first second of the service.
    """
    import her2sr_proc.review.desk
    import her2sr_proc.review.mosaic
    import her2sr_proc.review.pictures
    import her2sr_proc.store.raw  # noqa: F401 - zarr, for the live picture from disk


def reviewer(
    actor: ActorDep,
    x_observer: Annotated[
        str | None,
        Header(
            pattern=r"^[A-Za-z0-9_-]{1,64}$",
            description="pseudonym of who asks, where nobody logs in; recorded as "
            "named by the person, not authenticated",
            json_schema_extra={"not": {"const": UNNAMED}},
        ),
    ] = None,
) -> Reviewer:
    """Return who asks: the account, or where nobody logs in the name that is given.

    Raises `LoginNeededError` where neither is known.
    """
    if x_observer == UNNAMED:
        raise PlanRejectedError(
            f"'{UNNAMED}' stands in records for nobody in particular; take another name"
        )
    if actor is not None and actor.way != "open":
        return Reviewer(name=actor.name, identity=ACCOUNT)
    if x_observer is None:
        raise LoginNeededError(
            "say who you are: a pseudonym in the header X-Observer, or log in"
        )
    return Reviewer(name=x_observer, identity=NAMED)


def desk(context: Context, run_id: str) -> Desk:
    """Return the desk of a run.

    Raises `RunNotFoundError` where there is none, `IntegrityError` for a record that
    would be written elsewhere.
    """
    from her2sr_proc.review.desk import Desk

    run = context.archive.run(run_id)
    context.archive.require_own(run, run.case)
    return Desk(run, lambda: context.now().isoformat(), context.seed)


def mosaic(found: Desk) -> MosaicView:
    """Return the slide: what of it can be shown, and where it lies."""
    from her2sr_proc.review.mosaic import mosaic

    return mosaic(found.run, found.machine(), found.case())


def tile(found: Desk, channel: str, level: int, name: str) -> Path:
    """Return the file of a tile of the mosaic. Raises `AbsentError` for a dark one."""
    from her2sr_proc.review.mosaic import tile

    return tile(found.run, found.machine(), channel, level, name)


def field_picture(found: Desk, field: str, channel: str, size: int) -> bytes:
    """Return a field of the mosaic as PNG."""
    from her2sr_proc.review.pictures import field_picture

    return field_picture(found.run, found.machine(), field, channel, size)


def crop(
    found: Desk, key: str, picture: Picture, view: View, colours: Colours
) -> bytes:
    """Return a nucleus as PNG."""
    from her2sr_proc.review.pictures import crop

    machine = found.machine()
    return crop(found.run, machine, key, picture=picture, view=view, colours=colours)


def kept_from(context: Context, run_id: str, name: str | None) -> str:
    """Return why counts are kept from a person, as ``reading`` or ``recount``.

    Empty where they are not. ``name`` None: nobody knows who asks, so that what holds
    for anybody holds. A record that cannot be read keeps them from everybody.
    """
    from her2sr_proc.errors import ProcError

    try:
        run = context.archive.run(run_id)
        context.archive.require_own(run, run.case)
        if not os.path.lexists(run.case):
            return ""
        case = desk(context, run_id).case()
    except (ProcError, OSError):
        return "record"
    is_open = any(
        not one.is_signed and name in (None, one.by) for one in case.readings.values()
    )
    if is_open:
        return "reading"
    return "" if case.may_see(name or "") else "recount"


def note_sight(context: Context, run_id: str, who: Reviewer) -> None:
    """Write down that a person sees counts of a run, in its record.

    Who is not known stands there as `UNNAMED`. Where nobody reviews the run and its
    folder cannot be written, it is told to the log alone; under review it is refused.
    """
    from her2sr_proc.errors import WriteError

    found = desk(context, run_id)
    try:
        found.note_sight(who)
    except (OSError, WriteError) as exc:
        if os.path.lexists(found.run.case):
            raise
        log.warning("%s saw counts of %s, unrecorded: %s", who.name, run_id, exc)
