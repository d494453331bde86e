"""How values are written on a page. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

SYMBOLS = {
    "planned": "·",
    "acquiring": "▶",
    "complete": "✓",
    "partial": "◐",
    "failed": "✕",
    "skipped": "–",
    "queued": "·",
    "preparing": "▶",
    "running": "▶",
    "paused": "‖",
    "stopping": "◐",
    "completed": "✓",
    "completed_with_faults": "◐",
    "aborted": "■",
    "faulted": "✕",
    "interrupted": "✕",
}
"""A state is never told by colour alone."""


def words(value: str) -> str:
    """Return an identifier as words."""
    return value.replace("_", " ")


def duration(seconds: float) -> str:
    """Return a time span as a person would say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """Return bytes in the largest decimal unit that leaves a number above one."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def percent(share: float) -> str:
    """Return a share as whole percent; 100 only when nothing is missing."""
    return f"{int(100 * share)} %"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(value: tuple[float, float] | None) -> str:
    """Return an interval, or a dash where there is none."""
    return "–" if value is None else f"{value[0]:.2f} – {value[1]:.2f}"


def moment(stamp: str) -> str:
    """Return an ISO stamp as date and time to the second, in UTC."""
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S} UTC"


def coded(text: str) -> Markup:
    """Return a text whose words between backticks are marked up as code."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:  # a backtick without its fellow is only a sign
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else part
        for n, part in enumerate(parts)
    )


FILTERS: dict[str, Callable[..., Any]] = {
    "words": words,
    "duration": duration,
    "size": size,
    "percent": percent,
    "number": number,
    "interval": interval,
    "moment": moment,
    "coded": coded,
}
