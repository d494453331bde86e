"""Formulas over named arrays: what a filter or a threshold says, without `eval`.

Knows names, numbers, words and arrays; neither tables nor frames.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import RequestError

Value = npt.NDArray[Any] | float
Node = Callable[[Mapping[str, Value]], Value | str]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<word>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_0-9]+)?)"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^<>()=!&|]))"
)


def _equal(a: Value | str, b: Value | str) -> Value:
    """Return where both are the same; a word and a number are by how it is written."""
    if not (_is_text(a) or _is_text(b)):
        return np.equal(a, b)
    return np.asarray(_written(a) == _written(b))


def _is_text(value: Value | str) -> bool:
    return np.asarray(value).dtype.kind in "OSTU"


def _written(value: Value | str) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.ndim == 0:
        return np.asarray(f"{float(array):.15g}", dtype=object)
    return array.astype(str).astype(object)


def _numbers(*values: Value | str) -> None:
    """Refuse words where a formula reckons."""
    if any(_is_text(value) for value in values):
        raise RequestError(
            "a formula reckons with words; compare them with == or != alone, as in "
            "\"channel == '561'\""
        )


def _known(function: Callable[[Any], Value], least: int) -> Callable[[Value], Value]:
    """Return a function of the values that are numbers; nan where they are too few."""

    def of_known(values: Value) -> Value:
        known = np.asarray(values)
        is_unknown = np.isnan(known)
        if is_unknown.any():
            known = known[~is_unknown]
        return function(known) if known.size >= least else math.nan

    return of_known


FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sum": _known(np.sum, 0),
    "mean": _known(np.mean, 1),
    "median": _known(np.median, 1),
    "min": _known(np.min, 1),
    "max": _known(np.max, 1),
    "std": _known(lambda a: float(np.std(a, ddof=1)) if a.size > 1 else 0.0, 0),
    "var": _known(lambda a: float(np.var(a, ddof=1)) if a.size > 1 else 0.0, 0),
}
"""As in ThunderSTORM's formulas, with `exp` and `log` besides; std of a sample. Those
over many values leave out what is no number."""
_SIGNS: dict[str, Callable[[Any, Any], Value]] = {
    "+": lambda a, b: a + 1.0 * b,  # a yes counts 1, which numpy denies between two
    "-": lambda a, b: a - 1.0 * b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: np.true_divide(a, b),
    "^": lambda a, b: np.power(a, b),
    "<": lambda a, b: np.less(a, b),
    ">": lambda a, b: np.greater(a, b),
    "<=": lambda a, b: np.less_equal(a, b),
    ">=": lambda a, b: np.greater_equal(a, b),
    "==": _equal,
    "=": _equal,
    "!=": lambda a, b: np.logical_not(_equal(a, b)),
    "&": lambda a, b: np.logical_and(a, b),
    "|": lambda a, b: np.logical_or(a, b),
}
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("|",),
    ("&",),
    ("<", ">", "<=", ">=", "==", "=", "!="),
    ("+", "-"),
    ("*", "/"),
)
"""What binds weakest comes first; then unary minus and !, then ^."""
_OF_WORDS = ("==", "=", "!=")
_COMPARISONS = 2
"""The level of which a second sign would compare a yes with a number."""
_JOINED = "200 < photons & photons < 900"


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula that was read; ``names`` are those it asks for."""

    text: str
    names: frozenset[str]
    _node: Node

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """Return an array, or a number where no array is left.

        Raises `RequestError` for a name that ``values`` lacks.
        """
        unknown = sorted(self.names - set(values))
        if unknown:
            raise RequestError(
                f"'{unknown[0]}' is not known in '{self.text}'; known are "
                f"{', '.join(sorted(values))}",
                name=unknown[0],
            )
        with np.errstate(all="ignore"), _shallow(self.text):
            value = self._node(values)  # 1/0 is inf, and log(-1) nan: no row passes
        if isinstance(value, str):
            raise RequestError(
                f"'{self.text}' is a word, not yes or no, nor a number; compare it "
                f"with a column, as in \"channel == '561'\""
            )
        return value


def parse(text: str) -> Expression:
    """Return the formula in a text.

    Raises `RequestError` with the place where it cannot be read.
    """
    reader = _Reader(text)
    with _shallow(text):
        node = reader.level(0)
    reader.require_end()
    return Expression(text, frozenset(reader.names), node)


@contextmanager
def _shallow(text: str) -> Iterator[None]:
    try:
        yield
    except RecursionError as exc:
        raise RequestError(
            f"the formula of {len(text)} characters is too long or too deep; "
            f"make it several, one after the other"
        ) from exc


class _Reader:
    """Reads one formula from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self.names: set[str] = set()

    def level(self, depth: int) -> Node:
        if depth == len(_LEVELS):
            return self._unary()
        node = self.level(depth + 1)
        compared = 0
        while (sign := self._sign()) in _LEVELS[depth]:
            compared += depth == _COMPARISONS
            if compared > 1:
                self._fail(f"two comparisons are joined by &, as in '{_JOINED}'")
            self._at += 1
            node = _joined(sign, node, self.level(depth + 1))
        return node

    def require_end(self) -> None:
        if self._at < len(self._tokens):
            self._fail("an operator is missing")

    def _unary(self) -> Node:
        sign = self._sign()
        if sign in ("-", "+", "!"):
            self._at += 1
            node = self._unary()
            if sign == "!":
                return _applied(np.logical_not, node)
            return node if sign == "+" else _applied(lambda a: -1.0 * a, node)
        base = self._atom()
        if self._sign() == "^":
            self._at += 1
            return _joined("^", base, self._unary())
        return base

    def _atom(self) -> Node:
        if self._at == len(self._tokens):
            self._fail("it ends too early")
        kind, word, _ = self._tokens[self._at]
        if kind == "number":
            self._at += 1
            number = float(word)
            return lambda _: number
        if kind == "word":
            self._at += 1
            return _constant(word[1:-1])
        if kind == "name":
            self._at += 1
            return self._call(word) if self._sign() == "(" else self._name(word)
        if word == "(":
            return self._group()
        return self._fail(f"'{word}' is out of place")

    def _name(self, word: str) -> Node:
        self.names.add(word)
        return lambda values: values[word]

    def _call(self, word: str) -> Node:
        if word not in FUNCTIONS:
            self._at -= 1
            self._fail(f"'{word}' is no function; there are {', '.join(FUNCTIONS)}")
        function, inner = FUNCTIONS[word], self._group()
        return _applied(function, inner)

    def _group(self) -> Node:
        self._at += 1
        node = self.level(0)
        if self._sign() != ")":
            self._fail("')' is missing")
        self._at += 1
        return node

    def _sign(self) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign":
            return self._tokens[self._at][1]
        return ""

    def _fail(self, why: str) -> Node:
        at = len(self._text)
        if self._at < len(self._tokens):
            at = self._tokens[self._at][2]
        raise RequestError(
            f"'{self._text}' cannot be read at character {at + 1}: {why}", place=at
        )


def _constant(value: str) -> Node:
    return lambda _: value


def _joined(sign: str, left: Node, right: Node) -> Node:
    def node(values: Mapping[str, Value]) -> Value:
        a, b = left(values), right(values)
        if sign not in _OF_WORDS:
            _numbers(a, b)
        return _SIGNS[sign](a, b)

    return node


def _applied(function: Callable[[Any], Value], inner: Node) -> Node:
    def node(values: Mapping[str, Value]) -> Value:
        value = inner(values)
        _numbers(value)
        return function(value)

    return node


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield kind, word and place of every token."""
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise RequestError(
                f"'{text}' cannot be read at character {place + 1}: "
                f"'{text[place]}' is out of place",
                place=place,
            )
        word = match[match.lastgroup]
        word = {"&&": "&", "||": "|"}.get(word, word)
        yield match.lastgroup, word, match.start(match.lastgroup)
        at = match.end()
