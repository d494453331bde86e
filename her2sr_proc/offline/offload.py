"""A finished run copied to a share, every file read back from there.

Doing it again copies what is missing or differs. The list of digests is written last,
so that a copy without it is known to be unfinished.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import IntegrityError, RequestError, StateError
from her2sr_proc.offline.copying import (
    Source,
    copy_verified,
    enough_room,
    forget,
    sha256,
    sha256_from_disk,
    size_of,
)
from her2sr_proc.offline.left_out import Looked, look_at, refusal
from her2sr_proc.offline.recorded import Part, look, recorded
from her2sr_proc.offline.tiffs import exports
from her2sr_proc.schema.offload import CopiedFile, OffloadList
from her2sr_proc.store.atomic import make_folder, write_text
from her2sr_proc.store.export import export_tiff, is_exported
from her2sr_proc.store.holding import held
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.raw_hold import RawHold

LIST = "offload.json"
BY = "offload"
"""Who discards raw frames that stand on a share."""
OVER = ("completed", "completed_with_faults", "aborted", "faulted", "interrupted")
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Offloaded:
    """What an offload did."""

    folder: Path
    copied: int
    """Files written now."""
    verified: int
    """Files that were there already and are as they should be."""
    bytes: int
    """Of all files on the share."""
    tiffs: tuple[str, ...]
    """TIFFs on the share, by their path in the copy."""


def require_over(run: RunFolder) -> None:
    """Raise `StateError` unless the run is over: nothing more will be written."""
    read_manifest(run)
    for history in read_ledger(run.ledger).values():
        if history.verdict is None:
            raise StateError(
                f"{history.key.field}/{history.key.channel} of {run.name} is still "
                f"being acquired, or its process died; wait for the end of the run, or "
                f"use `her2sr recover`"
            )
    state = state_of(run)
    if state not in OVER:
        raise StateError(
            f"{run.name} is {state}; wait for its end, or stop it, before it is moved"
        )


def offload(
    run: RunFolder, share: Path, progress: Progress, *, utc: str, with_tiffs: bool
) -> Offloaded:
    """Copy a run to ``share``/RUN_ID and verify it there; write the list last.

    Raises `StateError` for a run that is not over or whose frames are being rewritten
    or removed, or a copy that another call makes; `RequestError` for a share that is
    absent, full, closed or the run's own place, or a run with symbolic links,
    `IntegrityError` when a copy does not read back. Also for a block here that is
    missing or not as the ledger says, or a file that is empty or no JSON any more: it
    is left out, and all others are copied and listed before.
    """
    require_over(run)
    folder = _folder(run, share)
    _require_own(run)
    with RawHold(run), enough_room(folder):
        require_over(run)
        make_folder(folder)
        try:
            with held(folder):
                return _fill(run, folder, progress, utc=utc, with_tiffs=with_tiffs)
        finally:
            with suppress(OSError):  # of a refusal nothing is left
                folder.rmdir()


def _fill(
    run: RunFolder, folder: Path, progress: Progress, *, utc: str, with_tiffs: bool
) -> Offloaded:
    _clear(folder)
    former = read_list(folder)
    known = recorded(run)
    looked = look_at(run, folder, known, dict(_sources(run)), progress)
    files, copied = _copy(run, folder, looked, progress)
    gone = _only_there(folder, former, files, looked) if former else {}
    tiffs = dict(former.exports) if former else {}
    written = {}
    if with_tiffs and not looked.left_out:  # they are made of the frames here
        written = _write_tiffs(run, folder, progress)
    for name, entry in {**gone, **tiffs}.items():
        if name not in written:
            _require_held(folder, name, entry)
    tiffs |= written
    listed = OffloadList(run=run.name, utc=utc, files=gone | files, exports=tiffs)
    with enough_room(folder / LIST):
        write_text(folder / LIST, listed.model_dump_json(indent=1))
    if looked.left_out:
        raise refusal(run, folder, looked.left_out, known)
    progress("done", 1, 1)
    total = sum(entry.bytes for entry in (*listed.files.values(), *tiffs.values()))
    there = len(listed.files) - copied
    return Offloaded(folder, copied, there, total, tuple(tiffs))


def read_list(folder: Path) -> OffloadList | None:
    """Return the list of a copy; None when it is unfinished or absent."""
    try:
        return OffloadList.model_validate_json((folder / LIST).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as exc:
        raise IntegrityError(
            f"{folder / LIST} is damaged; remove it and offload again"
        ) from exc


def check_copy(
    folder: Path,
    listed: OffloadList,
    known: Mapping[str, Sequence[Part]],
    progress: Progress,
) -> list[str]:
    """Return a sentence for every file of a copy that is not as it was copied.

    Or not as the ledger says, of which ``known`` are the parts: the copy of a block
    that rotted before is as it was copied.
    """
    faults = []
    entries = {**listed.files, **listed.exports}
    for done, (name, entry) in enumerate(entries.items()):
        progress(f"checking {name}", done, len(entries))
        try:
            faulty = _require_held(folder, name, entry, known.get(name, ()))
        except IntegrityError as exc:
            faults.append(str(exc))
        else:
            faults += [f"{part.name} is damaged in {folder / name}" for part in faulty]
    return faults


def _clear(folder: Path) -> None:
    """Remove what a killed offload left half-written; nothing reads it."""
    for path in folder.rglob(".*.partial-*"):
        path.unlink()


def _copy(
    run: RunFolder, folder: Path, looked: Looked, progress: Progress
) -> tuple[dict[str, CopiedFile], int]:
    """Copy what is missing or differs; return all files, and how many were copied."""
    sources = {
        name: source for name, source in _sources(run) if name not in looked.left_out
    }
    _require_room(folder, sources)
    files: dict[str, CopiedFile] = {}
    copied = 0
    for done, (name, source) in enumerate(sources.items()):
        progress(f"copying {name}", done, len(sources))
        target = folder / name
        wanted = looked.digests.get(name, "")
        digest = wanted or sha256(source)
        if not _holds(target, digest):
            digest = copy_verified(source, target, wanted=wanted)
            copied += 1
        files[name] = CopiedFile(bytes=target.stat().st_size, sha256=digest)
    return files, copied


def state_of(run: RunFolder) -> str:
    """Return the state that the events tell last; those of an import tell none.

    Raises `IntegrityError` for a line that is no event.
    """
    for line in reversed(read_lines(run.events)):
        try:
            event = json.loads(line)
            if event["kind"] == "state":
                return str(event["data"]["state"])
        except (json.JSONDecodeError, KeyError, TypeError) as exc:
            raise IntegrityError(
                f"{run.events.name} of {run.name} holds a line that is no event; see "
                f"`her2sr verify`"
            ) from exc
    return OVER[0]


def _folder(run: RunFolder, share: Path) -> Path:
    """Return where the copy stands. Raises `RequestError` for an unusable share."""
    if not share.is_dir():
        raise RequestError(
            f"{share} is no folder; mount the share, or make the folder, first"
        )
    if not os.access(share, os.W_OK | os.X_OK):
        raise RequestError(f"{share} takes no files; ask for the right to write there")
    folder = share.resolve() / run.name
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise RequestError(f"{folder} is no folder; rename it, or name another share")
    if run.root.resolve() in folder.parents or (
        folder.exists() and folder.samefile(run.root)  # by a link or a second mount too
    ):
        raise RequestError(f"{share} holds the run itself; name another place")
    return folder


def _require_own(run: RunFolder) -> None:
    """Raise `RequestError` for a symbolic link in a run: its copy would lack files."""
    for path in sorted(run.root.rglob("*")):
        if path.is_symlink():
            raise RequestError(
                f"{path.relative_to(run.root)} of {run.name} is a symbolic link, which "
                f"is not followed; put what it leads to there itself, or remove it"
            )


def _sources(run: RunFolder) -> Iterator[tuple[str, Source]]:
    for path in sorted(run.root.rglob("*")):
        name = path.relative_to(run.root)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and name != Path(LIST):
            is_ledger = path == run.ledger
            yield name.as_posix(), _ledger_of_copy(run) if is_ledger else path


def _ledger_of_copy(run: RunFolder) -> bytes:
    """Return the ledger without the lines by which frames left this machine."""
    kept = [
        line
        for line in read_lines(run.ledger)
        if not ('"kind":"discarded"' in line and json.loads(line)["by"] == BY)
    ]
    return "".join(f"{line}\n" for line in kept).encode()


def _require_room(folder: Path, sources: dict[str, Source]) -> None:
    missing = 0
    for name, source in sources.items():
        size = size_of(source)
        target = folder / name
        if not target.exists() or target.stat().st_size != size:
            missing += size
    free = shutil.disk_usage(folder.parent).free
    if missing > free:
        raise RequestError(
            f"{missing / 1e6:.0f} MB are to be copied and {free / 1e6:.0f} MB are free "
            f"in {folder.parent}; make room, or name another share"
        )


def _holds(target: Path, digest: str) -> bool:
    return target.is_file() and sha256_from_disk(target) == digest


def _require_held(
    folder: Path, name: str, entry: CopiedFile, parts: Sequence[Part] = ()
) -> list[Part]:
    """Return the parts of a file on the share that are not as the ledger says.

    Raises `IntegrityError` unless it is as it was copied.
    """
    path = folder / name
    if path.is_file():
        forget(path)
        digest, faulty = look(path, parts)
        if digest == entry.sha256:
            return faulty
    raise IntegrityError(
        f"{path} is missing or not as it was copied; offload again, with --tiff for a "
        f"TIFF, from where its frames still are"
    )


def _only_there(
    folder: Path,
    former: OffloadList,
    files: dict[str, CopiedFile],
    looked: Looked,
) -> dict[str, CopiedFile]:
    """Return what the share has alone since the last offload.

    That is raw frames that have left this machine, and what was left out now and is
    there as it was copied.
    """
    return {
        name: entry
        for name, entry in former.files.items()
        if name not in files
        and (
            _holds(folder / name, entry.sha256)
            if name in looked.left_out
            else name.startswith("raw/")
        )
    }


def _write_tiffs(
    run: RunFolder, folder: Path, progress: Progress
) -> dict[str, CopiedFile]:
    written = {}
    units = list(exports(run))
    for done, (name, history) in enumerate(units):
        progress(f"writing {name}", done, len(units))
        path = folder / name
        if not (path.exists() and is_exported(run, history, path)):
            with enough_room(path):
                export_tiff(run, history.key, path)
        digest = sha256_from_disk(path)
        written[name] = CopiedFile(bytes=path.stat().st_size, sha256=digest)
    return written
