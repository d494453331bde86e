"""What a page shows: gathered here, so that templates only lay out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import FieldView, Health, RunView
from her2sr_acq.errors import AcqError, RunNotFoundError
from her2sr_acq.service import answers
from her2sr_acq.service.archive import UnitLight
from her2sr_acq.service.context import Context
from her2sr_acq.service.gauges import Gauges, read_gauges
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.results import ARMS, RunResult

T = TypeVar("T")
Scene = dict[str, object]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The previews of one channel of one field."""

    channel: str
    kinds: tuple[str, ...]


def now_scene(context: Context) -> Scene:
    """Return what the line under the head of every page shows."""
    trouble: list[str] = []
    health: Health | None = attempt(context.control.health, None, trouble)
    return {"health": health, "trouble": trouble[0] if trouble else ""}


def run_scene(context: Context, run_id: str, field: str) -> Scene:
    """Return what a run's page shows. Raises `RunNotFoundError` if nobody knows it."""
    trouble: list[str] = []
    run = run_view(context, run_id, trouble)
    fields: list[FieldView] = []
    if run is not None:
        fields = attempt(lambda: context.control.fields(run_id), [], trouble)
    found = previews(context, run_id)
    shown = field if field in found else next(reversed(found), "")
    light: list[UnitLight] = attempt(
        lambda: context.archive.ensemble_light(run_id, shown), [], []
    )
    health: Health | None = attempt(context.control.health, None, [])
    left_s = remaining_s(run, context.now()) if run else None
    return {
        "run_id": run_id,
        "run": run,
        "trouble": trouble[0] if trouble else "",
        "is_final": run is None or run.state in FINAL,
        "share": share_done(run) if run else 0.0,
        "remaining_s": left_s,
        "finish_utc": _after(context.now(), left_s),
        "tiles": fields,
        "columns": 1 + max((tile.column for tile in fields), default=0),
        "shown": shown,
        "pictured": list(found),
        "pictures": found.get(shown, []),
        "light": light,
        "has_result": answers.is_there(context, run_id),
        "gauges": _gauges(context, run, fields, health),
    }


def _after(now: datetime, seconds: float | None) -> str:
    """Return the moment so many seconds from now, or nothing."""
    return "" if seconds is None else (now + timedelta(seconds=seconds)).isoformat()


def _gauges(
    context: Context,
    run: RunView | None,
    fields: list[FieldView],
    health: Health | None,
) -> Gauges | None:
    if run is None:
        return None
    return attempt(lambda: read_gauges(context, run, fields, health), None, [])


def share_done(run: RunView) -> float:
    """Return the share of frames on disk, 0 to 1."""
    return run.frames_done / run.frames_requested if run.frames_requested else 0.0


def remaining_s(run: RunView, now: datetime) -> float | None:
    """Return a guess at the seconds left, or None while there is no ground for one."""
    if run.started_utc is None or not run.frames_done or run.state in FINAL:
        return None
    elapsed = (now - datetime.fromisoformat(run.started_utc)).total_seconds()
    left = run.frames_requested - run.frames_done
    return max(0.0, elapsed * left / run.frames_done)


def run_view(context: Context, run_id: str, trouble: list[str]) -> RunView | None:
    """Return the live view; None when only the disk can still say something."""
    try:
        return context.control.run(run_id)
    except RunNotFoundError:
        context.archive.previews(run_id)  # raises when the disk has no such run either
        return None
    except AcqError as exc:
        context.archive.previews(run_id)
        trouble.append(str(exc))
        return None


def previews(context: Context, run_id: str) -> dict[str, list[Pictures]]:
    """Return the previews by field, in order."""
    kinds: dict[str, dict[str, tuple[str, ...]]] = {}
    found: Sequence[tuple[str, str, str]] = ()
    found = attempt(lambda: context.archive.previews(run_id), found, [])
    for field, channel, kind in found:
        channels = kinds.setdefault(field, {})
        channels[channel] = (*channels.get(channel, ()), kind)
    pairs_first = {
        field: sorted(channels.items(), key=lambda item: -len(item[1]))
        for field, channels in kinds.items()
    }
    return {
        field: [Pictures(channel, shown) for channel, shown in channels]
        for field, channels in pairs_first.items()
    }


def answer_columns(result: RunResult | None) -> list[tuple[str, object]]:
    """Return title and arm of every column of the table of answers."""
    if result is None:
        return []
    names = [result.headline, *(name for name in ARMS if name != result.headline)]
    columns: list[tuple[str, object]] = [
        (name, result.arms[name]) for name in names if name in result.arms
    ]
    if result.truth is not None:
        columns.append(("simulated truth: copies", result.truth.copies))
        columns.append(("simulated truth: signals", result.truth.signals))
    return columns


def attempt(ask: Callable[[], T], otherwise: T, trouble: list[str]) -> T:
    """Return the answer, or ``otherwise`` with the reason noted in ``trouble``."""
    try:
        return ask()
    except (AcqError, ProcError) as exc:
        trouble.append(str(exc))
        return otherwise
