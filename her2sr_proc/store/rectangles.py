"""Places in a grid as few rectangles: runs along rows, joined downwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Rectangle(NamedTuple):
    """Rows and columns from top and left up to, without, bottom and right."""

    top: int
    left: int
    bottom: int
    right: int


def rectangles(places: Iterable[tuple[int, int]]) -> list[Rectangle]:
    """Return rectangles that cover every (row, column) once, and no other place."""
    found: list[Rectangle] = []
    open_at: dict[tuple[int, int], int] = {}
    for run in _runs(sorted(set(places))):
        span = (run.left, run.right)
        index = open_at.get(span)
        if index is not None and found[index].bottom == run.top:
            found[index] = found[index]._replace(bottom=run.bottom)
            continue
        open_at[span] = len(found)
        found.append(run)
    return found


def _runs(places: list[tuple[int, int]]) -> Iterator[Rectangle]:
    """Yield unbroken runs along rows of sorted places."""
    start = 0
    for n, (row, column) in enumerate(places, start=1):
        if n < len(places) and places[n] == (row, column + 1):
            continue
        yield Rectangle(row, places[start][1], row + 1, column + 1)
        start = n
