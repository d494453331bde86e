"""``her2sr recover``: what an interrupted run left, and what would be done about it.

Reads the data folder alone, so it tells the truth also while no service can start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from her2sr_acq.engine.boot import boot_name
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import EVERY, Database
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.recovery import may_go_on, recover
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.verification import reread
from her2sr_acq.engine.views import RunView
from her2sr_acq.errors import (
    ConfigError,
    NewerDatabaseError,
    RunConflictError,
    StorageError,
)
from her2sr_acq.ownership import Hold, Holder, holder, require_locks
from her2sr_proc.errors import ProcError, StateError
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.raw_hold import RawHold

PARTIAL_NAMES = ".*.partial-*"
"""Files that were being written when their process died."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was left, and what is to be done about it."""

    subject: str
    found: str
    act: str

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def look(data_path: Path) -> list[Finding]:
    """Return what was left in a data folder. Changes nothing.

    Raises `ConfigError` when it is no data folder.
    """
    data = _folder(data_path)
    found = list(_database(data))
    with _reading(data) as database:
        for view in database.runs(limit=EVERY) if database is not None else ():
            found += _run(view, data)
    if holder(data.root) is None:
        found += [
            Finding(
                str(path.relative_to(data.root)), "half-written", "would be removed"
            )
            for path in _half_written(data)
        ]
    return found


def apply(data_path: Path, clock: Clock | None = None) -> list[Finding]:
    """Do what `look` says, and return what was done.

    Raises `RunConflictError` while a service holds the folder: it does the same at its
    start, and it alone may write. Raises `NewerDatabaseError` and touches nothing where
    a newer program wrote the database.
    """
    data = _folder(data_path)
    clock = clock or Clock()
    _refuse_held(data)
    done = []
    me = Holder(
        pid=os.getpid(), started_utc=clock.stamp(), configuration="recover", runtime=""
    )
    with Hold(data.root, me):
        done += _set_damaged_aside(data, clock)
        with Database(data.database) as database:
            done += [
                Finding(name, "missing in the database", "put back")
                for name in rebuild(database, data)
            ]
            for left in recover(database, data, clock):
                now = database.run(left.id)
                done.append(
                    Finding(left.id, f"it was {left.state}", f"now {now.state}")
                )
        done += [_remove(path, data) for path in _half_written(data)]
    return done


def _remove(path: Path, data: DataFolder) -> Finding:
    """Remove what was half written, unless a call that still runs is writing it."""
    run = data.run(path.relative_to(data.runs).parts[0])
    name = str(path.relative_to(data.root))
    try:
        with RawHold(run, alone=True, patience_s=0.0):
            path.unlink(missing_ok=True)
    except StateError as exc:
        return Finding(name, "half-written", f"left alone: {exc}")
    return Finding(name, "half-written", "removed")


def _folder(path: Path) -> DataFolder:
    data = DataFolder(path.resolve())
    if not data.runs.is_dir():
        raise ConfigError(f"{path} is no data folder: it has no 'runs' in it")
    return data


def _refuse_held(data: DataFolder) -> None:
    require_locks(data.root)
    owner = holder(data.root)
    if owner is not None:
        raise RunConflictError(
            f"{data.root} is held by process {owner.pid}, which recovered it at its "
            f"start; stop that service first"
        )


@contextmanager
def _reading(data: DataFolder) -> Iterator[Database | None]:
    """Yield the database, if there is a sound one; it is not made by looking."""
    try:
        database = Database(data.database) if data.database.exists() else None
    except StorageError:
        database = None
    try:
        yield database
    finally:
        if database is not None:
            database.close()


def _database(data: DataFolder) -> Iterator[Finding]:
    if not data.database.exists():
        yield Finding(data.database.name, "missing", "would be made from the runs")
        return
    try:
        Database(data.database).close()
    except NewerDatabaseError as exc:
        yield Finding(data.database.name, str(exc), "stays as it is")
    except StorageError as exc:
        yield Finding(
            data.database.name, str(exc), "would be set aside and made from the runs"
        )


def _set_damaged_aside(data: DataFolder, clock: Clock) -> list[Finding]:
    try:
        Database(data.database).close()
    except NewerDatabaseError:
        raise
    except StorageError as exc:
        stamp = clock.stamp().replace(":", "")
        aside = data.database.with_name(f"{data.database.name}.damaged-{stamp}")
        data.database.rename(aside)
        for suffix in ("-wal", "-shm"):
            data.database.with_name(data.database.name + suffix).unlink(missing_ok=True)
        return [Finding(data.database.name, str(exc), f"set aside as {aside.name}")]
    return []


def _run(view: RunView, data: DataFolder) -> Iterator[Finding]:
    if view.state is RunState.QUEUED:
        yield Finding(view.id, "queued, never begun", "it starts when it is its turn")
        return
    if view.state in FINAL - {RunState.INTERRUPTED}:
        return
    folder = data.run(view.id)
    yield Finding(view.id, f"{view.state}: {view.phase}", _outlook(view))
    try:
        if _awaits_selection(folder):
            yield Finding(
                view.id,
                "its overview is taken, and no fields are chosen (awaits: selection)",
                "waits for a choice of fields, anew from when it goes on: choose on "
                "its page; the overview is not taken again",
            )
        histories = read_ledger(folder.ledger)
    except ProcError as exc:
        yield Finding(view.id, str(exc), "no unit of it is touched")
        return
    for history in histories.values():
        yield from _unit(history, folder)


def _awaits_selection(folder: RunFolder) -> bool:
    """Return whether a person is to choose, told from the disk: phases die with acq.

    Raises `ProcError` for a manifest that cannot be read.
    """
    if not (folder.overview.exists() and folder.manifest.exists()):
        return False
    manifest = read_manifest(folder)
    select = manifest.plan.get("select")
    is_by_person = isinstance(select, dict) and select.get("choose") == "person"
    return is_by_person and manifest.selection is None


def _outlook(view: RunView) -> str:
    if view.state is RunState.INTERRUPTED:
        return "waits for an operator: resume it, or stop it"
    why_not = may_go_on(view, boot=boot_name())
    if why_not:
        return f"would wait for an operator ({why_not})"
    return "would go on at its next burst, if the guard starts acq again"


def _unit(history: UnitHistory, folder: RunFolder) -> Iterator[Finding]:
    name = f"{folder.name} {history.key.field}/{history.key.channel}"
    if history.verdict is None:
        readable = reread(folder.raw(history.key), history.blocks.values())
        yield Finding(
            name,
            f"torn: {readable.frames} of {history.frames} frames in the ledger verify",
            "would be kept as partial; it is not taken again",
        )
    elif history.verdict.state is UnitState.PARTIAL:
        yield Finding(name, f"partial: {history.verdict.reason}", "is kept")


def _half_written(data: DataFolder) -> list[Path]:
    """Return what nobody writes any more, where no service holds the folder."""
    return sorted(path for path in data.runs.rglob(PARTIAL_NAMES) if path.is_file())
