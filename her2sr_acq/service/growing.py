"""The super-resolution picture of the burst in progress, grown table by table.

Reads the tables that the localizer writes block by block: a bounded number of new ones
at a look, each once. A picture to watch by; nothing is counted on it.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from her2sr_acq.service.gauges import points
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.tables import read_parquet

SIDE_PX = 512
TABLES_A_LOOK = 20
PERIOD_S = 1.0
TRACED = 300
"""Points of the trace at most: a longer burst is told by means over some frames."""
SPOT_PX = 3
"""Side of the dot of a localization: one pixel alone is not seen on a screen."""
TOP_PERCENTILE = 90.0
"""Of the lit pixels, shown white: sites that blink on do not leave the rest dark."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A PNG and what it is made of."""

    png: bytes
    unit: str
    localizations: int
    frames: int
    trace: str
    """Localizations per frame as points of a polyline."""


@dataclass(slots=True)
class _Growth:
    run: RunFolder
    unit: UnitKey
    extent_nm: float
    image: npt.NDArray[np.uint32] = field(
        default_factory=lambda: np.zeros((SIDE_PX, SIDE_PX), np.uint32)
    )
    seen: set[str] = field(default_factory=set)
    counts: dict[int, npt.NDArray[np.intp]] = field(default_factory=dict)
    frames: int = 0
    localizations: int = 0


class Growing:
    """Keeps the picture of one burst. May be used from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._growth: _Growth | None = None
        self._made: Grown | None = None
        self._looked_at = 0.0

    def of(self, run: RunFolder, unit: UnitKey, extent_nm: float) -> Grown | None:
        """Return the picture of a burst, or None before its first table.

        ``extent_nm`` is the longer side of the field. Looks once a second at most.
        """
        with self._lock:
            growth = self._growth
            if growth is None or (growth.run, growth.unit) != (run, unit):
                growth = self._growth = _Growth(run, unit, extent_nm)
                self._made = None
            elif self._clock() - self._looked_at < PERIOD_S:
                return self._made
            self._looked_at = self._clock()
            if _take(growth) or self._made is None:
                self._made = _draw(growth) if growth.seen else None
            return self._made


def _take(growth: _Growth) -> int:
    """Add new tables to a growth, oldest first; return how many."""
    parts = growth.run.table_parts(growth.unit)
    fresh = sorted(p for p in parts.glob("*.parquet") if p.name not in growth.seen)
    for path in fresh[:TABLES_A_LOOK]:
        try:
            table, facts = read_parquet(path)
        except (ProcError, OSError):  # merged and gone meanwhile
            continue
        growth.seen.add(path.name)
        scale = SIDE_PX / growth.extent_nm
        x = np.asarray(table["x_nm"], np.float64) * scale
        y = np.asarray(table["y_nm"], np.float64) * scale
        inside = (x >= 0) & (x < SIDE_PX) & (y >= 0) & (y < SIDE_PX)
        places = y[inside].astype(np.intp) * SIDE_PX + x[inside].astype(np.intp)
        added = np.bincount(places, minlength=SIDE_PX**2).reshape(growth.image.shape)
        growth.image += added.astype(np.uint32)
        frames = int(facts.get("frames", "1"))
        first = int(facts.get("first_frame", "0"))
        growth.counts[first] = _per_frame(table["frame"], first, frames)
        growth.frames += frames
        growth.localizations += len(table)
    return min(len(fresh), TABLES_A_LOOK)


def _per_frame(
    frame: npt.NDArray[np.generic], first: int, frames: int
) -> npt.NDArray[np.intp]:
    """Return how many localizations each frame of a block has."""
    edges = np.arange(first, first + max(1, frames) + 1)
    return np.histogram(frame, bins=edges)[0]


def _trace(growth: _Growth) -> list[float]:
    """Return localizations per frame, oldest first, in `TRACED` points at most."""
    blocks = [growth.counts[first] for first in sorted(growth.counts)]
    told = np.concatenate(blocks)
    step = max(1, -(-told.size // TRACED))
    starts = np.arange(0, told.size, step)
    lengths = np.diff(np.append(starts, told.size))
    means: list[float] = (np.add.reduceat(told, starts) / lengths).tolist()
    return means


def _draw(growth: _Growth) -> Grown:
    lit = growth.image[growth.image > 0]
    top = float(np.percentile(lit, TOP_PERCENTILE)) if lit.size else 1.0
    grey = np.sqrt(np.clip(growth.image / max(top, 1.0), 0.0, 1.0)) * 255.0
    held = io.BytesIO()
    dots = Image.fromarray(grey.astype(np.uint8)).filter(ImageFilter.MaxFilter(SPOT_PX))
    dots.save(held, "PNG", compress_level=1)
    return Grown(
        png=held.getvalue(),
        unit=f"{growth.unit.field}/{growth.unit.channel}",
        localizations=growth.localizations,
        frames=growth.frames,
        trace=points(_trace(growth)),
    )
