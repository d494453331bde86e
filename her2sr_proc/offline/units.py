"""One unit (field x channel): frames on disk -> its table and its images."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from her2sr_proc.burst import BlockLocalizer, localizer_for
from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.localizer import Each
from her2sr_proc.offline.accounting import table_facts
from her2sr_proc.offline.cropped import remade_table
from her2sr_proc.offline.denoised import denoiser_of
from her2sr_proc.offline.gone import no_table
from her2sr_proc.offline.phases import with_phase
from her2sr_proc.offline.pictures import drop_images, ensure_images, has_images
from her2sr_proc.offline.unit import Unit
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.schema.table import Gathered, Localizations
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store import raw
from her2sr_proc.store.calibrations import camera_of
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import is_whole_parquet, read_parquet, write_parquet

REPLAY_THREADS = 2
"""Frames of a block from disk that are localized side by side."""


def close_unit(
    run: RunFolder,
    key: UnitKey,
    *,
    threads: int = REPLAY_THREADS,
    watch: Stopwatch | None = None,
) -> None:
    """Make the table and images of a unit from what is on disk.

    Blocks that the bus did not carry are localized from disk, ``threads`` frames side
    by side; a block that cannot be read stays missing in the table's count of frames.
    Doing it twice changes nothing. ``watch`` is told how long every step takes.
    """
    manifest = read_manifest(run)
    histories = read_ledger(run.ledger, field=key.field)
    history = histories.get(key)
    if history is None or not history.blocks:
        return
    watch = watch or Stopwatch()
    unit = Unit(run, manifest, history, camera_of(run, manifest), watch)
    may_compute = history.discarded is None  # else the table is all that there is
    is_shown = counted_attempts(manifest, histories, key.field).get(key.channel) == key
    if unit.is_signal:
        ensure = _ensure_table if may_compute else _ensure_kept_table
        ensure(unit, threads, is_shown=is_shown)
    if is_shown:
        ensure_images(unit, is_new=key.attempt > 1 and may_compute)


def is_closed(run: RunFolder, key: UnitKey) -> bool:
    """Return whether a unit's table and images are there, of all frames on disk."""
    manifest = read_manifest(run)
    histories = read_ledger(run.ledger, field=key.field)
    history = histories.get(key)
    if history is None or not history.blocks:
        return True
    unit = Unit(run, manifest, history, camera_of(run, manifest))
    if unit.is_signal and not _has_its_table(unit):
        return False
    answers = counted_attempts(manifest, histories, key.field)
    return answers.get(key.channel) != key or has_images(unit)


def _has_its_table(unit: Unit) -> bool:
    """Return whether the table is there; of discarded frames, whatever it is of."""
    if unit.history.discarded is not None:
        return is_whole_parquet(unit.run.table(unit.key))
    return _has_table(unit)


def _has_table(unit: Unit) -> bool:
    """Return whether the table is there, of all frames on disk and by this profile."""
    try:
        facts = table_facts(unit.run.table(unit.key))
    except IntegrityError:  # torn by a crash: computed anew
        return False
    return (
        facts is not None
        and facts.localized_frames == unit.history.frames
        and facts.profile_digest == unit.manifest.profile.digest
        and is_whole_parquet(unit.run.table(unit.key))
    )


def _ensure_kept_table(unit: Unit, threads: int, *, is_shown: bool) -> None:
    """Make the table of discarded frames of what was kept, unless it is there.

    Raises `IntegrityError` when it is there but torn, or not there and nothing was
    kept: nothing can replace it.
    """
    path, said = unit.run.table(unit.key), unit.history.discarded
    if not path.exists():
        if said is not None and said.crop is None:
            raise no_table(unit.run, said)
        _put_table(unit, *remade_table(unit, threads), is_shown=is_shown)
    elif not is_whole_parquet(path):
        raise IntegrityError(
            f"{path} is damaged, and the raw frames that it was made of were "
            f"discarded; restore it from a copy",
            path=str(path),
        )


def _ensure_table(unit: Unit, threads: int, *, is_shown: bool) -> None:
    """Make the table of the frames on disk, unless it is there."""
    if not _has_table(unit):
        _put_table(unit, *_merged_table(unit, threads), is_shown=is_shown)
    shutil.rmtree(unit.run.table_parts(unit.key), ignore_errors=True)


def _put_table(
    unit: Unit, table: Localizations, metadata: dict[str, str], *, is_shown: bool
) -> None:
    """Replace the table of a unit, and first remove the images that show another."""
    if is_shown:
        drop_images(unit)
    write_parquet(unit.run.table(unit.key), table, metadata)


def _merged_table(unit: Unit, threads: int) -> tuple[Localizations, dict[str, str]]:
    """Return the table of the frames on disk, and the metadata of its file."""
    with ThreadPoolExecutor(threads) as crew:
        replay = Replay(unit, crew.map)
        gathered, parts = Gathered(), list[_Part]()
        for record in unit.records():
            if (found := _part(unit, record, replay)) is not None:
                part, of_block = found
                parts.append(part)
                gathered.add(of_block)
    frames = sum(part.record.frames for part in parts)
    until = max((p.record.first_frame + p.record.frames for p in parts), default=0)
    with unit.watch.step("ensemble"):
        table, phase = with_phase(
            gathered.take(),
            frames=until,
            profile=unit.manifest.profile,
        )
    metadata = phase | {
        "localized_frames": str(frames),
        "replayed_frames": str(sum(p.record.frames for p in parts if p.is_replayed)),
        "profile_digest": unit.manifest.profile.digest,
        "blocks": ",".join(str(part.record.key.block) for part in parts),
        "field": unit.key.field,
        "channel": unit.key.channel,
    }
    if sha256 := unit.manifest.denoised_by.get(unit.key.channel):
        metadata["model_sha256"] = sha256
    return table, metadata


class Replay:
    """Localizes blocks of a unit from disk, with planes that all of them share."""

    def __init__(self, unit: Unit, each: Each) -> None:
        self._unit = unit
        self._each = each

    @cached_property
    def _localizer(self) -> BlockLocalizer:
        unit = self._unit
        return localizer_for(
            unit.manifest,
            unit.key.channel,
            unit.camera,
            watch=unit.watch,
            denoise=denoiser_of(unit),
        )

    def localize(self, record: BlockRecord) -> Localizations:
        """Return the table of a block. Raises `DataError` when it cannot be read."""
        with self._unit.watch.step("load"):
            adu = raw.read_block(self._unit.run.raw(self._unit.key), record)
        first = record.first_frame
        return self._localizer.block(adu, first_frame=first, each=self._each)


@dataclass(frozen=True, slots=True)
class _Part:
    record: BlockRecord
    is_replayed: bool


def _part(
    unit: Unit, record: BlockRecord, replay: Replay
) -> tuple[_Part, Localizations] | None:
    """Return a block with its table, from the live localizer or from disk."""
    path = unit.run.table_part(unit.key, record.key.block)
    if path.exists():
        try:
            table, metadata = read_parquet(path)
        except DataError:  # torn by a crash: computed anew
            path.unlink()
        else:
            return _Part(record, metadata.get("source") == "replayed"), table
    try:
        table = replay.localize(record)
    except DataError:  # counted: the frames stay missing at the last tap
        return None
    metadata = {
        "source": "replayed",
        "block": str(record.key.block),
        "first_frame": str(record.first_frame),
        "frames": str(record.frames),
    }
    write_parquet(path, table, metadata)
    return _Part(record, is_replayed=True), table
