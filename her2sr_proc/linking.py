"""Blinks of one molecule that lasted several frames, merged into one row.

Knows tables, whole or in parts; no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.linked_sums import Kinds, LinkedSums
from her2sr_proc.schema.table import (
    Localizations,
    concatenate,
    require_places,
    units_of,
)

ROWS_TOGETHER = 2**15
"""Of a table whose rows are all there: their sums are 20 MB."""
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def link(table: Localizations, *, distance_nm: float, gap: int) -> Localizations:
    """Return a table with one row a molecule's stay in the light.

    A localization belongs to the row that it is nearest to, if that was seen last at
    most ``gap`` dark frames before and within ``distance_nm`` of its last place; pairs
    are taken nearest first, one to one. Rows of several channels or fields are linked
    channel by channel and field by field, and follow one another so.

    Returns
    -------
    Localizations
        Position: mean weighted by the inverse squares of the uncertainties, which the
        new uncertainties follow. Photons: summed. Frame: the first; column
        ``last_frame``: the last; ``detections``: how many, also where rows are
        molecules that were linked before. Width, background and its noise: means.
        Log-likelihood: summed. Status: the highest. Rows that know no uncertainty do
        not weigh beside those that do; alone, they weigh alike. A column of words stays
        where every row says the same.

    Raises `TableError` for a row without a position.
    """
    units = units_of(table)
    if len(units) > 1:
        require_places(table)  # which row it is, is told of the whole table
        found = [_linked(table.take(rows), distance_nm, gap) for rows in units]
        shared = [n for n in found[0].columns if all(n in f.columns for f in found)]
        return concatenate([Localizations({n: f[n] for n in shared}) for f in found])
    return _linked(table, distance_nm, gap)


def _linked(table: Localizations, distance_nm: float, gap: int) -> Localizations:
    """Link the rows of one channel and field."""
    linker = Linker(distance_nm=distance_nm, gap=gap)
    # without a row too: its columns are those of the result
    found = [linker.add(part) for part in _parts(table)] or [linker.add(table)]
    found.append(linker.finish())
    numbers = np.concatenate([one.numbers for one in found])
    order = np.empty(len(numbers), np.int64)
    order[numbers] = np.arange(len(numbers))
    merged = _joined(found, order)
    words = {
        name: np.full(len(merged), array[0], array.dtype)
        for name, array in table.columns.items()
        if len(array) and array.dtype.kind not in "fiu" and (array == array[0]).all()
    }
    return Localizations({**words, **merged.columns})


def _parts(table: Localizations) -> Iterator[Localizations]:
    """Yield the rows in order of frames, whole frames at a time, some rows together.

    Sums of many rows in double precision are several times the table.
    """
    frame, order = table["frame"], None
    if np.less(frame[1:], frame[:-1]).any():
        order = np.argsort(frame, kind="stable")
        frame = frame[order]
    start = 0
    while start < len(frame):
        last = frame[min(start + ROWS_TOGETHER, len(frame)) - 1]
        end = int(np.searchsorted(frame, last, side="right"))
        yield table.take(np.arange(start, end) if order is None else order[start:end])
        start = end


def _joined(found: list[Linked], order: I64) -> Localizations:
    """Return the rows in order, column by column: one alone stands twice in memory."""
    columns = {}
    for name in list(found[0].rows.columns):
        whole = np.concatenate([one.rows.columns.pop(name) for one in found])
        columns[name] = whole[order]
    return Localizations(columns)


class Linked(NamedTuple):
    """Molecules that went dark: nothing can be added to them any more."""

    numbers: I64
    """By the first row of each, over the whole table; in no order here."""
    rows: Localizations


class _Open(NamedTuple):
    """Molecules that may go on, in the order in which pairs of equal length are won."""

    numbers: I64
    last: I64
    """Frame in which each was seen last."""
    where: F64
    """Shape (molecules, 2): the place of that."""
    sums: LinkedSums


class Linker:
    """Links a table that comes in parts; holds the molecules that may still go on.

    What it returns is, in order of its numbers, what `link` returns of the whole table,
    bit for bit. Not thread-safe: who adds owns it.
    """

    def __init__(self, *, distance_nm: float, gap: int) -> None:
        """As `link`."""
        self._reach, self._gap = distance_nm, gap
        self._count = 0
        self._kinds: Kinds = {}
        self._open = _Open(
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty((0, 2)),
            LinkedSums.none(),
        )

    def add(self, part: Localizations) -> Linked:
        """Add the rows of the next frames; return the molecules that are then over.

        No frame may be cut in two: its rows are in one part, in any order, and those
        of later frames in no earlier part. Raises `TableError` for a row without a
        position.
        """
        require_places(part)
        self._kinds = {
            n: a.dtype for n, a in part.columns.items() if a.dtype.kind in "fiu"
        }
        if not len(part):
            return self._over(self._open.numbers[:0], self._open.sums.take([]))
        part = part.take(np.lexsort((part["x_nm"], part["frame"])))
        before, held = self._open, len(self._open.numbers)
        frame = part["frame"].astype(np.int64)
        lit_until = part.columns.get("last_frame", part["frame"]).astype(np.int64)
        last = np.concatenate([before.last, lit_until])
        places = np.column_stack([part["x_nm"], part["y_nm"]]).astype(np.float64)
        where = np.concatenate([before.where, places])
        group, open_rows = self._groups(frame, last, where)
        count = int(group.max()) + 1
        new = self._count + np.arange(count - held)
        numbers = np.concatenate([before.numbers, new])
        self._count += len(new)
        sums = before.sums.plus(part, group[held:], count)
        open_rows = open_rows[last[open_rows] >= frame[-1] - self._gap]
        kept = group[open_rows]
        self._open = _Open(
            numbers[kept], last[open_rows], where[open_rows], sums.take(kept)
        )
        over = np.setdiff1d(np.arange(count), kept)
        return self._over(numbers[over], sums.take(over))

    def finish(self) -> Linked:
        """Return the molecules that were still lit in the last frames."""
        left = self._open
        self._open = _Open(
            left.numbers[:0], left.last[:0], left.where[:0], left.sums.take([])
        )
        return self._over(left.numbers, left.sums)

    def _over(self, numbers: I64, sums: LinkedSums) -> Linked:
        return Linked(numbers, sums.merged(self._kinds))

    def _groups(self, frame: I64, last: I64, where: F64) -> tuple[I64, I64]:
        """Return the group of every row, and the last row of every group.

        The first rows of ``last`` and ``where`` are the molecules that may go on.
        """
        held = len(last) - len(frame)
        group = np.empty(len(last), np.int64)
        group[:held] = np.arange(held)
        starts = np.flatnonzero(np.diff(frame, prepend=frame[0] - 1))
        open_rows, count = np.arange(held), held
        for start, end in pairwise(np.append(starts, len(frame))):
            rows = np.arange(held + start, held + end)
            now = frame[start]
            open_rows = open_rows[last[open_rows] >= now - 1 - self._gap]
            dark = np.flatnonzero(last[open_rows] < now)  # one still lit is another one
            own, theirs = _pairs(where[open_rows[dark]], where[rows], self._reach)
            own = dark[own]
            group[rows] = -1
            group[rows[theirs]] = group[open_rows[own]]
            fresh = rows[group[rows] < 0]
            group[fresh] = count + np.arange(fresh.size)
            count += fresh.size
            goes_on = np.ones(open_rows.size, np.bool_)
            goes_on[own] = False
            open_rows = np.concatenate([open_rows[goes_on], rows])
        return group, open_rows


def _pairs(before: F64, now: F64, reach: float) -> tuple[I64, I64]:
    """Return the pairs within reach, the nearest first, each point once."""
    none = np.empty(0, np.int64)
    if not (len(before) and len(now)):
        return none, none
    near = cKDTree(before).sparse_distance_matrix(
        cKDTree(now), reach, output_type="ndarray"
    )
    own: dict[int, int] = {}
    taken: set[int] = set()
    for i, j, _ in np.sort(near, order=("v", "i", "j")).tolist():
        if i not in own and j not in taken:
            own[i] = j
            taken.add(j)
    return np.array(list(own), np.int64), np.array(list(own.values()), np.int64)
