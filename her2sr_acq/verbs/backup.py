"""``her2sr backup`` and ``restore``: databases of a data folder, copied and checked.

Source of the copy while others write: SQLite's online backup.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from her2sr_acq.accounts.database import VERSION as ACCOUNTS_VERSION
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import VERSION as RUNS_VERSION
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.rebuild import refresh
from her2sr_acq.errors import (
    ConfigError,
    NewerDatabaseError,
    RunConflictError,
    StorageError,
)
from her2sr_acq.ownership import Hold, Holder, holder, require_locks
from her2sr_proc.store.atomic import (
    replacing_folder,
    sync_file,
    sync_folder,
    write_text,
)
from her2sr_proc.store.layout import DataFolder

SUMS = "SHA256SUMS"
BUSY_S = 30.0
IN_USE_S = 1.0
KNOWN = {"her2sr.db": RUNS_VERSION, "service.db": ACCOUNTS_VERSION}
"""The newest form of each database that this program reads."""


def backup(data: Path, out: Path) -> list[str]:
    """Copy every database of a data folder into a new folder; return their names.

    Raises `ConfigError` where there is none or ``out`` exists, `StorageError` for a
    database that is damaged or a folder that takes nothing.
    """
    found = [path for path in _databases(data) if path.exists()]
    if not found:
        raise ConfigError(f"{data} has no database to copy; is it a data folder?")
    if out.exists():
        raise ConfigError(f"{out} exists already; a backup is a folder of its own")
    try:
        with replacing_folder(out) as folder:
            for path in found:
                _copy(path, folder / path.name)
            sums = [f"{_sha256(folder / p.name)}  {p.name}\n" for p in found]
            write_text(folder / SUMS, "".join(sums))
    except OSError as exc:
        raise StorageError(
            f"{out} cannot be written ({exc.strerror}); make room or choose another"
        ) from exc
    return [path.name for path in found]


def restore(data: Path, source: Path, clock: Clock | None = None) -> list[str]:
    """Put the databases of a backup in their places; tell what was done.

    Each is put back whole or not at all, and a restore that was killed is done by the
    same command again. The index then tells every run as its folder tells it today: a
    queue of the day of the backup does not start by itself. Raises `RunConflictError`
    while a service uses the data folder, `ConfigError` for a folder that is no backup,
    `StorageError` for one that is damaged or newer, or where there is no room.
    """
    clock = clock or Clock()
    names = {path.name: path for path in _databases(data)}
    pairs = [(source / name, names[name]) for name in _verified(source, names)]
    require_locks(data)
    owner = holder(data)
    if owner is not None:
        raise RunConflictError(
            f"{data} is held by process {owner.pid}; stop its service first",
            pid=owner.pid,
        )
    me = Holder(
        pid=os.getpid(), started_utc=clock.stamp(), configuration="restore", runtime=""
    )
    try:
        with Hold(data.resolve(), me):
            return _put_all_back(pairs, DataFolder(data.resolve()), clock.stamp())
    except OSError as exc:
        raise StorageError(
            f"{data} cannot be written ({exc.strerror}); make room there, then restore "
            f"again"
        ) from exc


def _verified(source: Path, names: dict[str, Path]) -> list[str]:
    """Return what a backup holds, once all of it was compared."""
    expected = _sums(source)
    for name, digest in expected.items():
        if name not in names:
            raise ConfigError(f"{source} names {name}, which no data folder holds")
        if not (source / name).is_file() or _sha256(source / name) != digest:
            raise StorageError(
                f"{source / name} is not as it was backed up; use another backup"
            )
        version = _check(source / name)
        if version > KNOWN[name]:
            raise NewerDatabaseError(
                f"{source / name} has version {version} and this program knows "
                f"{KNOWN[name]}; install the newer her2sr"
            )
    return list(expected)


def _put_all_back(
    pairs: list[tuple[Path, Path]], data: DataFolder, stamp: str
) -> list[str]:
    staged = [target.with_name(f".{target.name}.restoring") for _, target in pairs]
    try:
        for (source, _), beside in zip(pairs, staged, strict=True):
            _private(beside)
            beside.write_bytes(source.read_bytes())
        lines = _refreshed(staged, data)
        for beside in staged:
            sync_file(beside)
        for _, target in pairs:
            _require_unused(target)
        for (_, target), beside in zip(pairs, staged, strict=True):
            lines += _set_aside(target, stamp)
            beside.replace(target)
            sync_folder(target.parent)
            lines.append(f"{target.name}: put back")
        return lines
    finally:
        for beside in staged:
            beside.unlink(missing_ok=True)


def _refreshed(staged: list[Path], data: DataFolder) -> list[str]:
    """Let the index, before it is put back, say what the run folders say."""
    for beside in staged:
        if beside.name == f".{data.database.name}.restoring":
            with Database(beside) as database:
                return refresh(database, data)
    return []


def _require_unused(path: Path) -> None:
    """Raise `RunConflictError` where another process has a database open.

    SQLite ends the journal of a database for its last user alone; what is damaged has
    none that could go on, and is set aside as it is.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=IN_USE_S)) as link:
            link.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise RunConflictError(
                f"{path} is in use by another process; stop the service first"
            ) from exc


def _set_aside(target: Path, stamp: str) -> Iterator[str]:
    """Keep what stands at a place under another name too; nothing is gone meanwhile."""
    aside = target.with_name(f"{target.name}.before-{stamp.replace(':', '')}")
    if not target.exists():
        return
    try:
        os.link(target, aside)
    except OSError:  # a disk without second names
        shutil.copy2(target, aside)
    for suffix in ("-wal", "-shm"):
        former = target.with_name(target.name + suffix)
        if former.exists():
            former.rename(aside.with_name(aside.name + suffix))
    yield f"{target.name}: what stood there is now {aside.name}"


def _databases(data: Path) -> list[Path]:
    folder = DataFolder(data.resolve())
    return [folder.database, folder.accounts]


def _copy(path: Path, target: Path) -> None:
    _private(target)
    try:
        with (
            closing(
                sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
            ) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there)
    except sqlite3.Error as exc:
        raise StorageError(f"{path} cannot be copied ({exc}); her2sr recover") from exc
    _check(target)


def _private(path: Path) -> None:
    """Make an empty file that its owner alone may read: there are passwords in it."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _check(path: Path) -> int:
    """Return the version of a copy. Raises `StorageError` for one that is damaged."""
    version = 0
    try:
        # nobody writes a copy, and a share may forbid SQLite the files it would make
        address = f"{path.resolve().as_uri()}?immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as link:
            (said,) = link.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = link.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as exc:
        said = str(exc)
    if said != "ok":
        raise StorageError(f"{path} is damaged ({said}); use another backup")
    return version


def _sums(source: Path) -> dict[str, str]:
    try:
        lines = (source / SUMS).read_text().splitlines()
        pairs = [line.split(maxsplit=1) for line in lines]
        found = {name: digest for digest, name in pairs}
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{source} is no backup: it has no {SUMS} that can be read"
        ) from exc
    if not found:
        raise ConfigError(f"{source} is an empty backup")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
