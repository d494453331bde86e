"""Counts of keys that are asked for: compiled, interpreted, and by a dictionary."""

import numpy as np
import pytest

from her2sr_proc.kernels.sorted_keys import counted

INTERPRETED = getattr(counted, "py_func", counted)
RUNS = pytest.mark.parametrize("run", [counted, INTERPRETED])


def reference(keys, counts, asked):
    known = dict(zip(keys.tolist(), counts.tolist(), strict=True))
    return sum(known.get(key, 0) for key in asked.tolist())


@RUNS
@pytest.mark.parametrize("order", ["sorted", "nearly", "any"])
@pytest.mark.parametrize("seed", range(5))
def test_the_sum_is_that_of_a_dictionary_in_any_order(run, order, seed):
    chance = np.random.default_rng(seed)
    size, most = chance.integers(1, 400, 2)
    keys = np.unique(chance.integers(-500, 500, size))
    counts = chance.integers(1, 9, keys.size)
    asked = chance.integers(-600, 600, most)
    if order != "any":
        asked.sort()
    if order == "nearly":
        at = chance.integers(0, most, 5)
        asked[at] = asked[at[::-1]]
    assert run(keys, counts, asked) == reference(keys, counts, asked)


@RUNS
@pytest.mark.parametrize(
    ("keys", "asked", "found"),
    [
        ([], [1, 2], 0),
        ([3], [], 0),
        ([3], [3, 3, 2, 3, 4], 3),
        ([1, 2, 3], [1, 2, 3], 3),
        ([1, 2, 3], [3, 2, 1], 3),
        ([-(2**62), 0, 2**62], [2**62, -(2**62)], 2),
    ],
    ids=["no key", "none asked", "one", "all", "backwards", "far apart"],
)
def test_edges(run, keys, asked, found):
    keys, asked = np.array(keys, np.int64), np.array(asked, np.int64)
    assert run(keys, np.ones(keys.size, np.int64), asked) == found
