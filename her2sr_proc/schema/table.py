"""Localization tables: columns, units and conventions. Said once, here.

Positions are in nanometres; pixel (0, 0) has its *centre* at (0.0, 0.0). Frames
count from 0. Photons are photo-electrons after offset and gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import TableError


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a localization table."""

    name: str
    dtype: str
    unit: str
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("frame", "int32", "", "index in the burst, from 0"),
    Column("x_nm", "float32", "nm", "position along the row"),
    Column("y_nm", "float32", "nm", "position down the column"),
    Column("sigma_nm", "float32", "nm", "standard deviation of the fitted spot"),
    Column("photons", "float32", "photoelectrons", "whole spot, above background"),
    Column(
        "background_photons", "float32", "photoelectrons/px", "level under the spot"
    ),
    Column("background_sd_photons", "float32", "photoelectrons/px", "its noise"),
    Column("uncertainty_nm", "float32", "nm", "CRLB, root mean of both axes"),
    Column("uncertainty_x_nm", "float32", "nm", "CRLB along x"),
    Column("uncertainty_y_nm", "float32", "nm", "CRLB along y"),
    Column("log_likelihood", "float32", "", "ratio to a perfect fit, <= 0"),
    Column("status", "int16", "", "0: converged; otherwise see the fit's codes"),
)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
ORIGIN: tuple[Column, ...] = (
    Column("channel", "str", "", "channel of the run; empty: of no run"),
    Column("field", "str", "", "field of the run; empty: of no run"),
)
"""Text that native files carry a row, so that tables of several units can be joined.

In memory a table is of one unit and goes without them, unless its rows differ.
"""
FURTHER: tuple[Column, ...] = (
    Column("centroid", "int8", "", "1: middle of a blob; 2: it may be; 0: a molecule"),
    Column("last_frame", "int32", "", "in which a linked molecule was seen last"),
    Column("detections", "int32", "", "localizations that were linked to one"),
)
"""What some steps add."""

SPARE, LEAST_ROWS = 1.125, 4096
"""Room that is taken for further rows: a share, and so many at least."""
FARTHEST_NM = 1e9
"""A metre: no stage goes farther."""


@dataclass(frozen=True, slots=True)
class Localizations:
    """A table in memory: one array a column, all of one length.

    ``columns`` holds at least `NAMES`; other columns are allowed and kept.
    """

    columns: dict[str, npt.NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        return self.columns[name]

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Localizations:
        """Return the rows that a mask or index array selects."""
        return Localizations(
            {name: array[rows] for name, array in self.columns.items()}
        )


def require_places(table: Localizations) -> None:
    """Raise `TableError` for a row whose position is nowhere: nothing is near it."""
    lost = ~(_is_near(table["x_nm"]) & _is_near(table["y_nm"]))
    if lost.any():
        limit = f"{FARTHEST_NM:.0e}".replace("+0", "")
        raise TableError(
            f"{int(lost.sum())} of {len(table)} rows have no position, or one more "
            f"than a metre away; the first is row {int(np.argmax(lost)) + 1}: remove "
            f"them with her2sr filter LOCS "
            f"'abs(x_nm) < {limit} & abs(y_nm) < {limit}'"
        )


def units_of(table: Localizations) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each unit (channel and field) that a joined table names.

    In the order in which the units are first seen; one that is not joined is one unit.
    """
    said = [table.columns[o.name] for o in ORIGIN if o.name in table.columns]
    differ = [words.astype(str) for words in said if _are_several(words)]
    if not differ:
        return [np.arange(len(table))]
    numbers: dict[tuple[str, ...], int] = {}
    rows = zip(*(words.tolist() for words in differ), strict=True)
    unit = np.fromiter((numbers.setdefault(row, len(numbers)) for row in rows), np.intp)
    return [np.flatnonzero(unit == number) for number in range(len(numbers))]


def require_one_unit(table: Localizations) -> None:
    """Raise `TableError` for a table in which several channels or fields are joined."""
    for origin in ORIGIN:
        words = table.columns.get(origin.name, np.zeros(0))
        if _are_several(words):
            found = sorted(set(words.astype(str).tolist()))
            few = ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")
            raise TableError(
                f"the table holds several {origin.name}s ({few}) and one is asked for; "
                f"choose it with her2sr filter LOCS "
                f"\"{origin.name} == '{found[0]}'\" --out ONE.parquet"
            )


def _are_several(words: npt.NDArray[np.generic]) -> bool:
    """Return whether rows differ in a column of origin."""
    if not len(words) or bool((words == words[0]).all()):
        return False
    return len(set(words.astype(str).tolist())) > 1  # of nan, each is another one


def _is_near(position_nm: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    return np.abs(position_nm.astype(np.float64, copy=False)) < FARTHEST_NM


def farthest(position_nm: npt.NDArray[np.generic]) -> float:
    """Return the largest finite position, at least 0."""
    finite = position_nm[np.isfinite(position_nm.astype(np.float64))]
    return max(0.0, float(finite.max())) if finite.size else 0.0


def empty() -> Localizations:
    """Return a valid table without rows."""
    return Localizations({c.name: np.empty(0, np.dtype(c.dtype)) for c in COLUMNS})


def concatenate(tables: Sequence[Localizations]) -> Localizations:
    """Join tables of the same columns, in order."""
    if not tables:
        return empty()
    names = tables[0].columns
    return Localizations(
        {name: np.concatenate([table[name] for table in tables]) for name in names}
    )


class Gathered:
    """Tables of the same columns as one, in the order in which they are added.

    Columns grow where they are: as parts and as a whole a table would stand in memory
    twice, and small parts that are freed do not go back to the system.
    """

    def __init__(self) -> None:
        self._columns: dict[str, npt.NDArray[np.generic]] = {}
        self._rows = 0

    def add(self, table: Localizations) -> None:
        """Add the next rows."""
        if not self._columns:
            self._columns = {n: a[:0].copy() for n, a in table.columns.items()}
        end = self._rows + len(table)
        room = len(self._columns["frame"])
        if end > room:
            room = max(end, int(SPARE * room), LEAST_ROWS)
        for name in self._columns:
            column = self._fitting(name, table[name].dtype)
            # others look at it in this method alone
            column.resize(room, refcheck=False)
            column[self._rows : end] = table[name]
        self._rows = end

    def take(self) -> Localizations:
        """Return the whole table, and hold nothing any more."""
        columns, self._columns = self._columns, {}
        for column in columns.values():
            column.resize(self._rows, refcheck=False)
        self._rows = 0
        return Localizations(columns) if columns else empty()

    def _fitting(
        self, name: str, kind: np.dtype[np.generic]
    ) -> npt.NDArray[np.generic]:
        """Return a column that can hold another's numbers too."""
        column = self._columns[name]
        if column.dtype != kind:
            column = column.astype(np.result_type(column.dtype, kind), copy=False)
            self._columns[name] = column
        return column
