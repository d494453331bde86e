"""Every test can fail: it asserts something itself or through a helper of the tests."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[2]
CHECKS = {"raises", "warns", "fail", "expect", "run_state_machine_as_test"}
"""What asserts by itself: of pytest, playwright, hypothesis; and ``assert_...``."""
SAYS_WHAT_PASSING_MEANS = "raises_no_"
"""In the name of a test whose one claim is that nothing is raised."""

Functions = dict[str, ast.FunctionDef]


@cache
def told(path: Path) -> tuple[Functions, list[ast.Assert]]:
    """Return the functions and the assertions of a file."""
    found: Functions = {}
    asserted = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assert):
            asserted.append(node)
    return found, asserted


def called(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            function = call.func
            is_method = isinstance(function, ast.Attribute)
            yield function.attr if is_method else getattr(function, "id", "")


def is_checked(function: ast.FunctionDef, known: Functions, seen: set[str]) -> bool:
    names = set(called(function))
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    if names & CHECKS or any(name.startswith("assert_") for name in names):
        return True
    helpers = (names & known.keys()) - seen
    return any(is_checked(known[name], known, seen | helpers) for name in helpers)


def is_always_true(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(map(is_always_true, test.values))
    is_equation = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)
    if is_equation and not list(called(test)):  # two calls may differ
        return ast.dump(test.left) == ast.dump(test.comparators[0])
    if isinstance(test, ast.Tuple):
        return bool(test.elts)  # assert (value, "message")
    return isinstance(test, ast.Constant) and bool(test.value)


def test_every_test_asserts_something():
    support: Functions = {}
    for path in sorted((TESTS / "support").glob("*.py")):
        support |= told(path)[0]
    bare = []
    for path in sorted(TESTS.rglob("test_*.py")):
        here, _ = told(path)
        bare += [
            f"{path.name}::{name}"
            for name, function in here.items()
            if name.startswith("test_")
            and SAYS_WHAT_PASSING_MEANS not in name
            and not is_checked(function, support | here, {name})
        ]
    assert bare == [], f"assert something, or say '{SAYS_WHAT_PASSING_MEANS}...'"


def test_no_assertion_is_true_whatever_happens():
    idle = [
        f"{path.name}:{node.lineno}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in told(path)[1]
        if is_always_true(node.test)
    ]
    assert idle == []
