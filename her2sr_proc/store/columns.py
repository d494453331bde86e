"""Columns as a file brings them: a table, or one sentence on what none can hold.

Knows arrays; no form of file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import TableError
from her2sr_proc.schema.table import COLUMNS, NAMES, Localizations

Array = npt.NDArray[Any]
_LEAST = {"frame": 0}
_CURE = {"frame": "frames count from 0 in whole numbers (ThunderSTORM's from 1); "}


def require_names(path: Path, names: Sequence[str]) -> None:
    """Raise `TableError` unless all native columns are there, and every one once."""
    missing = [name for name in NAMES if name not in names]
    if missing:
        raise TableError(
            f"{path} is no localization table: it lacks {', '.join(missing)}",
            path=str(path),
        )
    require_single(path, names)


def require_single(path: Path, names: Sequence[str]) -> None:
    """Raise `TableError` for a name that two columns have."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise TableError(
            f"{path} has two columns '{twice[0]}'; remove the wrong one",
            path=str(path),
        )


def as_table(
    path: Path, values: Mapping[str, Array], *, is_exact: bool = False
) -> Localizations:
    """Return native columns as a table; other columns are kept as they are.

    Parameters
    ----------
    path : Path
        Where they are from.
    values : mapping
        At least the native columns.
    is_exact : bool
        Keep numbers with a point as exact as they are, instead of as float32.

    Raises `TableError` for what is no number, and for a frame or status that none has.
    """
    columns = dict(values)
    for column in COLUMNS:
        array = require_numbers(path, column.name, values[column.name])
        dtype = np.dtype(column.dtype)
        if dtype.kind == "i":
            _require_whole(path, column.name, array, np.iinfo(dtype))
        elif is_exact and array.dtype.kind == "f":
            continue
        with np.errstate(over="ignore"):  # beyond float32 is as good as infinite
            columns[column.name] = array.astype(dtype)
    return Localizations(columns)


def require_numbers(path: Path, name: str, array: Array) -> Array:
    """Return a column that holds numbers. Raises `TableError` for another one."""
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise TableError(
            f"column '{name}' of {path} holds no numbers, one a row "
            f"({array.dtype.name}); export it as numbers",
            path=str(path),
        )
    return array


def _require_whole(path: Path, name: str, array: Array, bounds: np.iinfo[Any]) -> None:
    with np.errstate(invalid="ignore"):
        is_good = (array >= _LEAST.get(name, bounds.min)) & (array <= bounds.max)
        if array.dtype.kind == "f":
            is_good &= np.rint(array) == array
    if not is_good.all():
        raise TableError(
            f"row {int(np.argmin(is_good)) + 1} of {path} has a {name} that cannot be: "
            f"{_CURE.get(name, '')}correct or remove that row",
            path=str(path),
        )
