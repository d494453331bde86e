"""Runs that the database does not know, from their folders: lost, imported, copied."""

from __future__ import annotations

import logging

from pydantic import JsonValue

from her2sr_acq.engine.database import Database
from her2sr_acq.engine.order import RunOrder, request_digest
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import FieldView, RunRequest, RunView, UnitView
from her2sr_acq.plan.models import Protocol
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.event import Event
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.chain import read_events
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest

log = logging.getLogger(__name__)

UNREADABLE = (ProcError, ValueError, LookupError, OSError)
"""What a run folder raises that does not tell its run."""


def rebuild(database: Database, data: DataFolder) -> list[str]:
    """Add every run folder that can be read and that the database does not know.

    A run whose events do not end in a final state comes back as it was last seen, so
    that recovery finds it.
    """
    known = database.ids()
    found = []
    for root in sorted(data.runs.glob("[!.]*")) if data.runs.is_dir() else []:
        if root.name in known:
            continue
        try:
            found_run = _read(RunFolder(root))
        except UNREADABLE as exc:
            log.warning("%s is left out of the database: %s", root.name, _first(exc))
        else:
            _add(database, *found_run)
            found.append(root.name)
    return found


def order_of(folder: RunFolder) -> RunOrder:
    """Return the plan of a run from its folder.

    Raises `ProcError`, ValueError or LookupError when the folder does not tell it.
    """
    manifest = read_manifest(folder)
    events = read_events(folder)
    accepted = next((event for event in events if event.kind == "accepted"), None)
    if accepted is None:
        raise LookupError(f"events.jsonl of {folder.name} does not begin with a plan")
    key = accepted.data.get("idempotency_key")
    return RunOrder(
        id=manifest.run,
        request=RunRequest.model_validate(accepted.data["request"]),
        protocol=Protocol.model_validate(manifest.plan),
        tiles=manifest.fields,
        created_utc=manifest.created_utc,
        idempotency_key=key if isinstance(key, str) else None,
    )


def _read(folder: RunFolder) -> tuple[RunOrder, RunView, list[FieldView]]:
    """Return a run as its folder tells it. Raises one of `UNREADABLE`."""
    order = order_of(folder)
    if order.id != folder.name:
        raise LookupError(
            f"its manifest is that of run {order.id}; give the folder that name, or "
            f"move it out of the data folder if it is a copy"
        )
    events = read_events(folder)
    fields = _fields(order, read_ledger(folder.ledger), events)
    return order, _view(order, fields, events), fields


def _first(exc: Exception) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__


def _add(
    database: Database, order: RunOrder, view: RunView, fields: list[FieldView]
) -> None:
    key = order.idempotency_key
    if key is not None and database.under_key(key) is not None:
        order = order.model_copy(
            update={"idempotency_key": None}
        )  # one run alone answers to a key
    digest = request_digest(order.request)
    database.add(view, fields, order=order, request_sha256=digest)


def _fields(
    order: RunOrder, histories: dict[UnitKey, UnitHistory], events: list[Event]
) -> list[FieldView]:
    started = {
        UnitKey.model_validate(event.data["unit"]): event.utc
        for event in events
        if event.kind == "unit started"
    }
    fields = []
    for field in order.fields():
        units = []
        for unit in field.units:
            key = UnitKey(run=order.id, field=unit.field, channel=unit.channel)
            units.append(_unit(unit, histories.get(key), started.get(key)))
        units += _further(field, order.id, histories, started)
        fields.append(field.model_copy(update={"units": tuple(units)}))
    return fields


def _further(
    field: FieldView,
    run: str,
    histories: dict[UnitKey, UnitHistory],
    started: dict[UnitKey, str],
) -> list[UnitView]:
    """Return the attempts after the first, as far as they were begun."""
    first = {unit.channel: unit for unit in field.units}
    return [
        _unit(
            first[key.channel].model_copy(update={"attempt": key.attempt}),
            histories.get(key),
            utc,
        )
        for key, utc in started.items()
        if key.field == field.name and key.attempt > 1 and key.run == run
    ]


def _unit(
    planned: UnitView, history: UnitHistory | None, started_utc: str | None
) -> UnitView:
    if history is not None and history.verdict is not None:
        facts = history.verdict.model_dump(exclude={"kind", "key"})
        return UnitView.model_validate(planned.model_dump() | facts)
    if started_utc is None:
        return planned
    return planned.model_copy(
        update={"state": UnitState.ACQUIRING, "started_utc": started_utc}
    )


def _view(order: RunOrder, fields: list[FieldView], events: list[Event]) -> RunView:
    units = [unit for field in fields for unit in field.units]
    ended = (UnitState.COMPLETE, UnitState.PARTIAL, UnitState.FAILED)
    changes: dict[str, JsonValue] = {
        "frames_done": sum(unit.written for unit in units),
        "units_done": sum(unit.state in ended for unit in units),
    }
    for event in events:
        if event.kind == "state":
            changes |= _state_changes(event)
            if changes["state"] == RunState.RUNNING:
                changes.setdefault("started_utc", event.utc)
        if event.kind == "taken up":
            changes |= event.data
    return RunView.model_validate(order.view().model_dump() | changes)


def _state_changes(event: Event) -> dict[str, JsonValue]:
    state = RunState(str(event.data["state"]))
    changes = {"state": state.value, "phase": event.data["phase"]}
    if event.data["reason"] or state in (RunState.PREPARING, RunState.RUNNING):
        changes["reason"] = event.data["reason"]
    if state in FINAL:
        changes["ended_utc"] = event.utc
    return changes
