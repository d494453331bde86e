"""What a copy of a data folder's databases must be, told from the file alone."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.accounts.database import VERSION as ACCOUNTS_VERSION
from her2sr_acq.engine.database import VERSION as INDEX_VERSION
from her2sr_acq.errors import NewerDatabaseError, StorageError
from her2sr_proc.store.layout import DataFolder

SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the databases of a data folder."""

    path: Path
    version: int
    """The newest that this program knows."""
    table: str
    """One that it has from its first version on."""
    mode: int
    """Rights of the file: digests of passwords are nobody else's to read."""
    without: str
    """What helps where there is no sound copy."""


def kinds(data: Path) -> dict[str, Kind]:
    """Return the databases that a data folder may hold, by file name."""
    folder = DataFolder(data.resolve())
    found = (
        Kind(
            folder.database,
            INDEX_VERSION,
            "runs",
            0o644,
            "stop the service and move it away: it is rebuilt from the run folders",
        ),
        Kind(
            folder.accounts,
            ACCOUNTS_VERSION,
            "users",
            0o600,
            "put an earlier backup back, or move it away and set the users up again",
        ),
    )
    return {kind.path.name: kind for kind in found}


def address(path: Path, option: str) -> str:
    """Return what SQLite opens a file by, whatever signs its path has."""
    return f"{path.resolve().as_uri()}?{option}"


def require_sound(path: Path, kind: Kind, cure: str) -> None:
    """Raise `StorageError` unless nobody's file is a whole database of its kind.

    Nothing is made beside the file, so that it may lie on what is only read.
    """
    try:
        with closing(sqlite3.connect(address(path, "immutable=1"), uri=True)) as link:
            (said,) = link.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = link.execute("PRAGMA user_version").fetchone()
            named = link.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
                (kind.table,),
            ).fetchone()
    except sqlite3.Error as exc:
        raise StorageError(f"{path} is damaged ({exc}); {cure}") from exc
    if said != "ok":
        raise StorageError(f"{path} is damaged ({said}); {cure}")
    if named is None:
        raise StorageError(
            f"{path} is no {kind.path.name}: it has no table '{kind.table}'; {cure}"
        )
    if version > kind.version:
        raise NewerDatabaseError(
            f"{path} has version {version} and this program knows {kind.version}; "
            f"install the newer her2sr that wrote it, or {cure}"
        )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
