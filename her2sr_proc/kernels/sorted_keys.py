"""How often keys are met in a sorted list of keys with counts. Knows integers only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from her2sr_proc.kernels._jit import kernel

I64 = npt.NDArray[np.int64]


@kernel
def counted(keys: I64, counts: I64, asked: I64) -> int:
    """Return the sum of the counts of the keys that are asked for.

    Looked for from where the one before was found, in steps that double: the cost of a
    sorted ``asked`` follows its own length, not that of ``keys``. In any other order
    the sum is the same, and slower.

    Parameters
    ----------
    keys : int64 array, shape (keys,)
        Sorted, each once; may be empty.
    counts : int64 array, shape (keys,)
    asked : int64 array, shape (asked,)
        Those of no key count nothing; one that is asked for twice counts twice.
    """
    met, at = 0, 0
    size = keys.size
    for key in asked:
        if at > 0 and keys[at - 1] >= key:  # before the one before
            at = 0
        low, step = at, 1
        while low + step < size and keys[low + step] < key:
            low += step
            step *= 2
        high = min(low + step, size)
        while low < high:
            middle = (low + high) // 2
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        at = low
        if at < size and keys[at] == key:
            met += counts[at]
    return met
