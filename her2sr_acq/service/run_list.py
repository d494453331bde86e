"""What the page *Runs* shows: runs of database and disk, found and sorted."""

from __future__ import annotations

from dataclasses import dataclass

from her2sr_acq.accounts.roles import Actor
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import AcqError
from her2sr_acq.service import answers
from her2sr_acq.service.context import Context
from her2sr_acq.service.scenes import Scene, attempt, share_done
from her2sr_proc.schema.results import RunResult

PER_PAGE = 25
MOST = 5000
"""Runs that are looked through; older ones are found on the disk by their id."""
ORDERS = ("newest", "oldest", "by_sample")


@dataclass(frozen=True, slots=True)
class Row:
    """A run in the list; ``run`` is None where only the disk knows it."""

    id: str
    run: RunView | None
    share: float
    has_result: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for."""

    search: str = ""
    state: str = ""
    order: str = "newest"
    page: int = 1

    def fits(self, name: str, run: RunView | None) -> bool:
        """Return whether a run is among what is looked for."""
        if self.state and (run is None or run.state != self.state):
            return False
        told = [name]
        if run is not None:
            told += [run.sample, run.protocol, run.operator]
        return self.search.strip().casefold() in "\n".join(told).casefold()


def list_scene(context: Context, wanted: Wanted) -> Scene:
    """Return one page of the runs that fit."""
    trouble = ""
    runs: list[RunView] = []
    try:
        runs = _all(context)
    except AcqError as exc:
        trouble = str(exc)
    known = {run.id: run for run in runs}
    names = [*known, *(n for n in context.archive.run_ids() if n not in known)]
    found = [(name, known.get(name)) for name in names]
    found = [pair for pair in found if wanted.fits(*pair)]
    found.sort(key=_age, reverse=wanted.order != "oldest")
    if wanted.order == "by_sample":  # the sort is stable: newest first in a sample
        found.sort(key=lambda pair: pair[1].sample if pair[1] else "~")
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(wanted.page, pages)
    shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
    return {
        "rows": [
            Row(
                name,
                run,
                share_done(run) if run else 1.0,
                answers.is_there(context, name),
            )
            for name, run in shown
        ],
        "found": len(found),
        "is_any": bool(names),
        "page": page,
        "pages": pages,
        "wanted": wanted,
        "states": list(RunState),
        "orders": ORDERS,
        "trouble": trouble,
    }


def compare_scene(context: Context, names: list[str], actor: Actor | None) -> Scene:
    """Return two runs side by side; a run without a result shows that it has none.

    Each is left out for whoever reads it blind, as on the morning page.
    """
    return {"columns": [_column(context, name, actor) for name in names[:2]]}


def _column(
    context: Context, name: str, actor: Actor | None
) -> tuple[str, str, RunResult | None]:
    is_there = answers.is_there(context, name)
    blind = answers.blindness(context, name, actor) if is_there else ""
    if blind or not is_there:
        return name, blind, None
    result = attempt(lambda: answers.result(context, name, actor), None, [])
    return name, "", result


def _all(context: Context) -> list[RunView]:
    runs: list[RunView] = []
    while len(runs) < MOST:
        before = runs[-1].id if runs else ""
        further = context.control.runs(limit=500, before=before)
        runs += further
        if len(further) < 500:
            break
    return runs


def _age(pair: tuple[str, RunView | None]) -> str:
    # an id begins with its date, so that it stands in for a time nobody kept
    return pair[0]
