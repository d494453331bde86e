"""Threads that store: some make the bytes of blocks, one writes, checks and tells.

Blocks are encoded while those before them are written, so that neither processor nor
disk waits for the other. Blocks are written one at a time, in order: to disk, read
back, then to the bus, then into the ledger. The ledger's line tells whether the bus
took the block, so it comes last; it is written only for a block that is durable and
read back as it was meant. The first error ends the writing: what follows is given back
unwritten, and the engine is told.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from her2sr_acq.errors import AcqError, StorageError
from her2sr_acq.stream.blocks import U16, Block, BlockPool
from her2sr_proc.errors import DataError
from her2sr_proc.schema.block import BlockHeader, UnitKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.threads import name_here

log = logging.getLogger(__name__)

Prepare = Callable[[Path, U16], raw.Prepared]
"""Returns the bytes of a block as they will stand on disk."""
WriteBlock = Callable[[Path, int, raw.Prepared], tuple[int, str]]
"""Writes one block durably and returns its length in bytes and its SHA-256."""
Check = Callable[[Path, int, raw.Prepared], None]
"""Reads a written block back; raises `DataError` when it differs."""
ENCODERS = 2
"""Of other processes busy on every core, one encoder gets too small a share."""
ENCODE_S = 30.0
"""No processor is so busy that encoding a block takes longer."""
CLOSE_S = 30.0
"""A write that takes longer than this at the end is hung in the operating system."""
Record = Callable[[BlockRecord], None]
Publish = Callable[[BlockHeader, U16], bool]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the blocks of one unit go."""

    unit: UnitKey
    path: Path
    record: Record
    """Writes a block into the ledger that is durable and was read back."""
    publish: Publish | None
    """Offers a block to the bus; None: this channel is not localized."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    destination: Destination
    block: Block
    encoded: Future[raw.Prepared]


class Sink:
    """Writes blocks on threads of its own, in order. Entered and left with `with`."""

    def __init__(
        self,
        pool: BlockPool,
        *,
        write: WriteBlock,
        prepare: Prepare = raw.prepare,
        check: Check = raw.check_block,
    ) -> None:
        self._pool = pool
        self._write = write
        self._prepare = prepare
        self._check = check
        # the pool bounds it, and with it the encoded blocks that wait for the disk
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(pool.buffers + 1)
        self._failure: AcqError | None = None
        self._idle = threading.Condition()
        self._pending = 0
        self._encoders = ThreadPoolExecutor(
            ENCODERS, "encoder", initializer=name_here, initargs=("encoder",)
        )
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, then end the threads."""
        self._queue.put_nowait(None)
        self._thread.join(CLOSE_S)
        self._encoders.shutdown(wait=False)
        if self._thread.is_alive():
            log.error("the writer still waits for the disk after %g s", CLOSE_S)

    def require_writing(self) -> None:
        """Raise the `StorageError` that ended the writing, if one did.

        Cheap: called for every frame, so that light goes out before a block is full.
        """
        if self._failure is not None:
            raise self._failure

    def put(self, destination: Destination, block: Block) -> None:
        """Queue a full block. Raises `StorageError` once the writer has failed.

        The queue has room for every buffer of the pool, so this does not wait.
        """
        if self._failure is not None:
            self._pool.give_back(block.buffer)
            raise self._failure
        with self._idle:
            self._pending += 1
        encoded = self._encoders.submit(self._prepare, destination.path, block.adu)
        self._queue.put_nowait(_Waiting(destination, block, encoded))

    def drain(self, *, timeout_s: float) -> None:
        """Return once every queued block is written.

        Raises `StorageError` when one could not be, or the disk is too slow.
        """
        with self._idle:
            if not self._idle.wait_for(lambda: self._pending == 0, timeout_s):
                raise StorageError(
                    f"{self._pending} blocks are still not written after {timeout_s:g} "
                    f"s; check the disk of the data folder"
                )
        self.require_writing()

    def _run(self) -> None:
        name_here("writer")
        while (item := self._queue.get()) is not None:
            try:
                # also after a failure: the buffer is read until this is done
                prepared = item.encoded.result(ENCODE_S)
                if self._failure is None:
                    self._store(item.destination, item.block, prepared)
                del prepared  # tens of megabytes, while waiting for more
            except Exception as exc:  # noqa: BLE001 - top of a thread: `_fail` tells
                self._fail(item.destination, exc)
            finally:
                self._let_go(item.block)
            del item

    def _store(
        self, destination: Destination, block: Block, prepared: raw.Prepared
    ) -> None:
        header = block.header(destination.unit)
        size, digest = self._write(destination.path, block.number, prepared)
        self._check(destination.path, block.number, prepared)
        publish = destination.publish
        destination.record(
            BlockRecord(
                key=header.key,
                first_frame=header.first_frame,
                frames=header.frames,
                bytes=size,
                sha256=digest,
                t_s=header.t_s,
                published=publish is not None and publish(header, block.adu),
            )
        )

    def _let_go(self, block: Block) -> None:
        self._pool.give_back(block.buffer)
        with self._idle:
            self._pending -= 1
            self._idle.notify_all()

    def _fail(self, destination: Destination, exc: Exception) -> None:
        """Keep the first failure as what the engine is told."""
        if self._failure is None:
            self._failure = _explain(destination.path.name, exc)


def _explain(name: str, exc: Exception) -> AcqError:
    if isinstance(exc, AcqError):
        return exc
    if isinstance(exc, OSError):
        return StorageError(
            f"{name} cannot be written: {exc.strerror}; free or check the disk of the "
            f"data folder",
            errno=exc.errno,
        )
    if isinstance(exc, DataError):
        return StorageError(f"{exc}; check the disk of the data folder")
    log.error("the writer failed", exc_info=exc)
    return StorageError(f"the writer failed: {exc}")
