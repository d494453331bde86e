"""What a page shows: gathered here, so that templates only lay out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import FieldView, Health, RunView
from her2sr_acq.errors import AcqError, RunNotFoundError
from her2sr_acq.service.context import Context
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
    health: Health | None = _try(context.control.health, None, trouble)
    return {"health": health, "trouble": trouble[0] if trouble else ""}


def run_scene(context: Context, run_id: str, field: str) -> Scene:
    """Return what a run's page shows. Raises `RunNotFoundError` if nobody knows it."""
    trouble: list[str] = []
    run = _run_view(context, run_id, trouble)
    fields: list[FieldView] = []
    if run is not None:
        fields = _try(lambda: context.control.fields(run_id), [], trouble)
    previews = _previews(context, run_id)
    shown = field if field in previews else next(reversed(previews), "")
    result = _result(context, run_id)
    return {
        "run_id": run_id,
        "run": run,
        "trouble": trouble[0] if trouble else "",
        "is_final": run is None or run.state in FINAL,
        "share": share_done(run) if run else 0.0,
        "remaining_s": remaining_s(run, context.now()) if run else None,
        "tiles": fields,
        "columns": 1 + max((tile.column for tile in fields), default=0),
        "shown": shown,
        "pictured": list(previews),
        "pictures": previews.get(shown, []),
        "result": result,
        "columns_of_result": _result_columns(result),
        "has_report": _has_report(context, run_id),
    }


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


def _run_view(context: Context, run_id: str, trouble: list[str]) -> RunView | None:
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


def _previews(context: Context, run_id: str) -> dict[str, list[Pictures]]:
    kinds: dict[str, dict[str, tuple[str, ...]]] = {}
    found: Sequence[tuple[str, str, str]] = ()
    found = _try(lambda: context.archive.previews(run_id), found, [])
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


def _result(context: Context, run_id: str) -> RunResult | None:
    return _try(lambda: context.archive.result(run_id), None, [])


def _result_columns(result: RunResult | None) -> list[tuple[str, object]]:
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


def _has_report(context: Context, run_id: str) -> bool:
    return _try(lambda: bool(context.archive.report(run_id)), False, [])


def _try(ask: Callable[[], T], otherwise: T, trouble: list[str]) -> T:
    """Return the answer, or ``otherwise`` with the reason noted in ``trouble``."""
    try:
        return ask()
    except (AcqError, ProcError) as exc:
        trouble.append(str(exc))
        return otherwise
