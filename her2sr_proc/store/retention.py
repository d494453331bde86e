"""Giving up raw frames whose results are proven: the only place that removes any.

First it is shown that nothing is lost that was to be kept, then the kept frames are
written and read back, then the ledger says what will be done; only then is it done. A
crash in between leaves frames that the ledger calls discarded; doing it again removes
them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.schema.block import BlockKey, UnitKey, block_length
from her2sr_proc.schema.ledger import (
    BlockRecord,
    CropRecord,
    DiscardRecord,
    KeptBlock,
    UnitState,
)
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store import raw
from her2sr_proc.store.atomic import sync_folder
from her2sr_proc.store.cropping import (
    GUARD_PX,
    boxes_of,
    kept_pixels,
    mean_picture,
    read_fill,
    whole,
    write_fill,
)
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import FLUCTUATIONS, RunFolder
from her2sr_proc.store.ledger import UnitHistory, counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import read_parquet

U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]
Record = Callable[[DiscardRecord], None]
"""Returns once the ledger has the line."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants frames discarded, why, when, and which of them stay."""

    by: str
    reason: str
    utc: str
    every_nth: int = 0
    """0: none stays."""
    margin_um: float = 0.0
    """Of all frames the pixels so near to nuclei stay; 0: none."""


def why_kept(
    run: RunFolder,
    manifest: Manifest,
    history: UnitHistory,
    of_field: dict[UnitKey, UnitHistory],
) -> str:
    """Return why the raw frames of a unit must stay; empty when they may go.

    They may go when the unit is complete, its table holds every frame and was made
    with the run's profile, and every image that is made of frames can be read.
    ``of_field``: the units of its field at least, by the ledger; it is not read here,
    once for every unit.
    """
    verdict, key = history.verdict, history.key
    if verdict is None or verdict.state is not UnitState.COMPLETE:
        return "it is not complete"
    if not verdict.requested == verdict.written == history.frames:
        return f"{history.frames} of {verdict.requested} frames are written"
    answering = counted_attempts(manifest, of_field, key.field)
    if answering[key.channel] != key:
        return "another attempt answers for its field"
    channel = manifest.channel(key.channel)
    is_signal = channel.role == "signal"
    kinds = ("superresolution", *FLUCTUATIONS) if is_signal else ("mean",)
    try:
        if is_signal:
            _require_table(run, manifest, history)
        for kind in ("conventional", *kinds):
            read_tiff(run.image(key.field, key.channel, kind))
    except (DataError, OSError) as exc:
        return str(exc)
    if not run.field_result(key.field).exists():
        return "its field has no result yet"
    return ""


def discard(
    run: RunFolder,
    history: UnitHistory,
    record: Record,
    order: Order,
) -> DiscardRecord:
    """Give up the raw frames of one unit; the caller has asked `why_kept`.

    Raises `IntegrityError` when frames that are to be kept cannot be read, after a
    crash too; nothing is removed then.
    """
    said = history.discarded
    if said is not None and run.raw(history.key).exists():
        fault = next(filter(None, check_kept(run, said)), "")
        if fault:
            raise IntegrityError(f"those to be kept are damaged ({fault})")
    if said is None:
        kept, crop = _kept_of(run, history, order)
        said = DiscardRecord(
            key=history.key,
            utc=order.utc,
            by=order.by,
            reason=order.reason,
            frames=history.frames,
            every_nth=order.every_nth,
            kept=kept,
            crop=crop,
        )
        record(said)
    remove_raw(run, history)
    return said


def remove_raw(run: RunFolder, history: UnitHistory) -> None:
    """Remove the frames of a unit that the ledger calls discarded."""
    for form in ("ome-zarr", "ome-tiff"):
        path = run.raw(history.key, form)
        if path.is_dir():
            # out of sight first: a half-removed array must not look like a unit
            aside = path.with_name(f".{path.name}.discarded")
            path.replace(aside)
            sync_folder(path.parent)
            shutil.rmtree(aside)
        elif path.exists():
            path.unlink()
            sync_folder(path.parent)
    for left in run.raw(history.key).parent.glob(".*.discarded"):
        shutil.rmtree(left)


def check_kept(run: RunFolder, said: DiscardRecord) -> Iterator[str]:
    """Yield for each kept block what is wrong with it, or nothing."""
    path = run.raw_kept(said.key, said.every_nth)
    if said.crop is not None:
        path = run.raw_nuclei(said.key)
        try:
            read_fill(run.raw_nuclei_fill(said.key), said.crop)
        except DataError as exc:
            yield f"kept frames: {exc}"
    first = 0
    for block in said.kept:
        try:
            raw.read_block(path, _as_record(said, block, first))
        except (DataError, OSError, ValueError, RuntimeError) as exc:
            yield f"kept frames: {exc}"
        else:
            yield ""
        first += block.frames


def run_units(run: RunFolder) -> tuple[Manifest, dict[str, list[UnitHistory]]]:
    """Return the manifest of a run and, by field, its units that have blocks."""
    fields: dict[str, list[UnitHistory]] = {}
    for history in read_ledger(run.ledger).values():
        if history.blocks:
            fields.setdefault(history.key.field, []).append(history)
    return read_manifest(run), fields


def _require_table(run: RunFolder, manifest: Manifest, history: UnitHistory) -> None:
    path = run.table(history.key)
    _, facts = read_parquet(path)
    localized = facts.get("localized_frames")
    if localized != str(history.frames):
        raise IntegrityError(
            f"its table holds {localized or 'no'} of {history.frames} frames"
        )
    if facts.get("profile_digest") != manifest.profile.digest:
        raise IntegrityError("its table was made with another profile")


def read_crop(run: RunFolder, said: DiscardRecord) -> Iterator[tuple[BlockRecord, U16]]:
    """Yield the blocks of a unit that was cropped, whole again but for a still ground.

    Raises `IntegrityError` where one is not as it was written, or there is no crop.
    """
    if said.crop is None:
        raise IntegrityError(f"{said.key.field}/{said.key.channel} was not cropped")
    fill = read_fill(run.raw_nuclei_fill(said.key), said.crop)
    shape = (fill.shape[0], fill.shape[1])
    mask = kept_pixels(said.crop.boxes, shape)
    first = 0
    for block in said.kept:
        record = _as_record(said, block, first)
        adu = raw.read_block(run.raw_nuclei(said.key), record)
        yield record, whole(adu, mask, fill)
        first += block.frames


def _kept_of(
    run: RunFolder, history: UnitHistory, order: Order
) -> tuple[tuple[KeptBlock, ...], CropRecord | None]:
    if order.margin_um:
        return _crop(run, history, order.margin_um)
    return (_keep(run, history, order.every_nth) if order.every_nth else ()), None


def _crop(
    run: RunFolder, history: UnitHistory, margin_um: float
) -> tuple[tuple[KeptBlock, ...], CropRecord]:
    """Write all frames with the pixels around nuclei alone; read each block back."""
    manifest = read_manifest(run)
    key, pixel_nm = history.key, manifest.camera.pixel_nm
    margin_px = round(margin_um * 1000.0 / pixel_nm)
    shape = (manifest.frame_height, manifest.frame_width)
    boxes = boxes_of(_nuclei(run, key.field, shape), max(margin_px, GUARD_PX))
    records, path = history.records(), run.raw_nuclei(key)
    fill = mean_picture(raw.read_block(run.raw(key), one) for one in records)
    shutil.rmtree(path, ignore_errors=True)  # of an attempt that was interrupted
    raw.create(
        path,
        raw.RawShape(history.frames, *shape, records[0].frames),
        pixel_um=pixel_nm / 1000.0,
        exposure_ms=manifest.channel(key.channel).exposure_ms,
        name=f"{key.field}/{key.channel}, around nuclei",
        coding="dense",
    )
    mask = kept_pixels(boxes, shape)
    frames = (raw.read_block(run.raw(key), one) * mask for one in records)
    one_by_one = (frame for block in frames for frame in block)
    kept = tuple(_write_kept(path, one_by_one, records[0].frames))
    digest = write_fill(run.raw_nuclei_fill(key), fill, pixel_nm=pixel_nm)
    return kept, CropRecord(
        margin_um=margin_um,
        guard_px=GUARD_PX,
        boxes=boxes,
        share=float(mask.mean()),
        fill_sha256=digest,
    )


def _nuclei(run: RunFolder, field: str, shape: tuple[int, int]) -> I32:
    """Return the labels of a field. Raises `DataError` where no nucleus is known."""
    try:
        labels = np.asarray(read_tiff(run.labels(field), shape), np.int32)
    except (DataError, OSError) as exc:
        raise DataError(
            "no nuclei of its field are known, so none can be kept"
        ) from exc
    if not labels.any():
        raise DataError("no nucleus was found in its field, so all of it stays")
    return labels


def _keep(
    run: RunFolder, history: UnitHistory, every_nth: int
) -> tuple[KeptBlock, ...]:
    """Write every n-th frame as an array of its own, and read each block back."""
    path = run.raw_kept(history.key, every_nth)
    shutil.rmtree(path, ignore_errors=True)  # of an attempt that was interrupted
    manifest = read_manifest(run)
    channel = manifest.channel(history.key.channel)
    size = (manifest.frame_height, manifest.frame_width)
    count = -(-history.frames // every_nth)
    length = block_length(frames=count, height=size[0], width=size[1], exposure_ms=0.0)
    raw.create(
        path,
        raw.RawShape(count, *size, length),
        pixel_um=manifest.camera.pixel_nm / 1000.0,
        exposure_ms=channel.exposure_ms * every_nth,
        name=f"{history.key.field}/{history.key.channel}, every {every_nth}th frame",
    )
    return tuple(_write_kept(path, _every(run, history, every_nth), length))


def _every(run: RunFolder, history: UnitHistory, every_nth: int) -> Iterator[U16]:
    path = run.raw(history.key)
    for record in history.records():
        frames = raw.read_block(path, record)
        yield from frames[-record.first_frame % every_nth :: every_nth]


def _write_kept(path: Path, frames: Iterator[U16], length: int) -> Iterator[KeptBlock]:
    waiting: list[U16] = []
    number = 0
    for frame in frames:
        waiting.append(frame)
        if len(waiting) < length:
            continue
        prepared = raw.prepare(path, np.stack(waiting))
        size, digest = raw.write_block(path, number, prepared)
        raw.check_block(path, number, prepared)
        yield KeptBlock(block=number, frames=length, bytes=size, sha256=digest)
        waiting, number = [], number + 1
    if waiting:  # those would be lost
        raise IntegrityError(
            f"{len(waiting)} frames are left over from blocks of {length}"
        )


def _as_record(said: DiscardRecord, block: KeptBlock, first: int) -> BlockRecord:
    return BlockRecord(
        key=BlockKey(**said.key.model_dump(), block=block.block),
        first_frame=first,
        frames=block.frames,
        bytes=block.bytes,
        sha256=block.sha256,
        t_s=(),
        published=False,
    )
