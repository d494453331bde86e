"""``her2sr restore``: a backup's databases in their places, what stood there set aside.

Killed at any moment, each database is whole: the former one or the one put back; the
same call again does the rest.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.restored import settle
from her2sr_acq.errors import ConfigError, RunConflictError, StorageError
from her2sr_acq.ownership import Hold, Holder, holder, require_locks
from her2sr_acq.verbs.data_folder import require_apart
from her2sr_acq.verbs.database_copies import (
    SUMS,
    Kind,
    address,
    kinds,
    require_sound,
    sha256,
)
from her2sr_proc.store.atomic import replacing, sync_file, sync_folder
from her2sr_proc.store.layout import DataFolder

CURE = "use another backup"


def restore(data: Path, source: Path, clock: Clock | None = None) -> list[str]:
    """Put the databases of a backup in their places; tell what was done.

    Raises `RunConflictError` while a service holds the data folder or a database,
    `ConfigError` for a folder that is no backup or a place where no data folder can be,
    `StorageError` for one that is damaged, cut short or newer than this program, or a
    data folder that takes nothing. Nothing was changed then.
    """
    clock = clock or Clock()
    expected = _sums(source)
    found = kinds(data)
    for name, digest in expected.items():
        if name not in found:
            raise ConfigError(f"{source} names {name}, which no data folder holds")
        if not (source / name).is_file() or sha256(source / name) != digest:
            raise StorageError(f"{source / name} is not as it was backed up; {CURE}")
        require_sound(source / name, found[name], CURE)
    unnamed = [n for n in found if n not in expected and (source / n).exists()]
    if unnamed:
        raise StorageError(f"{SUMS} of {source} does not name {unnamed[0]}; {CURE}")
    with _taken(data, clock):
        wanted = {name: found[name] for name in expected}
        return _put_back(source, wanted, DataFolder(data.resolve()), clock)


@contextmanager
def _taken(data: Path, clock: Clock) -> Iterator[None]:
    """Hold the data folder, which is made where there is none."""
    if data.exists() and not data.is_dir():
        raise ConfigError(f"{data} is a file; name the data folder")
    require_apart(data)
    try:
        require_locks(data)
        owner = holder(data)
    except OSError as exc:
        raise _unwritable(data, exc) from exc
    if owner is not None:
        raise RunConflictError(
            f"{data} is held by process {owner.pid}; stop its service first",
            pid=owner.pid,
        )
    me = Holder(
        pid=os.getpid(), started_utc=clock.stamp(), configuration="restore", runtime=""
    )
    with Hold(data.resolve(), me):
        _give(DataFolder(data.resolve()).daemon)
        yield


def _put_back(
    source: Path, wanted: dict[str, Kind], data: DataFolder, clock: Clock
) -> list[str]:
    """Do all that may fail before the first name changes; then change names alone."""
    stamp = clock.stamp().replace(":", "")
    staged = {
        name: k.path.with_name(f".{name}.restoring") for name, k in wanted.items()
    }
    said: list[str] = []
    try:
        for name, kind in wanted.items():
            with _telling(kind.path):
                _stage(source / name, staged[name], kind.mode)
        if index := staged.get(data.database.name):
            said += _bring_up(index, source / data.database.name, data, clock)
        for kind in wanted.values():
            _fold(kind.path)
        for kind in wanted.values():
            with _telling(kind.path):
                said += _keep(kind.path, stamp)
        for name, kind in wanted.items():
            with _telling(kind.path):
                _swap(staged[name], kind.path)
            said.append(f"{name}: put back")
    finally:
        for path in staged.values():
            _remove(path)
    return said


def _stage(source: Path, beside: Path, mode: int) -> None:
    _remove(beside)  # of a call that was killed
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
    shutil.copyfile(source, beside)
    _give(beside)
    sync_file(beside)


def _bring_up(index: Path, source: Path, data: DataFolder, clock: Clock) -> list[str]:
    with Database(index) as database:
        said = settle(database, data, clock, copied_s=source.stat().st_mtime)
    with closing(sqlite3.connect(index)) as link:
        link.execute("PRAGMA journal_mode = DELETE")  # one file, to be renamed
    sync_file(index)
    return said


def _fold(path: Path) -> None:
    """Make what stands there one file by itself; its journal would join the new one.

    Raises `RunConflictError` where another process has it open.
    """
    if not path.exists():
        return
    try:
        # opened for writing, SQLite would drop the journal of a file it cannot read
        with closing(sqlite3.connect(address(path, "mode=ro"), uri=True)) as link:
            link.execute("SELECT count(*) FROM sqlite_master")
        with closing(sqlite3.connect(path, timeout=0.0)) as link:
            # SQLite refuses this while anybody else has the database open
            link.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise RunConflictError(
                f"{path} is open in another process; stop her2sr-api and every "
                f"`her2sr users` first"
            ) from exc
    except sqlite3.DatabaseError:
        return  # damaged: that is why it is replaced, and it is kept as it is


def _keep(path: Path, stamp: str) -> Iterator[str]:
    """Give what stands there a second name."""
    aside = path.with_name(f"{path.name}.before-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        former = path.with_name(path.name + suffix)
        if former.exists():
            _link(former, aside.with_name(aside.name + suffix))
    if aside.exists():
        sync_folder(path.parent)
        yield f"{path.name}: what stood there is now {aside.name}"


def _link(former: Path, aside: Path) -> None:
    try:
        aside.hardlink_to(former)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        with replacing(aside) as beside:
            shutil.copy2(former, beside)


def _swap(staged: Path, target: Path) -> None:
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    staged.replace(target)
    sync_folder(target.parent)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _give(path: Path) -> None:
    """Make a file its folder's owner's, whose service shall open it: not root's."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _unwritable(path, exc) from exc


def _unwritable(path: Path, exc: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written ({exc.strerror}); make room, or restore as the user "
        f"of the service; what stood there is kept"
    )


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
