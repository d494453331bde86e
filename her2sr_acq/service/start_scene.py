"""What the page *Start* shows: protocols, the drawing of a plan, slides that wait."""

from __future__ import annotations

from datetime import timedelta

from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import ProtocolView
from her2sr_acq.errors import AcqError, PlanRejectedError
from her2sr_acq.service.context import Context
from her2sr_acq.service.language import t
from her2sr_acq.service.plan_scene import plan_scene
from her2sr_acq.service.pseudonym import RULES
from her2sr_acq.service.scenes import Scene


def start_scene(context: Context) -> Scene:
    """Return the form, also when the hardware process is gone."""
    protocols: list[ProtocolView] = []
    trouble = ""
    try:
        protocols = context.control.protocols()
    except AcqError as exc:
        trouble = str(exc)
    first = protocols[0].name if protocols else ""
    return {
        "protocols": protocols,
        "protocol": first,
        "rules": [(rule.pattern, t(rule.key), rule.must_match) for rule in RULES],
        "trouble": trouble,
        **queue_scene(context),
        **drawn_scene(context, protocols, first, None, None),
    }


def drawn_scene(
    context: Context,
    protocols: list[ProtocolView],
    name: str,
    rows: int | None,
    columns: int | None,
) -> Scene:
    """Return the drawing of a plan and its cost, or why there is none."""
    try:
        plan = plan_scene(protocols, name, rows, columns)
    except PlanRejectedError as exc:
        return {"plan": None, "plan_trouble": str(exc) if protocols else ""}
    end = context.now() + timedelta(seconds=float(str(plan["duration_s"])))
    return {"plan": {**plan, "finish_utc": end.isoformat()}, "plan_trouble": ""}


def queue_scene(context: Context) -> Scene:
    """Return the runs that are not over, in the order they were asked for."""
    try:
        runs = context.control.runs(limit=100)
    except AcqError:
        runs = []
    return {"queued": [run for run in reversed(runs) if run.state not in FINAL]}
