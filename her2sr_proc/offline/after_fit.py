"""What `recommended` does to a table once every spot is fitted: drift, link, filter.

The table is read in parts, twice: memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from her2sr_proc.drift import Drift, measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.linking import Linked, Linker
from her2sr_proc.offline.in_order import InOrder
from her2sr_proc.rendering import is_drawn
from her2sr_proc.schema.movie import AfterFit
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import Localizations, concatenate, empty
from her2sr_proc.stopwatch import Stopwatch

SEGMENT_FRAMES = 200
LINK_NM, LINK_GAP = 20.0, 1
MOST_DRIFT_ROWS = 2**20
"""Of a longer table every second, third ... row tells the drift."""

Parts = Callable[[], Iterator[Localizations]]
"""Reads a table from its beginning, in order of frames, some rows at a time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Of the camera behind a table."""

    height_px: int
    width_px: int
    pixel_nm: float


class AfterTheFit:
    """The steps on one burst's table: molecules without drift, each once, certain."""

    def __init__(
        self, frames: int, frame: Frame, render: RenderParams, watch: Stopwatch
    ) -> None:
        """``frames``: of the burst; ``render`` says what is certain enough to draw."""
        self._frames, self._frame, self._render = frames, frame, render
        self._watch = watch
        self._drift: Drift | None = None
        self._why = ""
        self._linked = self._kept = 0

    def molecules(
        self, parts: Parts, rows: int, aside: Path, *, most: int = MOST_DRIFT_ROWS
    ) -> Iterator[Localizations]:
        """Yield the molecules in order of their first frames, in tables.

        Too short or empty a movie shows no drift; that is said, and nothing is shifted.

        Parameters
        ----------
        parts : callable
            Reads the table, which has all native columns.
        rows : int
            Of the whole table.
        aside : Path
            A folder for what does not fit into memory; gone at the end.
        most : int
            Rows that tell the drift.
        """
        with self._watch.step("drift"):
            self._measure(thinned(parts(), -(-rows // most)))
        linker, in_order = Linker(distance_nm=LINK_NM, gap=LINK_GAP), InOrder(aside)
        in_order.put(linker.add(empty()))  # so that there are columns
        for part in whole_frames(parts()):
            with self._watch.step("drift"):
                still = self._drift.taken_off(part) if self._drift else part
            with self._watch.step("link"):
                linked = linker.add(still)
            in_order.put(self._certain(linked))
        in_order.put(self._certain(linker.finish()))
        yield from in_order.tables()

    def facts(self) -> AfterFit:
        """Return what was done, once all molecules were taken."""
        drift_nm = None
        if self._drift is not None:
            drift_nm = float(np.hypot(*self._drift.xy_nm.T).max())
        return AfterFit(
            drift_nm=drift_nm,
            drift_note=self._why,
            linked=self._linked,
            kept=self._kept,
        )

    def _measure(self, table: Localizations) -> None:
        try:
            self._drift = measure_drift(
                table,
                frames=self._frames,
                method="aim",
                segment_frames=SEGMENT_FRAMES,
            )
        except RequestError as exc:
            self._why = str(exc).partition(";")[0]  # whose cure is of `her2sr drift`

    def _certain(self, linked: Linked) -> Linked:
        """Return the molecules that are certain enough to be drawn."""
        with self._watch.step("filter"):
            chosen = is_drawn(
                linked.rows,
                height_px=self._frame.height_px,
                width_px=self._frame.width_px,
                pixel_nm=self._frame.pixel_nm,
                params=self._render,
            )
            self._linked += len(linked.rows)
            self._kept += int(chosen.sum())
            return Linked(linked.numbers[chosen], linked.rows.take(chosen))


def thinned(parts: Iterable[Localizations], step: int) -> Localizations:
    """Return frame and place of every ``step``-th row, of all rows where it is 1."""
    found, seen = [], 0
    for part in parts:
        at = np.arange(-seen % step, len(part), step)
        names = "frame", "x_nm", "y_nm"
        found.append(Localizations({name: part[name][at] for name in names}))
        seen += len(part)
    return concatenate(found)


def whole_frames(parts: Iterable[Localizations]) -> Iterator[Localizations]:
    """Yield parts that hold all rows of every frame they have."""
    left: list[Localizations] = []
    for part in parts:
        if not len(part):
            continue
        frame = part["frame"].astype(np.int64)
        ended = int(np.searchsorted(frame, frame[-1]))
        if ended:
            yield concatenate([*left, part.take(np.arange(ended))])
            left = []
        elif left and left[-1]["frame"][-1] != frame[0]:
            yield concatenate(left)
            left = []
        left.append(part.take(np.arange(ended, len(part))))
    if left:
        yield concatenate(left)
