"""The newest picture of a run in progress: of its burst, else the last frame on disk.

The burst is seen through a tap that keeps one thinned frame; where none came lately the
run's folder is read, so that a look costs the hardware process nothing. Encoded
at most `MAX_HZ` times a second, however many look.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ValidationError

from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.service.tap import Tap
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.ledger import LEDGER_LINE, BlockRecord
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import unit_of

MAX_HZ = 5.0
LONGEST_PX = 1024
TAIL_BYTES = 1 << 18
"""Of the ledger: several blocks of the longest kind."""
QUALITY = 85
FRESH_S = 2.0
"""A frame of the stream that is older shows a burst that is over."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Camera counts shown as black and as white; None: by percentiles."""

    low_adu: int | None = None
    high_adu: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG and what it shows."""

    jpeg: bytes
    unit: str
    frame: int
    """Index in the burst."""
    written_s: float
    """When it was taken, or its block written, seconds since the epoch."""
    source: Literal["stream", "disk"] = "disk"


PERCENTILES = (1.0, 99.8)
"""Of a frame's pixels, shown as black and as white."""
COUNTS = 2**16


class LivePicture:
    """Makes the picture, and keeps the last one. May be used from any thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        tap: Tap | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._now = now
        self._tap = tap or Tap(None)
        self._lock = threading.Lock()
        self._kept: tuple[Path, Contrast, Picture] | None = None
        self._made_at = 0.0

    def of(self, run: RunFolder, contrast: Contrast) -> Picture:
        """Return the newest picture. Raises `RunNotFoundError` without a frame."""
        with self._lock:
            now = self._clock()
            kept = self._kept
            is_young = now - self._made_at < 1.0 / MAX_HZ
            if kept and kept[:2] == (run.root, contrast) and is_young:
                return kept[2]
            picture = self._streamed(run, contrast) or _make(run, contrast)
            self._kept, self._made_at = (run.root, contrast, picture), now
            return picture

    def _streamed(self, run: RunFolder, contrast: Contrast) -> Picture | None:
        """Return a picture of the burst, where a frame of this run came lately."""
        seen = self._tap.latest()
        if seen is None:
            return None
        header, adu = seen
        if header.run != run.name or self._now() - header.taken_s > FRESH_S:
            return None
        return Picture(
            jpeg=_encode(adu, contrast),
            unit=f"{header.field}/{header.channel}",
            frame=header.frame,
            written_s=header.taken_s,
            source="stream",
        )


def _make(run: RunFolder, contrast: Contrast) -> Picture:
    from her2sr_proc.store import raw  # zarr is slow to import

    record = _last_block(run.ledger)
    unit = unit_of(record.key)
    path = run.raw(unit)
    try:
        adu = raw.read_block(path, record)[-1]
        written_s = run.ledger.stat().st_mtime
    except (ProcError, OSError) as exc:
        raise RunNotFoundError(f"{run.name} has no live picture now: {exc}") from exc
    return Picture(
        jpeg=_encode(adu, contrast),
        unit=f"{unit.field}/{unit.channel}",
        frame=record.first_frame + record.frames - 1,
        written_s=written_s,
    )


def _last_block(ledger: Path) -> BlockRecord:
    """Return the last block that the ledger names, by its end alone."""
    try:
        with ledger.open("rb") as file:
            length = file.seek(0, io.SEEK_END)
            file.seek(max(0, length - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        lines = []
    for line in reversed(lines[:-1]):
        try:
            record = LEDGER_LINE.validate_json(line)
        except ValidationError:  # the first line of the tail may be cut
            continue
        if isinstance(record, BlockRecord):
            return record
    raise RunNotFoundError(
        f"{ledger.parent.name} has no frame on disk yet; a burst's first block takes "
        f"about a second"
    )


def _encode(adu: npt.NDArray[np.uint16], contrast: Contrast) -> bytes:
    step = max(1, -(-max(adu.shape) // LONGEST_PX))
    small = adu[::step, ::step]
    low, high = _ends(small)
    low = low if contrast.low_adu is None else contrast.low_adu
    high = high if contrast.high_adu is None else contrast.high_adu
    # every count once, not every pixel: a page asks several times a second
    grey = (np.arange(COUNTS) - low) / max(high - low, 1.0) * 255.0
    shown = np.clip(grey, 0, 255).astype(np.uint8)[small]
    held = io.BytesIO()
    Image.fromarray(shown).save(held, "JPEG", quality=QUALITY)
    return held.getvalue()


def _ends(adu: npt.NDArray[np.uint16]) -> tuple[float, float]:
    """Return the counts at `PERCENTILES` of a frame's pixels."""
    below = np.cumsum(np.bincount(adu.ravel(), minlength=COUNTS))
    low, high = np.searchsorted(below, np.array(PERCENTILES) / 100.0 * adu.size)
    return float(low), float(high)
