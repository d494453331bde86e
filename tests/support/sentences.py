"""Reads out of the source which sentences a person may be shown, and their shape."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VALUE = "7"
"""Stands for every value of a sentence."""
TOLD = ("detail", "words", "reason", "why", "instead", "rule", "why_not", "phase")
"""Arguments, and names, that hold a sentence."""
SAYING = ("alarm", "pause", "skip_planned_units", "append", "Finding")
"""Calls whose arguments are sentences."""
HANDED_IN = "refuse"
"""How a function calls the error class that its caller names."""
SENTENCE = re.compile(r"^(?!/).*[a-z]{3,} .*[a-z]{3,}", re.DOTALL)
"""Two words of three letters; else it is a value, or an address."""


class Sentence(NamedTuple):
    """One, as it would be said with `VALUE` for every value."""

    place: str
    text: str


def raised(path: Path) -> Iterator[Sentence]:
    """Yield what the errors of a file say; built-in ones are mistakes of ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
            is_ours = name.endswith("Error") or name == HANDED_IN
            if is_ours and node.exc.args and name not in UNTOLD:
                for text in said(node.exc.args[0]):
                    yield Sentence(f"{path.name}:{node.lineno}", text)


UNTOLD = ("ValueError", "TypeError", "RuntimeError", "KeyError", "LookupError")
UNTOLD += ("ConnectionResetError", "DatabaseError", "WireError", "ConfigError")
"""Mistakes of ours; and what is told on a terminal, before there is a page."""


def told(path: Path) -> Iterator[Sentence]:
    """Yield what else a file says: reasons, alarms, lines of checks, flags."""
    for node in ast.walk(ast.parse(path.read_text())):
        for value in _values(node):
            for text in said(value):
                if SENTENCE.search(text):
                    yield Sentence(f"{path.name}:{value.lineno}", text)


def _values(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        yield from (k.value for k in node.keywords if k.arg in TOLD)
        if getattr(node.func, "id", getattr(node.func, "attr", "")) in SAYING:
            yield from node.args
    elif isinstance(node, ast.Yield | ast.Return) and node.value is not None:
        yield node.value
    elif isinstance(node, ast.Assign):
        names = [getattr(t, "id", getattr(t, "attr", "")) for t in node.targets]
        if any(name in (*TOLD, "said", "flags") for name in names):
            yield node.value


def said(node: ast.expr) -> list[str]:
    """Return what an expression says, as it would with `VALUE` for every value.

    Of a choice each branch; nothing for what is computed elsewhere.
    """
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(_part(part) for part in parts)]
        case ast.IfExp(body=first, orelse=second):
            return [*said(first), *said(second)]
        case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
            return [text for value in values for text in said(value)]
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
            return said(element)
    return []


def _part(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) else VALUE
