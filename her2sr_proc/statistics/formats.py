"""Numbers as tables print them: halves away from zero, as people round."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

DASH = "–"


def fixed(value: float | None, digits: int) -> str:
    """Return a number with so many decimals; a dash where there is none.

    30.25 is 30.3 with one: binary rounding would say 30.2.
    """
    if value is None:
        return DASH
    step = Decimal(1).scaleb(-digits)
    text = str(Decimal(repr(float(value))).quantize(step, ROUND_HALF_UP))
    return text.removeprefix("-") if float(text) == 0 else text


def short(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals at most, without zeros at the end."""
    text = fixed(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def quartile(value: float) -> str:
    """Return a quartile: one decimal, or the two that it may need."""
    text = fixed(value, 2)
    return text.removesuffix("0")


def p_equals(p: float) -> str:
    """Return a p-value as part of a sentence."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def count_share(count: int, total: int) -> str:
    """Return a count with its percentage of ``total``."""
    if total == 0 or count == 0:
        return str(count)
    return f"{count} ({fixed(100 * count / total, 1)})"


def p_text(p: float | None) -> str:
    """Return a p-value: three decimals where it matters, two elsewhere."""
    if p is None:
        return DASH
    if p < 0.001:
        return "< 0.001"
    return fixed(p, 3 if p < 0.1 else 2)


def percent(share: float) -> str:
    """Return a share from 0 to 1 in percent."""
    return f"{fixed(100 * share, 1)} %"
