"""Runs, units and idempotency keys in SQLite: an index that run folders can rebuild.

One process writes. A commit returns once it has reached the disk. The units' rows are
the index of the ledgers: the last word of each, without reading its blocks.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import FieldView, RunView
from her2sr_acq.errors import NewerDatabaseError, RunNotFoundError, StorageError

VERSION = 2
LISTED = 500
EVERY = -1
"""What SQLite takes for no limit."""

_SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, view TEXT NOT NULL, plan TEXT
) STRICT;
CREATE TABLE fields (
    run TEXT NOT NULL REFERENCES runs(id), place INTEGER NOT NULL,
    name TEXT NOT NULL, view TEXT NOT NULL, PRIMARY KEY (run, name)
) STRICT;
CREATE TABLE keys (
    key TEXT PRIMARY KEY, request_sha256 TEXT NOT NULL,
    run TEXT NOT NULL REFERENCES runs(id)
) STRICT;
"""


_FROM_1 = "ALTER TABLE runs ADD COLUMN plan TEXT;"
"""Runs of the first version have no plan here; their folders have it."""


class Database:
    """The run database. Its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises `StorageError` when it is damaged or too new."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._link = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
        try:
            self._prepare()
        except sqlite3.DatabaseError as exc:
            self._link.close()
            raise StorageError(
                f"{path} is damaged ({exc}); move it away, and it is rebuilt from the "
                f"run folders at the next start",
                path=str(path),
            ) from exc
        except StorageError:
            self._link.close()
            raise

    def add(
        self,
        view: RunView,
        fields: Iterable[FieldView],
        *,
        order: RunOrder,
        request_sha256: str = "",
    ) -> None:
        """Store a run with its fields, its plan and the key it was asked under."""
        key = order.idempotency_key
        with self._transaction():
            self._link.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?)",
                (view.id, view.state, view.model_dump_json(), order.model_dump_json()),
            )
            self._link.executemany(
                "INSERT INTO fields VALUES (?, ?, ?, ?)",
                [
                    (view.id, place, field.name, field.model_dump_json())
                    for place, field in enumerate(fields)
                ],
            )
            if key is not None:
                self._link.execute(
                    "INSERT INTO keys VALUES (?, ?, ?)", (key, request_sha256, view.id)
                )

    def update(self, view: RunView, field: FieldView | None = None) -> None:
        """Store a run as it stands, and one of its fields."""
        with self._transaction():
            self._link.execute(
                "UPDATE runs SET state = ?, view = ? WHERE id = ?",
                (view.state, view.model_dump_json(), view.id),
            )
            if field is not None:
                self._link.execute(
                    "UPDATE fields SET view = ? WHERE run = ? AND name = ?",
                    (field.model_dump_json(), view.id, field.name),
                )

    def forget(self, run_id: str) -> None:
        """Drop a run, which `rebuild` finds in its folder. None by that id is fine."""
        with self._transaction():
            for table, column in (("keys", "run"), ("fields", "run"), ("runs", "id")):
                self._link.execute(f"DELETE FROM {table} WHERE {column} = ?", (run_id,))

    def ids(self) -> set[str]:
        """Return the ids of all runs, however many there are."""
        return {run_id for (run_id,) in self._rows("SELECT id FROM runs")}

    def run(self, run_id: str) -> RunView:
        """Return one run. Raises `RunNotFoundError`."""
        rows = self._rows("SELECT view FROM runs WHERE id = ?", run_id)
        if not rows:
            raise RunNotFoundError(f"no run '{run_id}'", run=run_id)
        return RunView.model_validate_json(rows[0][0])

    def runs(self, *, limit: int = LISTED, before: str = "") -> list[RunView]:
        """Return runs, newest first: the last, or those before a run."""
        rows = self._rows(
            "SELECT view FROM runs WHERE ? = '' OR id < ? ORDER BY id DESC LIMIT ?",
            before,
            before,
            limit,
        )
        return [RunView.model_validate_json(view) for (view,) in rows]

    def order(self, run_id: str) -> RunOrder | None:
        """Return the plan of a run; None when only its folder has it."""
        rows = self._rows("SELECT plan FROM runs WHERE id = ?", run_id)
        if not rows or rows[0][0] is None:
            return None
        return RunOrder.model_validate_json(rows[0][0])

    def queued(self) -> list[RunView]:
        """Return the runs that wait, in the order they were asked for."""
        rows = self._rows(
            "SELECT view FROM runs WHERE state = ? ORDER BY id", RunState.QUEUED
        )
        return [RunView.model_validate_json(view) for (view,) in rows]

    def unfinished(self) -> list[RunView]:
        """Return the runs that are in no final state, oldest first."""
        marks = ", ".join("?" * len(FINAL))
        rows = self._rows(
            f"SELECT view FROM runs WHERE state NOT IN ({marks}) ORDER BY id", *FINAL
        )
        return [RunView.model_validate_json(view) for (view,) in rows]

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run in order of acquisition."""
        rows = self._rows(
            "SELECT view FROM fields WHERE run = ? ORDER BY place", run_id
        )
        return [FieldView.model_validate_json(view) for (view,) in rows]

    def under_key(self, key: str) -> tuple[str, str] | None:
        """Return the request's SHA-256 and the run that a key stands for."""
        rows = self._rows("SELECT request_sha256, run FROM keys WHERE key = ?", key)
        return (rows[0][0], rows[0][1]) if rows else None

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._lock, self._link:
                yield
        except sqlite3.OperationalError as exc:
            raise StorageError(
                f"the run database cannot be written: {exc}; free or check the disk of "
                f"the data folder"
            ) from exc

    def _rows(self, query: str, *values: object) -> list[tuple[str, ...]]:
        with self._lock, closing(self._link.execute(query, values)) as cursor:
            return cursor.fetchall()

    def _prepare(self) -> None:
        """Set the modes, check the file, make the tables."""
        self._link.execute("PRAGMA journal_mode = WAL")
        self._link.execute("PRAGMA synchronous = FULL")
        self._link.execute("PRAGMA foreign_keys = ON")
        (found,) = self._link.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        (version,) = self._link.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerDatabaseError(
                f"the database has version {version} and this program knows {VERSION}; "
                f"install the newer her2sr"
            )
        if version == VERSION:
            return
        if version == 1:
            self._link.executescript(
                f"BEGIN; {_FROM_1} PRAGMA user_version = {VERSION}; COMMIT;"
            )
            return
        self._link.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
        )
