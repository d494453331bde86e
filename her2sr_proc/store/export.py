"""The frames of one unit as an OME-TIFF: from verified blocks, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw, raw_tiff
from her2sr_proc.store.atomic import replacing
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.rawform import RawFacts, RawShape

Wrote = Callable[[int], None]
"""Called with the number of frames of each block that is done."""


def export_tiff(
    run: RunFolder, unit: UnitKey, path: Path, wrote: Wrote = lambda _: None
) -> int:
    """Write every frame of a unit that is there as one BigTIFF; return how many.

    A partial unit gives the frames that it has. Each block is compared with its
    checksum when it is read, and with what was read once it is written. ``path`` is
    whole or absent. Raises `DataError` when a block cannot be read, or there is none.
    """
    history = read_ledger(run.ledger, field=unit.field).get(unit)
    if history is None or not history.blocks or history.discarded is not None:
        raise DataError(
            f"{unit.field}/{unit.channel} has no raw frames in {run.name}; export "
            f"from the copy that has them"
        )
    records = history.records()
    length = records[0].frames
    with replacing(path) as beside:
        raw_tiff.create(beside, _shape(run, history, length), _facts(run, unit))
        for number, record in enumerate(records):
            prepared = raw_tiff.prepare(_block(run, record, length))
            raw_tiff.write_block(beside, number, prepared)
            raw.check_block(beside, number, prepared)
            wrote(record.frames)
        raw_tiff.finish(beside, _renumbered(records))
    return history.frames


def is_exported(run: RunFolder, history: UnitHistory, path: Path) -> bool:
    """Return whether a TIFF holds exactly the frames of a unit, every pixel read."""
    records = history.records()
    try:
        for record, written in zip(records, _renumbered(records), strict=True):
            adu = raw.read_block(run.raw(history.key), record)
            claim = {"sha256": raw_tiff.prepare(adu).sha256}
            raw_tiff.read_block(path, written.model_copy(update=claim))
    except (DataError, OSError):
        return False
    return raw_tiff.pages(path) == history.frames


def _renumbered(records: list[BlockRecord]) -> Iterator[BlockRecord]:
    """Yield the blocks as they stand without the places of absent ones."""
    for number, record in enumerate(records):
        key = BlockKey(**record.key.model_dump(exclude={"block"}), block=number)
        first = number * record.frames
        yield record.model_copy(update={"key": key, "first_frame": first})


def _block(run: RunFolder, record: BlockRecord, length: int) -> raw.U16:
    if record.frames != length:
        raise IntegrityError(f"{run.name} has blocks of different lengths in one unit")
    key = record.key
    unit = UnitKey(**key.model_dump(exclude={"block"}))
    return raw.read_block(run.raw(unit), record)


def _shape(run: RunFolder, history: UnitHistory, length: int) -> RawShape:
    manifest = read_manifest(run)
    size = (manifest.frame_height, manifest.frame_width)
    return RawShape(history.frames, *size, length)


def _facts(run: RunFolder, unit: UnitKey) -> RawFacts:
    manifest = read_manifest(run)
    exposure_ms = manifest.channel(unit.channel).exposure_ms
    name = f"{manifest.sample} {unit.field}/{unit.channel}"
    return RawFacts(manifest.camera.pixel_nm / 1000.0, exposure_ms, name)
