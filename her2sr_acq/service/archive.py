"""What finished work left on disk, found by ids alone.

Knows neither HTTP nor the hardware process: it goes on serving when that is gone. No
part of an id may be a path, and no symbolic link is followed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from her2sr_acq.errors import RunNotFoundError
from her2sr_proc.errors import IntegrityError, TableError
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.event import Event
from her2sr_proc.schema.results import RunResult
from her2sr_proc.store.ensemble_light import light_frames
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.line_index import lines_after
from her2sr_proc.store.results import read_result
from her2sr_proc.store.tables import read_parquet_metadata

FIELD = r"^r\d{2,3}_c\d{2,3}$"
KINDS = ("conventional", "superresolution")


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The file system that holds the data folder."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class UnitLight:
    """How many frames of a unit showed ensemble light."""

    channel: str
    """With its attempt, where that is not the first."""
    frames: int
    of: int
    """Frames that were localized."""


class Archive:
    """Read-only view of the run folders of one data folder."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data

    def run_ids(self) -> Iterator[str]:
        """Yield the id of every run folder, newest name first."""
        if not self._data.runs.is_dir():
            return
        for path in sorted(self._data.runs.iterdir(), reverse=True):
            if re.match(NAME, path.name) and not path.is_symlink() and path.is_dir():
                yield path.name

    def run(self, run_id: str) -> RunFolder:
        """Return a run's folder. Raises `RunNotFoundError` where there is none."""
        return self._run(run_id)

    def require_own(self, run: RunFolder, path: Path) -> None:
        """Raise `IntegrityError` where a symbolic link leads a path out of its run.

        The path itself need not be there yet.
        """
        inside = path.relative_to(run.root)
        if path.resolve() != run.root.resolve() / inside:
            raise IntegrityError(
                f"{inside} of {run.name} lies behind a symbolic link, which is not "
                f"followed; put the file itself there"
            )

    def result(self, run_id: str) -> RunResult:
        """Return the answer of a run. Raises `RunNotFoundError` without one."""
        run = self._run(run_id)
        self._existing(run, run.result, "result")
        return read_result(run)

    def counts(self, run_id: str) -> Path:
        """Return the path of ``counts.csv``."""
        run = self._run(run_id)
        return self._existing(run, run.counts, "counts")

    def report(self, run_id: str) -> Path:
        """Return the path of ``report.html``."""
        run = self._run(run_id)
        return self._existing(run, run.report, "report")

    def preview(self, run_id: str, field: str, channel: str, kind: str) -> Path:
        """Return the path of a preview PNG; ``kind`` is one of `KINDS`.

        Raises `RunNotFoundError` where there is no such picture.
        """
        run = self._run(run_id)
        if not (re.match(FIELD, field) and re.match(NAME, channel) and kind in KINDS):
            raise RunNotFoundError(
                "an image is named by field, channel and one of: " + ", ".join(KINDS)
            )
        path = run.preview(field, channel, kind)
        return self._existing(run, path, f"{kind} image of {field}/{channel}")

    def overview_picture(self, run_id: str, name: str) -> Path:
        """Return the path of a tile's overview PNG, or of the whole ``grid``'s.

        Raises `RunNotFoundError` where there is no such picture.
        """
        run = self._run(run_id)
        if name == "grid":
            return self._existing(run, run.overview_mosaic, "overview")
        if not re.match(FIELD, name):
            raise RunNotFoundError("an overview picture is named by field, or 'grid'")
        path = run.overview_preview(name)
        return self._existing(run, path, f"overview picture of {name}")

    def previews(self, run_id: str) -> list[tuple[str, str, str]]:
        """Return field, channel and kind of every preview of a run, in order."""
        images = self._run(run_id).root / "images"
        found = []
        for path in sorted(images.glob("*/*.png")):
            channel, _, kind = path.stem.rpartition("_")
            if kind in KINDS and re.match(FIELD, path.parent.name):
                found.append((path.parent.name, channel, kind))
        return found

    def ensemble_light(self, run_id: str, field: str) -> list[UnitLight]:
        """Return what the tables of a field say of ensemble light, those that do.

        A table that cannot be read says nothing here: the run's result names it.
        """
        run = self._run(run_id)
        found = []
        for key in run.tables(field) if re.match(FIELD, field) else ():
            path = run.table(key)
            if not _is_inside(path, run.root):
                continue
            try:
                said = read_parquet_metadata(path)
                frames, of = light_frames(said), int(said["localized_frames"])
            except (TableError, KeyError, ValueError):
                continue
            if frames is not None:
                attempt = f".a{key.attempt}" if key.attempt > 1 else ""
                found.append(UnitLight(key.channel + attempt, frames, of))
        return found

    def folder(self, run_id: str) -> RunFolder:
        """Return the folder of a run. Raises `RunNotFoundError` without one."""
        return self._run(run_id)

    def events(self, run_id: str, after: int, limit: int) -> list[Event]:
        """Return chained events of a run, those after a sequence, in order."""
        run = self._run(run_id)
        path = self._existing(run, run.events, "events")
        lines = lines_after(path, after + 1, limit)
        return [_event(path, number, line) for number, line in lines]

    def space(self) -> DiskSpace:
        """Return how full the disk is."""
        usage = shutil.disk_usage(self._data.root)
        return DiskSpace(total_bytes=usage.total, free_bytes=usage.free)

    def _run(self, run_id: str) -> RunFolder:
        folder = self._data.run(run_id) if re.match(NAME, run_id) else None
        if folder is None or not _is_inside(folder.root, self._data.runs):
            raise RunNotFoundError(f"there is no run '{run_id[:80]}' on disk")
        return folder

    def _existing(self, run: RunFolder, path: Path, what: str) -> Path:
        if not path.is_file() or not _is_inside(path, run.root):
            raise RunNotFoundError(
                f"{run.name} has no {what} yet; it is written as the run goes on, "
                f"and `her2sr process` computes what is missing"
            )
        return path


def _event(path: Path, number: int, line: str) -> Event:
    try:
        return Event.model_validate_json(line)
    except ValidationError as exc:
        raise IntegrityError(
            f"{path.name} line {number} is no event; restore the file from a copy"
        ) from exc


def _is_inside(path: Path, root: Path) -> bool:
    """Whether ``path`` exists below ``root`` with no symbolic link in between."""
    if not path.exists() or not path.is_relative_to(root):
        return False
    return path.resolve() == root.resolve() / path.relative_to(root)
