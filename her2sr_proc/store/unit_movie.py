"""The frames of one unit of a run as a movie, each block compared with the ledger."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Self

import numpy as np

from her2sr_proc.errors import IntegrityError, MovieError
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.layout import unit_at
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.pixels import COUNTS, U16, check_range


class UnitMovie:
    """What the ledger names, read block by block; fast in order of frames."""

    dtype = COUNTS

    def __init__(
        self, path: Path, shape: tuple[int, int, int], records: list[BlockRecord]
    ) -> None:
        self._path = path
        self.shape = shape
        self._records = records
        self._held: tuple[BlockRecord, U16] | None = None

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """Return the movie of a unit in a run folder; none for any other path."""
        place = unit_at(path.resolve())
        if place is None or not place[0].ledger.is_file():
            return None
        run, field, channel, attempt = place
        for unit, history in read_ledger(run.ledger, field=field).items():
            is_same = (unit.channel, unit.attempt) == (channel, attempt)
            if is_same and history.blocks:
                frames, height, width = raw.open_array(path).shape
                return cls(path, (frames, height, width), history.records())
        return None

    def read(self, start: int, stop: int) -> U16:
        """Return frames ``start`` to ``stop`` - 1.

        Raises `MovieError` for a frame that the ledger does not name, and
        `IntegrityError` for a block that is not as the ledger says.
        """
        check_range(start, stop, self.shape[0])
        parts = []
        at = start
        while at < stop:
            first, frames = self._block_of(at)
            parts.append(frames[at - first : stop - first])
            at = first + len(frames)
        return np.concatenate(parts).astype(np.uint16, copy=False)

    def close(self) -> None:
        """Let go of the last block. Safe to call twice."""
        self._held = None

    def _block_of(self, frame: int) -> tuple[int, U16]:
        """Return the first frame and the frames of the block that holds a frame."""
        # the last that begins there or before: of a long burst there are many
        at = bisect_right(self._records, frame, key=lambda r: r.first_frame)
        for record in self._records[max(at - 1, 0) : at]:
            if frame < record.first_frame + record.frames:
                return record.first_frame, self._block(record)
        raise MovieError(
            f"frame {frame} of {self._path} was never written (the burst ended "
            f"early?){_before(frame)}",
            path=str(self._path),
        )

    def _block(self, record: BlockRecord) -> U16:
        if self._held is None or self._held[0] is not record:
            try:
                self._held = (record, raw.read_block(self._path, record))
            except IntegrityError as exc:
                raise IntegrityError(
                    f"{exc}; restore it from a copy{_before(record.first_frame)}"
                ) from exc
        return self._held[1]


def _before(frame: int) -> str:
    """Return what may be done without a frame and those after it."""
    return f"; --frames 0:{frame} localizes those before it" if frame else ""
