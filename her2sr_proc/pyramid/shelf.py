"""Frames of a picture whose localizations are loaded when a tile asks for them.

Keeps as many in memory as it was allowed, those used last. Knows no files: how a
frame is loaded is handed in.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.pyramid.points import Points

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CAPACITY_ROWS = 20_000_000
"""Localizations in memory: 240 MB."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame's place in the picture, and how to get what is in it."""

    top_nm: float
    left_nm: float
    height_nm: float
    width_nm: float
    load: Callable[[], Points]
    """Gives the same every time it is called."""


class Shelf:
    """The frames of a picture. Threads may share it."""

    def __init__(
        self, frames: Sequence[Frame], *, capacity_rows: int = CAPACITY_ROWS
    ) -> None:
        """Load every frame once, for an index of where there is anything."""
        self._loads = [frame.load for frame in frames]
        self._capacity_rows = capacity_rows
        self._kept: OrderedDict[int, Points] = OrderedDict()
        self._lock = threading.Lock()
        self._edges: F64 = np.array(
            [
                (f.top_nm, f.left_nm, f.top_nm + f.height_nm, f.left_nm + f.width_nm)
                for f in frames
            ],
            np.float64,
        ).reshape(-1, 4)
        self.rows = 0
        """Localizations in the picture."""
        self.widest_nm = 0.0
        """Largest standard deviation among them."""
        found = [np.empty(0, np.int64)]
        for number in range(len(frames)):
            points = self.take(number)
            self.rows += len(points)
            if len(points):
                self.widest_nm = max(self.widest_nm, float(points.sigma_nm.max()))
            found.append(points.cells)
        self.cells: I64 = np.unique(np.concatenate(found))
        """Numbers of the cells that hold a localization, ascending."""

    def touching(
        self, top_nm: float, left_nm: float, bottom_nm: float, right_nm: float
    ) -> list[int]:
        """Return the numbers of the frames that share ground with a rectangle."""
        top, left, bottom, right = self._edges.T
        is_near = (top < bottom_nm) & (bottom > top_nm)
        is_near &= (left < right_nm) & (right > left_nm)
        return [int(number) for number in np.flatnonzero(is_near)]

    def take(self, number: int) -> Points:
        """Return a frame's localizations, from memory where they are still there."""
        with self._lock:
            points = self._kept.pop(number, None)
            if points is None:
                points = self._loads[number]()
            self._kept[number] = points
            self._make_room()
            return points

    def _make_room(self) -> None:
        while (
            len(self._kept) > 1
            and sum(map(len, self._kept.values())) > self._capacity_rows
        ):
            self._kept.popitem(last=False)
