"""The writer thread: a block goes to disk, then to the bus, then into the ledger.

The ledger's line tells whether the bus took the block, so it comes last; it is written
only for a block that is durable. The first error ends the writing: what follows is
given back unwritten, and the engine is told.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from her2sr_acq.errors import AcqError, StorageError
from her2sr_acq.stream.blocks import U16, Block, BlockPool
from her2sr_proc.schema.block import BlockHeader, UnitKey
from her2sr_proc.schema.ledger import BlockRecord

log = logging.getLogger(__name__)

WriteBlock = Callable[[Path, int, U16], tuple[int, str]]
"""Writes one block durably and returns its length in bytes and its SHA-256."""
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
    """Writes a durable block into the ledger."""
    publish: Publish | None
    """Offers a block to the bus; None: this channel is not localized."""


class Sink:
    """Writes blocks on a thread of its own, in order. Entered and left with `with`."""

    def __init__(self, pool: BlockPool, *, write: WriteBlock) -> None:
        self._pool = pool
        self._write = write
        self._queue: queue.Queue[tuple[Destination, Block] | None] = queue.Queue(
            maxsize=pool.buffers + 1
        )
        self._failure: AcqError | None = None
        self._idle = threading.Condition()
        self._pending = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, then end the thread."""
        self._queue.put_nowait(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.error("the writer still waits for the disk after %g s", CLOSE_S)

    def put(self, destination: Destination, block: Block) -> None:
        """Queue a full block. Raises `StorageError` once the writer has failed.

        The queue has room for every buffer of the pool, so this does not wait.
        """
        if self._failure is not None:
            self._pool.give_back(block.buffer)
            raise self._failure
        with self._idle:
            self._pending += 1
        self._queue.put_nowait((destination, block))

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
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            destination, block = item
            try:
                if self._failure is None:
                    self._store(destination, block)
            except OSError as exc:
                self._failure = StorageError(
                    f"{destination.path.name} cannot be written: {exc.strerror}; free "
                    f"or check the disk of the data folder",
                    errno=exc.errno,
                )
            except AcqError as exc:
                self._failure = exc
            except Exception as exc:  # top of a thread: the engine must be told
                log.exception("the writer failed")
                self._failure = StorageError(f"the writer failed: {exc}")
            finally:
                self._pool.give_back(block.buffer)
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

    def _store(self, destination: Destination, block: Block) -> None:
        header = block.header(destination.unit)
        size, digest = self._write(destination.path, block.number, block.adu)
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
