"""Blocks to parts of tables, as they come; stateless between blocks.

What cannot be localized is counted, never fatal: the frames are on disk, and whoever
closes the unit computes what is missing with the same function.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from her2sr_proc.burst import BlockLocalizer
from her2sr_proc.errors import ProcError
from her2sr_proc.live.recipe import Recipes
from her2sr_proc.live.subscriber import U16, Message
from her2sr_proc.localizer import Each
from her2sr_proc.logs import thread_at
from her2sr_proc.schema.block import BlockHeader, UnitKey
from her2sr_proc.schema.table import Localizations
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.ledger import unit_of
from her2sr_proc.store.tables import write_parquet
from her2sr_proc.threads import name_here

POLL_S = 0.05
DRAIN_S = 10.0
"""How long closing a unit waits for its last blocks; the rest is read from disk."""

THREADS = 2
"""Frames that are localized side by side: the second one takes what the acquisition
leaves of its core."""
IN_HAND = 2
"""Blocks whose frames lie ready at once: while the last frame of one is localized, and
its part written, the other threads go on with the next."""

log = logging.getLogger(__name__)


class BlockSource(Protocol):
    """Where blocks come from."""

    def receive(self, within_s: float) -> Message | None:
        """Return the next block, or None when none came within that time."""
        ...


@dataclass(slots=True)
class Tally:
    """What became of the blocks, since the start."""

    localized_frames: int = 0
    localizations: int = 0
    late_blocks: int = 0
    """Came after their unit was closed, so they were computed from disk; or after the
    folder of their run was removed."""
    failed_blocks: int = 0
    """Are computed from disk when their unit is closed; the log says why."""


class Worker:
    """Takes blocks in the thread that calls `run`; other threads may `retire` units."""

    def __init__(
        self, data: DataFolder, source: BlockSource, *, threads: int = THREADS
    ) -> None:
        self._data = data
        self._source = source
        self._threads = threads
        self._recipes = Recipes(data)
        self._changed = threading.Condition()
        self._idle_polls = 0
        self._retired: set[UnitKey] = set()
        self.tally = Tally()

    def run(self, stop: threading.Event) -> None:
        """Take blocks until ``stop`` is set; the blocks in hand are finished."""
        with (
            ThreadPoolExecutor(
                self._threads, "frames", initializer=name_here, initargs=("frames",)
            ) as crew,
            ThreadPoolExecutor(
                IN_HAND, "blocks", initializer=name_here, initargs=("blocks",)
            ) as takers,
        ):
            in_hand: set[Future[None]] = set()
            while not stop.is_set():
                in_hand = _unfinished(in_hand)
                if len(in_hand) == IN_HAND:
                    wait(in_hand, POLL_S, FIRST_COMPLETED)
                    continue
                message = self._source.receive(POLL_S)
                if message is not None:
                    in_hand.add(takers.submit(self._take, *message, crew.map))
                elif not in_hand:
                    with self._changed:
                        self._idle_polls += 1
                        self._changed.notify_all()
            for left in in_hand:
                left.result()

    def retire(self, unit: UnitKey, *, within_s: float = DRAIN_S) -> None:
        """Return once no part of ``unit`` will be written any more.

        Blocks that are on their way are waited for until the bus has been silent for
        a whole poll, but no longer than ``within_s``.
        """
        with self._changed:
            # The poll under way may have begun before the last block was sent.
            silence = self._idle_polls + 2
            self._changed.wait_for(lambda: self._idle_polls >= silence, within_s)
            self._retired.add(unit)

    def forget(self, run: str) -> None:
        """Drop what is remembered of a run that is closed for good."""
        with self._changed:
            self._retired = {unit for unit in self._retired if unit.run != run}

    def _take(self, header: BlockHeader, adu: U16, each: Each) -> None:
        key = header.key
        with thread_at(run=key.run, unit=f"{key.field}/{key.channel}"):
            self._try(header, adu, each)

    def _try(self, header: BlockHeader, adu: U16, each: Each) -> None:
        try:
            localizer = self._recipes.localizer(header)
            if localizer is not None:
                self._localize(header, adu, localizer, each)
        except Exception as exc:  # noqa: BLE001 - top of a thread: `_fail` tells
            self._fail(header, exc)

    def _fail(self, header: BlockHeader, exc: Exception) -> None:
        with self._changed:
            self.tally.failed_blocks += 1
        is_foreseen = isinstance(exc, ProcError | OSError)
        log.log(
            logging.WARNING if is_foreseen else logging.ERROR,
            "block %d of %s/%s is left to be computed from disk: %s",
            header.key.block,
            header.key.field,
            header.key.channel,
            exc if is_foreseen else f"{type(exc).__name__} {exc}".strip(),
            exc_info=None if is_foreseen else exc,
        )

    def _localize(
        self, header: BlockHeader, adu: U16, localizer: BlockLocalizer, each: Each
    ) -> None:
        table = localizer.block(adu, first_frame=header.first_frame, each=each)
        with self._changed:
            if self._is_closed(header):
                self.tally.late_blocks += 1
                return
            self._write_part(header, table)
            self.tally.localized_frames += header.frames
            self.tally.localizations += len(table)

    def _is_closed(self, header: BlockHeader) -> bool:
        unit = unit_of(header.key)
        run = self._data.run(unit.run)
        # The table tells of units that were closed before this process started. A run
        # that was removed is over; a part of it would make its folder anew.
        is_over = run.table(unit).exists() or not run.manifest.exists()
        return unit in self._retired or is_over

    def _write_part(self, header: BlockHeader, table: Localizations) -> None:
        run = self._data.run(header.key.run)
        metadata = {
            "source": "live",
            "block": str(header.key.block),
            "first_frame": str(header.first_frame),
            "frames": str(header.frames),
        }
        path = run.table_part(unit_of(header.key), header.key.block)
        write_parquet(path, table, metadata)


def _unfinished(blocks: set[Future[None]]) -> set[Future[None]]:
    """Return those not done yet; raises what is meant to end the process."""
    done = {block for block in blocks if block.done()}
    for block in done:
        block.result()
    return blocks - done
