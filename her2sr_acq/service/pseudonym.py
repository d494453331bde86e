"""What a sample may be called: never what could lead back to a patient.

The same patterns are checked here and, as hints while somebody types, by the page: they
use only what Python's and the browser's regular expressions read alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.service.strings import load


class Rule(NamedTuple):
    """A pattern, and the string that says why what it finds is refused."""

    pattern: str
    key: str
    must_match: bool = False


RULES = (
    # `$` alone would let a final newline pass in Python
    Rule(
        r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?![\s\S])",
        "start.refuse_shape",
        must_match=True,
    ),
    Rule(
        "(^|[^0-9])(19|20)[0-9]{2}[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12][0-9]|3[01])"
        "([^0-9]|$)",
        "start.refuse_date",
    ),
    Rule(
        "(^|[^0-9])[0-9]{1,2}[-_][0-9]{1,2}[-_](19|20)[0-9]{2}([^0-9]|$)",
        "start.refuse_date",
    ),
    Rule("[0-9]{6}", "start.refuse_digits"),
    Rule("^[A-Z][a-z]+[-_][A-Z][a-z]+([-_][A-Z][a-z]*)*$", "start.refuse_name"),
)
"""In this order; the first that speaks is told."""


def refusal(sample: str) -> str:
    """Return the key of the reason why a sample may not be called so, or ''."""
    for rule in RULES:
        if bool(re.search(rule.pattern, sample)) != rule.must_match:
            return rule.key
    return ""


def require(sample: str) -> None:
    """Raise `PlanRejectedError` for what looks like a patient's name or number."""
    if key := refusal(sample):
        reason = load().text("en", key)
        raise PlanRejectedError(f"this sample name is refused: {reason}")
