"""Molecules as they end -> molecules by number, whatever their number: sorted on disk.

A molecule that is lit all along ends last and comes first. What is ready is put aside
in files of neighbouring numbers, and each of these is sorted by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.linking import Linked
from her2sr_proc.schema.table import Localizations, concatenate
from her2sr_proc.store.tables import read_parquet, write_parquet

I64 = npt.NDArray[np.int64]
NUMBER = "number"
"""A column of the files that are put aside."""
TOGETHER = 2**18
"""Molecules of a file, and at most in memory."""


class InOrder:
    """Takes molecules in any order and gives them back by number."""

    def __init__(self, aside: Path, *, together: int = TOGETHER) -> None:
        """``aside``: a folder for what does not fit; emptied now and at the end."""
        self._aside, self._together = aside, together
        self._waiting: list[Localizations] = []
        self._held = 0
        self._files: dict[int, list[Path]] = {}
        shutil.rmtree(aside, ignore_errors=True)

    def put(self, linked: Linked) -> None:
        """Take some molecules. Raises `OSError` where the disk takes no more."""
        rows = Localizations({**linked.rows.columns, NUMBER: linked.numbers})
        self._waiting.append(rows)
        self._held += len(rows)
        if self._held >= self._together:
            self._put_aside()

    def tables(self) -> Iterator[Localizations]:
        """Yield all of them by number, in tables; at least one, which may be empty."""
        if not self._files:
            yield _by_number(self._waiting)
            self._waiting = []
            return
        self._put_aside()
        for _, paths in sorted(self._files.items()):
            yield _by_number([read_parquet(path)[0] for path in paths])
        shutil.rmtree(self._aside, ignore_errors=True)

    def _put_aside(self) -> None:
        if not self._waiting:
            return
        rows = concatenate(self._waiting)
        shelf = rows[NUMBER].astype(np.int64) // self._together
        for one in np.unique(shelf).tolist():
            paths = self._files.setdefault(one, [])
            path = self._aside / f"{one:06d}-{len(paths):06d}.parquet"
            write_parquet(path, rows.take(shelf == one), {})
            paths.append(path)
        self._waiting, self._held = [], 0


def _by_number(tables: list[Localizations]) -> Localizations:
    rows = concatenate(tables)
    columns = {n: a for n, a in rows.columns.items() if n != NUMBER}
    return Localizations(columns).take(np.argsort(rows[NUMBER]))
