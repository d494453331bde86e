"""``her2sr backup`` and ``restore``: databases of a data folder, copied and checked.

Source of the copy while others write: SQLite's online backup.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import ConfigError, RunConflictError, StorageError
from her2sr_acq.ownership import Hold, Holder, holder, require_locks
from her2sr_proc.store.atomic import replacing, replacing_folder, write_text
from her2sr_proc.store.layout import DataFolder

SUMS = "SHA256SUMS"
BUSY_S = 30.0


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

    Raises `RunConflictError` while a service holds the data folder, `ConfigError` for
    a folder that is no backup, `StorageError` for one that is damaged.
    """
    clock = clock or Clock()
    expected = _sums(source)
    names = {path.name: path for path in _databases(data)}
    for name, digest in expected.items():
        if name not in names:
            raise ConfigError(f"{source} names {name}, which no data folder holds")
        if not (source / name).is_file() or _sha256(source / name) != digest:
            raise StorageError(
                f"{source / name} is not as it was backed up; use another backup"
            )
        _check(source / name)
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
    with Hold(data.resolve(), me):
        return [
            line
            for name in expected
            for line in _put_back(source / name, names[name], clock.stamp())
        ]


def _put_back(source: Path, target: Path, stamp: str) -> Iterator[str]:
    aside = target.with_name(f"{target.name}.before-{stamp.replace(':', '')}")
    for suffix in ("", "-wal", "-shm"):
        former = target.with_name(target.name + suffix)
        if former.exists():
            former.rename(aside.with_name(aside.name + suffix))
    if aside.exists():
        yield f"{target.name}: what stood there is now {aside.name}"
    with replacing(target) as beside:
        beside.write_bytes(source.read_bytes())
    yield f"{target.name}: put back"


def _databases(data: Path) -> list[Path]:
    folder = DataFolder(data.resolve())
    return [folder.database, folder.accounts]


def _copy(path: Path, target: Path) -> None:
    try:
        with (
            closing(
                sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)
            ) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there)
    except sqlite3.Error as exc:
        raise StorageError(f"{path} cannot be copied ({exc}); her2sr recover") from exc
    _check(target)


def _check(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
            (said,) = link.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as exc:
        said = str(exc)
    if said != "ok":
        raise StorageError(f"{path} is damaged ({said}); use another backup")


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
