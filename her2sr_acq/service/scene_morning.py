"""What the morning page shows: what is there, what is not and why, and the answer.

The answer is left out for whoever reads blind; the templates get nothing to hide.
"""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.accounts.roles import Actor
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import FieldView, RunView
from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.service import answers
from her2sr_acq.service.context import Context
from her2sr_acq.service.left_out import is_left_out, left_out
from her2sr_acq.service.scenes import (
    Scene,
    answer_columns,
    attempt,
    previews,
    run_view,
)
from her2sr_proc.schema.results import RunResult

SHOWN = 60
"""Pictures of the gallery; the rest is one link away."""


@dataclass(frozen=True, slots=True)
class Burst:
    """One field and channel, by its last attempt."""

    field: str
    channel: str
    attempt: int
    state: str
    written: int
    requested: int
    delivered: int
    reason: str

    @property
    def is_whole(self) -> bool:
        """Whether everything asked for is on disk and may be scored."""
        return self.state == "complete" and not self.reason


def last_night(context: Context) -> str:
    """Return the id of the newest run that is over, else of the newest.

    Raises `RunNotFoundError` where there is none.
    """
    runs: list[RunView] = attempt(context.control.runs, [], [])
    over = [run.id for run in runs if run.state in FINAL]
    known = [*over, *context.archive.run_ids(), *(run.id for run in runs)]
    if not known:
        raise RunNotFoundError("there is no run yet; start one on the page Start")
    return known[0]


def morning_scene(context: Context, run_id: str, actor: Actor | None) -> Scene:
    """Return the morning page of a run. Raises `RunNotFoundError`."""
    trouble: list[str] = []
    run = run_view(context, run_id, trouble)
    fields: list[FieldView] = []
    if run is not None:
        fields = attempt(lambda: context.control.fields(run_id), [], trouble)
    has_result = answers.is_there(context, run_id)
    blind = answers.blindness(context, run_id, actor) if has_result else ""
    result: RunResult | None = None
    if has_result and not blind:
        result = attempt(lambda: answers.result(context, run_id, actor), None, [])
    bursts = _last_attempts(fields) if fields else _accounted(result)
    fewer = left_out(context, run_id)
    apart = [b for b in bursts if is_left_out(b.field, b.state, b.attempt, fewer)]
    bursts = [burst for burst in bursts if burst not in apart]
    missing = [burst for burst in bursts if not burst.is_whole]
    found = previews(context, run_id)
    return {
        "run_id": run_id,
        "run": run,
        "trouble": trouble[0] if trouble else "",
        "is_final": run is None or run.state in FINAL,
        "bursts": bursts,
        "missing": missing,
        "apart": apart,
        "blind": blind,
        "result": result,
        "has_result": has_result,
        "columns_of_result": answer_columns(result),
        "has_report": not blind and answers.has_report(context, run_id),
        "gallery": [
            (field, picture.channel, picture.kinds[-1])
            for field, pictures in found.items()
            for picture in pictures
            if "superresolution" in picture.kinds
        ][:SHOWN],
    }


def _last_attempts(fields: list[FieldView]) -> list[Burst]:
    last: dict[tuple[str, str], Burst] = {}
    for field in fields:
        for unit in field.units:
            last[unit.field, unit.channel] = Burst(
                field=unit.field,
                channel=unit.channel,
                attempt=unit.attempt,
                state=unit.state.value,
                written=unit.written,
                requested=unit.requested,
                delivered=unit.delivered,
                reason=unit.reason or unit.not_scorable,
            )
    return list(last.values())


def _accounted(result: RunResult | None) -> list[Burst]:
    """Return the bursts as the result's accounting tells them, without acq."""
    last: dict[tuple[str, str], Burst] = {}
    for unit in result.accounting.units if result else ():
        last[unit.field, unit.channel] = Burst(
            field=unit.field,
            channel=unit.channel,
            attempt=unit.attempt,
            state=unit.state,
            written=unit.written,
            requested=unit.requested,
            delivered=unit.delivered,
            reason=unit.reason,
        )
    return list(last.values())
