"""Raw frames coded anew, denser, while nobody needs the processor; every bit stays.

Block by block: compared with its checksum, coded, decoded and compared with the frames,
forced to disk beside; then the ledger names the new chunk and the one it replaces, and
only then does the one take the place of the other. A crash at any moment leaves a chunk
that the ledger knows; doing it again goes on where it ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numcodecs.blosc import Blosc, cbuffer_complib

from her2sr_proc.errors import IntegrityError
from her2sr_proc.offline.offload import Progress, require_over
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw, raw_zarr
from her2sr_proc.store.atomic import sync_folder, telling
from her2sr_proc.store.direct import write_new
from her2sr_proc.store.holding import sweep
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.raw_hold import RawHold
from her2sr_proc.store.rawform import Prepared, block_name, digest, require_same

Record = Callable[[BlockRecord], None]
"""Returns once the ledger has the line."""


@dataclass(frozen=True, slots=True)
class Recompressed:
    """What was done with one run."""

    run: str
    blocks: int
    """Coded anew now."""
    already: int
    """As they were: dense before, or no smaller so."""
    bytes_before: int
    bytes_after: int


def recompress(
    run: RunFolder,
    progress: Progress,
    *,
    between: Callable[[RawHold], None] = lambda _: None,
) -> Recompressed:
    """Code every raw block of a run densely that is not yet.

    ``between`` is called after each block, and may stand aside for others. Raises
    `StateError` for a run that is not over or whose frames another call has,
    `IntegrityError` for a block that is not as the ledger says: it stays as it is, and
    those before it are done; `WriteError` when the disk takes no more.
    """
    with RawHold(run, alone=True) as hold:
        require_over(run)
        return _all_units(run, progress, lambda: between(hold))


def is_dense(run: RunFolder) -> bool:
    """Return whether a run has no raw frames that could be coded anew."""
    return all(
        raw_zarr.coding_of(run.raw(history.key)) == "dense"
        for history in read_ledger(run.ledger).values()
        if history.blocks and _is_array(run, history)
    )


def _all_units(
    run: RunFolder, progress: Progress, between: Callable[[], None]
) -> Recompressed:
    units = [
        history
        for history in read_ledger(run.ledger).values()
        if history.blocks and _is_array(run, history)
    ]
    total = sum(len(unit.blocks) for unit in units)
    sizes: list[tuple[int, int, bool]] = []
    with LineWriter(run.ledger) as ledger:

        def record(line: BlockRecord) -> None:
            ledger.append(line.model_dump_json())

        for unit in units:
            path = run.raw(unit.key)
            for block in unit.records():
                sizes.append(_block(path, block, record))
                name = f"{unit.key.field}/{unit.key.channel}"
                progress(f"coding {name}", len(sizes), total)
                between()
            raw_zarr.mark_coding(path, "dense")
    done = sum(is_new for *_, is_new in sizes)
    return Recompressed(
        run=run.name,
        blocks=done,
        already=len(sizes) - done,
        bytes_before=sum(before for before, *_ in sizes),
        bytes_after=sum(after for _, after, _ in sizes),
    )


def _is_array(run: RunFolder, history: UnitHistory) -> bool:
    path = run.raw(history.key)
    return history.discarded is None and path.is_dir() and not raw.is_tiff(path)


def _block(path: Path, old: BlockRecord, record: Record) -> tuple[int, int, bool]:
    """Code one block; return its bytes before and after, and whether it changed."""
    chunk = raw.chunk_path(path, old.key.block)
    sweep(chunk.parent)
    data = _verified(chunk, old)
    if cbuffer_complib(data).lower() == "zstd":
        return len(data), len(data), False
    pixels = np.frombuffer(Blosc().decode(data), "<u2")
    new = raw_zarr.prepare(pixels, "dense")
    if len(new.data) >= len(data):
        return len(data), len(data), False
    if not np.array_equal(np.frombuffer(Blosc().decode(new.data), "<u2"), pixels):
        raise IntegrityError(
            f"{block_name(old)} does not decode to what it was; nothing was changed",
            path=str(chunk),
        )
    with telling(chunk):
        _replace(chunk, old, new, record)
    return len(data), len(new.data), True


def _verified(chunk: Path, record: BlockRecord) -> bytes:
    """Return a chunk that is as the ledger says. Raises `IntegrityError`."""
    if not chunk.exists():
        raise IntegrityError(f"{block_name(record)} is missing", path=str(chunk))
    data = chunk.read_bytes()
    if digest(data) not in record.digests:
        raise IntegrityError(
            f"{block_name(record)} does not match its checksum; restore it from a copy",
            path=str(chunk),
        )
    return data


def _replace(chunk: Path, old: BlockRecord, new: Prepared, record: Record) -> None:
    """Put the new chunk in place of the old one; the ledger knows of it before."""
    beside = chunk.with_name(f".0.partial-{os.getpid()}")
    try:
        write_new(beside, new.data)
        require_same(beside, 0, new.data)
        if new.sha256 != old.sha256:  # else the line was written before a crash
            # of two codings that the ledger knows, the one that stands there now
            standing = digest(chunk.read_bytes())
            record(
                old.model_copy(
                    update={
                        "bytes": len(new.data),
                        "sha256": new.sha256,
                        "replaces": standing,
                    }
                )
            )
        beside.replace(chunk)
        sync_folder(chunk.parent)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
