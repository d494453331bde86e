"""What the page *Start* shows: protocols, the drawing of a plan, slides that wait."""

from __future__ import annotations

from datetime import timedelta

from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import ProtocolView
from her2sr_acq.errors import AcqError, PlanRejectedError
from her2sr_acq.plan.models import Grid
from her2sr_acq.service.context import Context
from her2sr_acq.service.language import t
from her2sr_acq.service.plan_scene import Ground, Wish, plan_scene, wished
from her2sr_acq.service.pseudonym import RULES
from her2sr_acq.service.scenes import Scene, attempt
from her2sr_acq.service.sight import last_sight


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
        **drawn_scene(context, protocols, Wish(first)),
    }


def drawn_scene(
    context: Context,
    protocols: list[ProtocolView],
    wish: Wish,
) -> Scene:
    """Return the drawing of a plan and its cost, or why there is none."""
    try:
        found, cost = wished(protocols, wish)
        plan = plan_scene(found, cost, wish, _ground(context, found.grid, wish.sample))
    except PlanRejectedError as exc:
        return {"plan": None, "plan_trouble": str(exc) if protocols else ""}
    end = context.now() + timedelta(seconds=float(str(plan["duration_s"])))
    return {"plan": {**plan, "finish_utc": end.isoformat()}, "plan_trouble": ""}


def _ground(context: Context, grid: Grid, sample: str) -> Ground | None:
    """Return what the plan is drawn over, where that and its middle are known."""
    sight = last_sight(context, sample)
    if sight is None:
        return None
    if grid.centre != "current":
        return Ground(sight, grid.centre)
    here = attempt(context.control.where, None, [])
    return None if here is None else Ground(sight, (here.x_um, here.y_um))


def queue_scene(context: Context) -> Scene:
    """Return the runs that are not over, in the order they were asked for."""
    try:
        runs = context.control.runs(limit=100)
    except AcqError:
        runs = []
    return {"queued": [run for run in reversed(runs) if run.state not in FINAL]}
