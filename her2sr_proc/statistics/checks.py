"""What every test asks of its numbers before it looks at them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from her2sr_proc.errors import RequestError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Numbers = Sequence[float] | npt.NDArray[np.generic]
Counts = Sequence[Sequence[int]] | npt.NDArray[np.generic]
DIGITS = 12
"""Differences that agree to so many digits of the values are the same difference."""
LARGEST, SMALLEST = 1e30, 1e-30
"""Beyond and below, sums of squares and their ratios leave what a float holds."""


def numbers(values: Numbers, name: str, least: int) -> F64:
    """Return the values as float64, shape (n,); those below `SMALLEST` as 0.

    Raises `RequestError` for a value that is no finite number or too large to be
    squared, and for fewer than ``least`` of them.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise RequestError(
            f"{name} has {array.ndim} axes; give one list of numbers instead"
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise RequestError(
            f"value {wrong[0] + 1} of {name} is not a finite number; leave its sample "
            f"out, or fill it in"
        )
    large = np.flatnonzero(np.abs(array) > LARGEST)
    if large.size:
        raise RequestError(
            f"value {large[0] + 1} of {name} is beyond {LARGEST:.0e}; give it in a "
            f"larger unit"
        )
    if len(array) < least:
        raise RequestError(
            f"{name} has {len(array)} values, and {least} are needed; add samples, or "
            f"leave the test out"
        )
    return np.where(np.abs(array) < SMALLEST, 0.0, array)


def table(counts: Counts, *, square: bool = False) -> I64:
    """Return a table of counts as int64, shape (rows, columns), at least 2 x 2.

    Raises `RequestError` for what is no table of whole numbers from 0, and for a row
    or a column (of a square table: the whole table) that is empty.
    """
    try:
        array = np.asarray(counts, np.float64)
    except ValueError as exc:
        raise RequestError(
            "the rows of the table differ in length; fill in its zeros"
        ) from exc
    if array.ndim != 2 or min(array.shape) < 2:
        raise RequestError(
            f"a table of shape {array.shape} cannot be tested; give at least two rows "
            f"and two columns"
        )
    if not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise RequestError("the table holds what is no count; give whole numbers")
    if (array < 0).any():
        raise RequestError("the table holds a negative count; counts begin at 0")
    whole = np.asarray(np.rint(array), np.int64)
    if square:
        _require_square(whole)
        return whole
    for axis, kind in ((1, "row"), (0, "column")):
        empty = np.flatnonzero(whole.sum(axis=axis) == 0)
        if empty.size:
            raise RequestError(
                f"{kind} {empty[0] + 1} of the table is empty; leave it out"
            )
    return whole


def differences(first: F64, second: F64) -> F64:
    """Return ``second - first`` without the last digits, where equal ones differ.

    2.3 - 2.1 and 1.2 - 1.0 are one difference, though not in binary.

    Shape (pairs,), as both lists.
    """
    largest = float(np.max(np.abs([first, second]), initial=0.0))
    if largest == 0.0:
        return np.zeros(len(first), np.float64)
    return np.asarray(
        np.round(second - first, DIGITS - 1 - math.floor(math.log10(largest))),
        np.float64,
    )


def tied(values: F64) -> int:
    """Return how many values share their rank with another."""
    _, counts = np.unique(values, return_counts=True)
    return int(counts[counts > 1].sum())


def double_ranks(values: F64) -> I64:
    """Return twice the mid-ranks: whole numbers, with ties too.

    Shape (values,); the smallest value has 2 where it is alone.
    """
    return np.asarray(np.rint(2 * rankdata(values)), np.int64)


def _require_square(counts: I64) -> None:
    if counts.shape[0] != counts.shape[1]:
        raise RequestError(
            f"a table of {counts.shape[0]} rows and {counts.shape[1]} columns cannot "
            f"show agreement; give both raters the same categories"
        )
    if counts.sum() == 0:
        raise RequestError("the table is empty; nobody was rated twice")
