"""Raw frames leave this machine once a verified copy stands on a share; never else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from her2sr_proc.errors import IntegrityError, ProcError, StateError, system_sentence
from her2sr_proc.offline.offload import (
    BY,
    Progress,
    check_copy,
    read_list,
    require_over,
)
from her2sr_proc.offline.recorded import Part, recorded
from her2sr_proc.schema.ledger import DiscardRecord
from her2sr_proc.schema.offload import OffloadList
from her2sr_proc.store import retention
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.raw_hold import RawHold


@dataclass(frozen=True, slots=True)
class Released:
    """What a rule did with one run."""

    run: str
    units: int
    """Units whose raw frames were removed here."""
    kept_because: str = ""


def release_raw(
    run: RunFolder, share: Path, progress: Progress, *, utc: str, reason: str
) -> int:
    """Remove the raw frames of a run here; return of how many units.

    Every file of the copy is read again first. Raises `StateError` when there is no
    finished copy or another call is at work on the frames, `IntegrityError` when a
    file of it is not as it was copied or a block of it not as the ledger says, or a raw
    file is not in it, or a block is missing here; nothing is removed then.
    """
    with RawHold(run, alone=True):
        require_over(run)
        return _release_all(run, share, progress, retention.Order(BY, reason, utc))


def _release_all(
    run: RunFolder, share: Path, progress: Progress, order: retention.Order
) -> int:
    folder = share.resolve() / run.name
    listed = read_list(folder)
    if listed is None:
        raise StateError(
            f"{share} holds no finished copy of {run.name}; offload it first"
        )
    _require_apart(run, folder, listed)
    missing = _not_listed(run, listed)
    if missing:
        raise IntegrityError(f"{missing} of {run.name} is not in its copy in {share}")
    known = recorded(run)
    absent = _absent(run, listed, known)
    if absent:
        raise IntegrityError(
            f"no raw frame was removed here: {absent}; offload {run.name} again"
        )
    faults = check_copy(folder, listed, known, progress)
    if faults:
        raise IntegrityError(f"no raw frame was removed here: {faults[0]}")
    units = [unit for unit in read_ledger(run.ledger).values() if unit.blocks]
    with LineWriter(run.ledger) as ledger:

        def record(line: DiscardRecord) -> None:
            ledger.append(line.model_dump_json())

        return sum(_release(run, unit, record, order) for unit in units)


def release_old(
    runs: list[RunFolder], share: Path, progress: Progress, *, now: datetime, days: int
) -> list[Released]:
    """Remove the raw frames of runs that ended more than ``days`` days ago.

    A run without a verified copy keeps all, and its line says why.
    """
    return [_apply(run, share, progress, now, days) for run in runs]


def _apply(
    run: RunFolder, share: Path, progress: Progress, now: datetime, days: int
) -> Released:
    try:
        require_over(run)
        ended = _ended(run)
        if ended is None or now - ended <= timedelta(days=days):
            return Released(run.name, 0, f"it ended less than {days} days ago")
        utc = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        reason = f"a verified copy stands in {share}; older than {days} days"
        done = release_raw(run, share, progress, utc=utc, reason=reason)
    except ProcError as exc:
        return Released(run.name, 0, str(exc))
    except OSError as exc:  # one run that cannot be written keeps no other waiting
        return Released(run.name, 0, system_sentence(exc))
    return Released(run.name, done, "" if done else "it has no raw frames here")


def _release(
    run: RunFolder, unit: UnitHistory, record: retention.Record, order: retention.Order
) -> int:
    had = run.raw(unit.key).exists()
    retention.discard(run, unit, record, order)
    return int(had)


def _require_apart(run: RunFolder, folder: Path, listed: OffloadList) -> None:
    """Raise `IntegrityError` where a copy is the run's own files by another name.

    A file made here must not show there: shares mounted from this disk tell no inodes.
    """
    there = [folder, *(folder / name for name in listed.files)]
    here = {_inode(path) for path in (run.root, *(run.root / "raw").rglob("*"))}
    probe = run.root / f".apart.partial-{os.getpid()}"
    try:
        probe.touch()
        is_same = (folder / probe.name).exists()
    finally:
        probe.unlink(missing_ok=True)
    if is_same or any(_inode(path) in here for path in there if path.exists()):
        raise IntegrityError(
            f"{folder} leads to files of {run.root} itself and is no second copy; no "
            f"raw frame was removed here: offload to another disk"
        )


def _inode(path: Path) -> tuple[int, int]:
    said = path.stat()
    return said.st_dev, said.st_ino


def _not_listed(run: RunFolder, listed: OffloadList) -> str:
    """Return a raw file here that the copy lacks or has in another length."""
    for path in (run.root / "raw").rglob("*"):
        name = path.relative_to(run.root)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        entry = listed.files.get(name.as_posix())
        if entry is None or entry.bytes != path.stat().st_size:
            return name.as_posix()
    return ""


def _absent(
    run: RunFolder, listed: OffloadList, known: Mapping[str, Sequence[Part]]
) -> str:
    """Return what the ledger has and the run here or its copy lacks."""
    for name, parts in known.items():
        if not (run.root / name).is_file():
            return f"{parts[0].name} is missing here"
        if name not in listed.files:
            return f"{parts[0].name} is not in its copy"
    return ""


def _ended(run: RunFolder) -> datetime | None:
    verdicts = [unit.verdict for unit in read_ledger(run.ledger).values()]
    ends = [datetime.fromisoformat(v.ended_utc) for v in verdicts if v is not None]
    return max(ends, default=None)
