"""``service.db``: users, tokens, sessions, the lease and the audit, in SQLite.

The service and the command `her2sr users` may write at the same time: every change is
one transaction. A commit returns once it has reached the disk.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from her2sr_acq.errors import NewerDatabaseError, StorageError

VERSION = 2
BUSY_S = 5.0

_SCHEMA = """
CREATE TABLE users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL,
    created_utc TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    user TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
    label TEXT NOT NULL, created_utc TEXT NOT NULL, expires_utc TEXT NOT NULL
) STRICT;
CREATE TABLE sessions (
    sha256 TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
    expires_utc TEXT NOT NULL
) STRICT;
CREATE TABLE lease (
    only INTEGER PRIMARY KEY CHECK (only = 1), fence INTEGER NOT NULL,
    name TEXT NOT NULL, credential TEXT NOT NULL, expires_utc TEXT NOT NULL
) STRICT;
CREATE TABLE audit (sequence INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
INSERT INTO lease VALUES (1, 0, '', '', '');
"""

_SECOND = "ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0"
"""What version 1 lacks."""


class ServiceDatabase:
    """The file and its one connection. Its methods may be called from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Open or create; None: keep it in memory alone.

        Raises `StorageError` when it is damaged or too new.
        """
        self._path = path
        self._lock = threading.RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._link = sqlite3.connect(
                path or ":memory:",
                check_same_thread=False,
                timeout=BUSY_S,
                isolation_level=None,
            )
        except (OSError, sqlite3.Error) as exc:
            raise StorageError(
                f"{path} cannot be opened ({exc}); check its permissions"
            ) from exc
        try:
            self._prepare()
        except BaseException:
            self._link.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what is done inside one change, or none. Raises `StorageError`."""
        with self._lock, self._telling():
            if self._link.in_transaction:  # part of a larger change
                yield
                return
            self._link.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._link.execute("ROLLBACK")
                raise
            self._link.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises `StorageError`."""
        with (
            self._lock,
            self._telling(),
            closing(self._link.execute(query, values)) as cursor,
        ):
            return cursor.fetchall()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise StorageError(
                f"{self._path} cannot be used: {exc}; free or check the disk of the "
                f"data folder"
            ) from exc

    def _prepare(self) -> None:
        try:
            self._link.execute("PRAGMA journal_mode = WAL")
            self._link.execute("PRAGMA synchronous = FULL")
            self._link.execute("PRAGMA foreign_keys = ON")
            (found,) = self._link.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)  # noqa: TRY301 - told below
            with self.writing():
                self._make_tables()
        except sqlite3.DatabaseError as exc:
            raise StorageError(
                f"{self._path} is damaged ({exc}); restore it from a copy, or move it "
                f"away and set the users up again"
            ) from exc

    def _make_tables(self) -> None:
        (version,) = self._link.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerDatabaseError(
                f"{self._path} has version {version} and this program knows {VERSION}; "
                f"install the newer her2sr"
            )
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._link.execute(statement)
        elif version == 1:
            self._link.execute(_SECOND)
        if version < VERSION:
            self._link.execute(f"PRAGMA user_version = {VERSION}")
