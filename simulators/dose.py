"""How much light of each laser every square micrometre of the slide has had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.photophysics import LASERS_NM

F64 = npt.NDArray[np.float64]

PATCH = 32
"""Cells of 1 um along one side of a patch."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole micrometres on the slide."""

    left_um: int
    top_um: int
    columns: int
    rows: int

    @property
    def x_um(self) -> F64:
        """Centres of the columns."""
        return np.asarray(self.left_um + np.arange(self.columns) + 0.5, np.float64)

    @property
    def y_um(self) -> F64:
        """Centres of the rows."""
        return np.asarray(self.top_um + np.arange(self.rows) + 0.5, np.float64)


class DoseMap:
    """Doses of the whole slide, in full-power seconds, kept where there was light."""

    def __init__(self) -> None:
        self._patches: dict[tuple[int, int], F64] = {}

    def read(self, window: Window) -> F64:
        """Return doses, shape (lasers, rows, columns)."""
        doses = np.zeros((len(LASERS_NM), window.rows, window.columns))
        for key, ours, theirs in _overlaps(window):
            if key in self._patches:
                doses[:, *theirs] = self._patches[key][:, *ours]
        return doses

    def write(self, window: Window, doses: F64) -> None:
        """Keep doses as read and increased since."""
        for key, ours, theirs in _overlaps(window):
            if key not in self._patches:
                self._patches[key] = np.zeros((len(LASERS_NM), PATCH, PATCH))
            self._patches[key][:, *ours] = doses[:, *theirs]

    def at(self, x_um: float, y_um: float) -> dict[int, float]:
        """Return the dose of a point by laser, in full-power seconds."""
        window = Window(int(np.floor(x_um)), int(np.floor(y_um)), 1, 1)
        doses = self.read(window)[:, 0, 0]
        return {nm: float(d) for nm, d in zip(LASERS_NM, doses, strict=True)}


Slices = tuple[slice, slice]


def _overlaps(window: Window) -> Iterator[tuple[tuple[int, int], Slices, Slices]]:
    """Yield patches with the part of the patch and of the window that coincide."""
    right, bottom = window.left_um + window.columns, window.top_um + window.rows
    for j in range(window.top_um // PATCH, (bottom - 1) // PATCH + 1):
        for i in range(window.left_um // PATCH, (right - 1) // PATCH + 1):
            x0, x1 = max(window.left_um, i * PATCH), min(right, (i + 1) * PATCH)
            y0, y1 = max(window.top_um, j * PATCH), min(bottom, (j + 1) * PATCH)
            ours = (
                slice(y0 - j * PATCH, y1 - j * PATCH),
                slice(x0 - i * PATCH, x1 - i * PATCH),
            )
            theirs = (
                slice(y0 - window.top_um, y1 - window.top_um),
                slice(x0 - window.left_um, x1 - window.left_um),
            )
            yield (i, j), ours, theirs
