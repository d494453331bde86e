"""Localizations of one frame, sorted by cells of the picture: a tile finds its own.

Knows the picture's nanometres, from its top left corner on; nothing of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LONGEST_RUN = 2**19
"""Rows that are handed out at once: what is made of them stays below 20 MB."""
ROW_STRIDE = 2**32
"""A cell's number is its row times this, plus its column."""


class Rows(NamedTuple):
    """Some localizations: where they stand in the picture, and how wide each is."""

    x_nm: F64
    y_nm: F64
    sigma_nm: F64


class Columns(NamedTuple):
    """The same from the corner of their frame on, as they are kept."""

    x_nm: F32
    y_nm: F32
    sigma_nm: F32


@dataclass(frozen=True, slots=True)
class Points:
    """The localizations of one frame in 12 bytes each, sorted by cell."""

    x_nm: F32
    """From the frame's left edge: float32 would be coarse over a whole slide."""
    y_nm: F32
    sigma_nm: F32
    left_nm: float
    """Of the frame in the picture."""
    top_nm: float
    cells: I64
    """Numbers of the cells that are not empty, ascending."""
    starts: I64
    """First row of each cell; one more for the end."""

    @classmethod
    def sorted_by_cell(
        cls, rows: Columns, *, left_nm: float, top_nm: float, cell_nm: float
    ) -> Self:
        """Sort rows whose places are from the frame's own corner on.

        Parameters
        ----------
        rows : Columns
            Finite places inside the picture; shape (rows,) each.
        left_nm, top_nm : float
            Where the frame's corner stands in the picture.
        cell_nm : float
            Side of a cell, counted from the picture's corner.
        """
        key = _cell(rows.y_nm, top_nm, cell_nm) * ROW_STRIDE
        key += _cell(rows.x_nm, left_nm, cell_nm)
        order = np.argsort(key, kind="stable")
        cells, starts = _runs(key[order])
        del key  # 80 MB, where a frame holds 1e7 localizations
        return cls(
            x_nm=rows.x_nm[order].astype(np.float32),
            y_nm=rows.y_nm[order].astype(np.float32),
            sigma_nm=rows.sigma_nm[order].astype(np.float32),
            left_nm=left_nm,
            top_nm=top_nm,
            cells=cells,
            starts=starts,
        )

    def __len__(self) -> int:
        return len(self.x_nm)

    def within(self, rows: range, columns: range) -> Iterator[Rows]:
        """Yield the localizations of a block of cells, a bounded number at a time.

        Parameters
        ----------
        rows, columns : range
            Rows and columns of cells, of step 1.

        Yields
        ------
        Rows
            In the picture's nanometres, float64.
        """
        first = np.arange(rows.start, rows.stop, dtype=np.int64) * ROW_STRIDE
        begin = np.searchsorted(self.cells, first + columns.start)
        end = np.searchsorted(self.cells, first + columns.stop)
        for low, high in zip(self.starts[begin], self.starts[end], strict=True):
            for start in range(low, high, LONGEST_RUN):
                yield self._rows(slice(start, min(start + LONGEST_RUN, high)))

    def _rows(self, some: slice) -> Rows:
        return Rows(
            self.x_nm[some].astype(np.float64) + self.left_nm,
            self.y_nm[some].astype(np.float64) + self.top_nm,
            self.sigma_nm[some].astype(np.float64),
        )


def _cell(place_nm: F32, from_nm: float, cell_nm: float) -> I64:
    place = np.add(place_nm, from_nm, dtype=np.float64)
    place /= cell_nm
    return np.asarray(np.floor(place, out=place), np.int64)


def _runs(key: I64) -> tuple[I64, I64]:
    """Return the values of sorted keys, and where each begins; the end comes last."""
    is_first = np.ones(len(key), np.bool_)
    np.not_equal(key[1:], key[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    return key[first], np.append(first, len(key)).astype(np.int64)


def row_of(cell: I64) -> I64:
    """Return the rows of numbered cells."""
    return cell // ROW_STRIDE


def column_of(cell: I64) -> I64:
    """Return the columns of numbered cells."""
    return cell % ROW_STRIDE
