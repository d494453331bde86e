"""The run database from the run folders, for a data folder that lost its own."""

from __future__ import annotations

import logging

from pydantic import JsonValue

from her2sr_acq.engine.database import Database
from her2sr_acq.engine.ledger import Event, read_events
from her2sr_acq.engine.order import RunOrder, request_digest
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import FieldView, RunRequest, RunView, UnitView
from her2sr_acq.plan.models import Protocol
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest

log = logging.getLogger(__name__)


def rebuild(database: Database, data: DataFolder) -> list[str]:
    """Fill an empty database from every run folder that can be read.

    A run whose events do not end in a final state comes back as it was last seen, so
    that recovery finds it.
    """
    found = []
    for root in sorted(data.runs.glob("*")) if data.runs.is_dir() else []:
        folder = RunFolder(root)
        try:
            _restore(database, folder)
        except (ProcError, ValueError, KeyError) as exc:
            log.warning("%s is left out of the database: %s", root.name, exc)
        else:
            found.append(root.name)
    return found


def _restore(database: Database, folder: RunFolder) -> None:
    manifest = read_manifest(folder)
    events = read_events(folder)
    accepted = next(event for event in events if event.kind == "accepted").data
    request = RunRequest.model_validate(accepted["request"])
    key = accepted.get("idempotency_key")
    order = RunOrder(
        id=manifest.run,
        request=request,
        protocol=Protocol.model_validate(manifest.plan),
        tiles=manifest.fields,
        created_utc=manifest.created_utc,
    )
    fields = _fields(order, read_ledger(folder.ledger), events)
    database.add(
        _view(order, fields, events),
        fields,
        key=key if isinstance(key, str) else None,
        request_sha256=request_digest(request),
    )


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
        fields.append(field.model_copy(update={"units": tuple(units)}))
    return fields


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
    return RunView.model_validate(order.view().model_dump() | changes)


def _state_changes(event: Event) -> dict[str, JsonValue]:
    state = RunState(str(event.data["state"]))
    changes = {"state": state.value, "phase": event.data["phase"]}
    if event.data["reason"]:
        changes["reason"] = event.data["reason"]
    if state is RunState.RUNNING:
        changes["started_utc"] = event.utc
    if state in FINAL:
        changes["ended_utc"] = event.utc
    return changes
