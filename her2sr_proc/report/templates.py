"""Templates of the pages that stand alone: strict, escaped, with their style inside.

Knows no page; the words of numbers that all of them share are here.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

_LOADER = PackageLoader("her2sr_proc", "report")


def environment() -> Environment:
    """Return an environment of its own, to which a page adds its filters."""
    made = Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["bounds"] = bounds
    return made


def style(*sheets: str) -> str:
    """Return style sheets one after another, as they go into a page's head."""
    made = environment()
    return "\n".join(_LOADER.get_source(made, sheet)[0] for sheet in sheets)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number as a page shows it; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def bounds(values: tuple[float, float] | None) -> str:
    """Return an interval in words."""
    if values is None:
        return "no interval"
    return f"{values[0]:.2f} to {values[1]:.2f}"
