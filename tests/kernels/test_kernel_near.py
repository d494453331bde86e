"""Points that stand alone, against a tree of all of them."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from her2sr_proc.kernels import near


def alone(points, which, reach, run=near.are_alone):
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T.copy()
    out = np.zeros(len(which), np.bool_)
    run(x, y, np.asarray(which, np.intp), reach, out)
    return out


def by_tree(points, which, reach):
    tree = cKDTree(points)
    return tree.query_ball_point(points[which], reach, return_length=True) == 1


def interpreted(function):
    return getattr(function, "py_func", function)


@pytest.mark.parametrize("reach", [0.01, 1.0, 5.8, 300.0])
@pytest.mark.parametrize("scale", [(1, 1), (1, 1000), (1e6, 1e-3)], ids=str)
def test_a_tree_says_the_same(reach, scale):
    rng = np.random.default_rng(1)
    points = rng.uniform(-50, 150, (800, 2)) * scale
    points[::9] = np.rint(points[::9])
    which = rng.permutation(800)[:500]
    np.testing.assert_array_equal(
        alone(points, which, reach), by_tree(points, which, reach)
    )


def test_the_interpreter_says_the_same():
    points = np.random.default_rng(2).uniform(0, 40, (60, 2))
    plain = alone(points, np.arange(60), 3.0, interpreted(near.are_alone))
    np.testing.assert_array_equal(plain, alone(points, np.arange(60), 3.0))
    assert 0 < plain.sum() < 60


def test_one_exactly_at_the_reach_and_one_at_the_same_place_are_near():
    points = [(0, 0), (3, 4), (50, 50), (50, 50), (90, 9)]
    assert alone(points, range(5), 5.0).tolist() == [False] * 4 + [True]
    assert alone(points, range(2), 4.999).tolist() == [True, True]


def test_a_single_point_is_alone_and_no_question_has_no_answer():
    assert alone([(7, 7)], [0], 1.0).tolist() == [True]
    assert alone([(7, 7)], [], 1.0).size == 0
    assert alone([], [], 1.0).size == 0


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_beside_a_place_that_is_no_place_nobody_is_alone(odd):
    assert alone([(7, 7), (90, odd), (50, 50)], range(3), 1.0).tolist() == [False] * 3
