"""``her2sr backup``: the databases of a data folder, copied and checked.

Source of the copy while others write: SQLite's online backup.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from her2sr_acq.errors import ConfigError, StorageError
from her2sr_acq.verbs.database_copies import (
    SUMS,
    Kind,
    address,
    kinds,
    require_sound,
    sha256,
)
from her2sr_proc.store.atomic import replacing_folder, write_text

BUSY_S = 30.0
_OF_TARGET = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR_WRITE")


def backup(data: Path, out: Path) -> list[str]:
    """Copy every database of a data folder into a new folder; return their names.

    Raises `ConfigError` where there is none, or ``out`` exists or lies in the data
    folder, `StorageError` for a database that is damaged or a folder that takes
    nothing.
    """
    found = [kind for kind in kinds(data).values() if kind.path.exists()]
    if not found:
        raise ConfigError(f"{data} has no database to copy; is it a data folder?")
    if out.exists():
        raise ConfigError(f"{out} exists already; a backup is a folder of its own")
    if out.resolve().is_relative_to(data.resolve()):
        raise ConfigError(
            f"{out} lies in the data folder and would be lost with it; name another "
            f"place, best on another disk"
        )
    try:
        with replacing_folder(out) as folder:
            folder.chmod(0o700)  # before there is anything in it
            for kind in found:
                _copy(kind, folder / kind.path.name)
            names = [kind.path.name for kind in found]
            write_text(
                folder / SUMS, "".join(f"{sha256(folder / n)}  {n}\n" for n in names)
            )
    except OSError as exc:
        raise _unwritable(out, str(exc.strerror)) from exc
    return names


def _copy(kind: Kind, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    source = address(kind.path, "mode=ro")
    try:
        with (
            closing(sqlite3.connect(source, uri=True, timeout=BUSY_S)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there)
            # one file by itself, which can be opened where nothing can be written
            there.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as exc:
        if getattr(exc, "sqlite_errorname", "") in _OF_TARGET:
            raise _unwritable(target.parent, str(exc)) from exc
        raise StorageError(
            f"{kind.path} cannot be copied ({exc}); check that this user may read it; "
            f"if it is damaged, {kind.without}"
        ) from exc
    try:
        require_sound(target, kind, kind.without)
    except StorageError as exc:  # the copy is as the original, which has the name
        raise StorageError(str(exc).replace(str(target), str(kind.path))) from exc


def _unwritable(out: Path, why: str) -> StorageError:
    return StorageError(f"{out} cannot be written ({why}); make room or choose another")
