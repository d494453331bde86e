"""Counts, answers and reports of runs, handed to those alone who are not blind.

The one door of the service to what a machine or another observer counted: REST and
pages come through here, so that a new one cannot forget the rule. Whoever is handed
something stands in the run's record as having seen it, also before a review begins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from her2sr_acq.accounts.roles import Actor
from her2sr_acq.errors import AcqError
from her2sr_acq.service import reviewing
from her2sr_acq.service.context import Context
from her2sr_proc.errors import BlindError, ProcError
from her2sr_proc.schema.case import ACCOUNT, NAMED, UNNAMED
from her2sr_proc.schema.results import RunResult
from her2sr_proc.schema.review import Reviewer

PathOf = Callable[[str], Path]
WHY = {
    "reading": "until the blind reading of this run is signed",
    "recount": "until the second observer has recounted",
    "record": "because the record of the review cannot be read; run `her2sr verify`",
}


def blindness(context: Context, run_id: str, actor: Actor | None) -> str:
    """Return why counts are kept from who asks, a key of `WHY`; empty: they are not.

    Where nobody logs in it is not known who asks: while anybody's reading is open, or
    a recount is due, the counts are kept from everybody.
    """
    return reviewing.kept_from(context, run_id, _name(actor))


def result(context: Context, run_id: str, actor: Actor | None) -> RunResult:
    """Return the answer of a run. Raises `RunNotFoundError`, `BlindError`."""
    _refuse_the_blind(context, run_id, actor)
    found = context.archive.result(run_id)
    _note_sight(context, run_id, actor)
    return found


def counts(context: Context, run_id: str, actor: Actor | None) -> Path:
    """Return the path of the counts. Raises `RunNotFoundError`, `BlindError`."""
    _refuse_the_blind(context, run_id, actor)
    found = context.archive.counts(run_id)
    _note_sight(context, run_id, actor)
    return found


def report(context: Context, run_id: str, actor: Actor | None) -> Path:
    """Return the path of the report. Raises `RunNotFoundError`, `BlindError`."""
    _refuse_the_blind(context, run_id, actor)
    found = context.archive.report(run_id)
    _note_sight(context, run_id, actor)
    return found


def refuse_reader(context: Context, run_id: str, actor: Actor | None) -> None:
    """Raise `BlindError` for an account whose own reading of the run is open."""
    name = _name(actor)
    if name is not None and reviewing.kept_from(context, run_id, name) == "reading":
        raise BlindError(f"pictures of named nuclei are hidden {WHY['reading']}")


def is_there(context: Context, run_id: str) -> bool:
    """Return whether a run has an answer; tells nothing of it."""
    return _is_file(context.archive.counts, run_id)


def has_report(context: Context, run_id: str) -> bool:
    """Return whether a run has a report; tells nothing of it."""
    return _is_file(context.archive.report, run_id)


def _refuse_the_blind(context: Context, run_id: str, actor: Actor | None) -> None:
    # before anything is read: what is wrong with a result may tell of it, too
    context.archive.run(run_id)
    if why := blindness(context, run_id, actor):
        raise BlindError(f"counts and answer are hidden {WHY[why]}")


def _note_sight(context: Context, run_id: str, actor: Actor | None) -> None:
    name = _name(actor)
    who = (
        Reviewer(name=UNNAMED, identity=NAMED)
        if name is None
        else Reviewer(name=name, identity=ACCOUNT)
    )
    reviewing.note_sight(context, run_id, who)


def _name(actor: Actor | None) -> str | None:
    return None if actor is None or actor.way == "open" else actor.name


def _is_file(path_of: PathOf, run_id: str) -> bool:
    try:
        return path_of(run_id).is_file()
    except (AcqError, ProcError):
        return False
