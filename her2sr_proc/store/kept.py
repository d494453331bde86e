"""What is kept of raw frames that are given up: written, read back and checked.

Every n-th frame, or of all frames the pixels around nuclei; an array of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.schema.block import BlockKey, block_length
from her2sr_proc.schema.ledger import BlockRecord, CropRecord, DiscardRecord, KeptBlock
from her2sr_proc.store import raw
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
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory
from her2sr_proc.store.manifest import read_manifest

U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]


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


def write_crop(
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


def write_nth(
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
