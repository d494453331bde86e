"""Formulas: what they mean, and what is said of those that mean nothing."""

import numpy as np
import pytest

from her2sr_proc.errors import RequestError
from her2sr_proc.expression import parse

VALUES = {"a": np.array([1.0, 2.0, 3.0, 4.0]), "b": np.array([4.0, 3.0, 2.0, 0.0])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 2 * b", [9, 8, 7, 4]),
        ("(a + 2) * b", [12, 12, 10, 0]),
        ("-a ^ 2", [-1, -4, -9, -16]),
        ("2 ^ 3 ^ 2", 512),
        ("a < b", [True, True, False, False]),
        ("a > 1 & b > 2 | a == 4", [False, True, False, True]),
        ("!(a > 2)", [True, True, False, False]),
        ("a && b", [True, True, True, False]),
        ("sum(a) / 2", 5),
        ("a > mean(a)", [False, False, True, True]),
        ("sqrt(abs(-a))", np.sqrt([1, 2, 3, 4])),
        ("std(a)", np.std([1, 2, 3, 4], ddof=1)),
        ("1e2 - .5", 99.5),
        ("(a > 1) + (b > 2)", [1, 2, 1, 1]),
        ("(a > 1) - (b > 2)", [-1, 0, 1, 1]),
        ("a / b > 1", [False, False, True, True]),
        ("max(a + 0 / (a - 1))", 4),
        ("sum(a + 0 / (a - 1))", 9),
        ("mean(a + 0 / (a - 1))", 3),
        ("std(a + 0 / (a - 1))", 1),
        ("(a > 1) == (b > 2)", [False, True, False, False]),
    ],
)
def test_a_formula_means_what_it_says(text, expected):
    np.testing.assert_allclose(parse(text).evaluate(VALUES), expected)


def test_names_with_a_dot_are_names():
    read = parse("2 * std(Wave.F1) + I")
    assert read.names == {"Wave.F1", "I"}
    planes = {"Wave.F1": np.array([1.0, 3.0]), "I": 1.0}
    assert read.evaluate(planes) == pytest.approx(1 + 2 * 2**0.5)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a +", "ends too early"),
        ("", "ends too early"),
        ("(a > 1", "character 7: ')' is missing"),
        ("a > 1)", "character 6: an operator is missing"),
        ("a $ 1", "character 3: '$' is out of place"),
        ("a b", "character 3: an operator is missing"),
        ("sine(a)", "character 1: 'sine' is no function; there are abs"),
        ("1 < a < 3", "character 7: two comparisons are joined by &"),
        ("a == b == 1", "character 8: two comparisons are joined by &"),
        ("* a", "character 1: '*' is out of place"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, place):
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert place in str(caught.value)


def test_an_unknown_name_is_told_with_those_that_are_known():
    with pytest.raises(RequestError, match=r"'c' is not known in 'c > 1'.*a, b"):
        parse("c > 1").evaluate(VALUES)


@pytest.mark.parametrize("function", ["min", "max", "mean", "median"])
def test_nothing_has_no_least_nor_mean_and_no_row_passes(function):
    empty = {"a": np.empty(0)}
    assert np.isnan(parse(f"{function}(a)").evaluate(empty))
    assert parse(f"a > {function}(a)").evaluate(empty).shape == (0,)


@pytest.mark.parametrize("text", ["(" * 9000 + "a" + ")" * 9000, "a" + " & a" * 9000])
def test_a_formula_without_end_is_refused(text):
    with pytest.raises(RequestError, match="too long or too deep; make it several"):
        parse(text).evaluate(VALUES)
