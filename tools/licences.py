"""Write ``docs/licences.md``: under which licence each dependency of the wheel comes.

Follows the declared dependencies (no extras) through what is installed, as its authors
declared it; no licence text is read. Of what the metadata leaves unsaid, it says so.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "licences.md"
COPYLEFT = re.compile(
    r"\b[AL]?GPL|GNU|\bMPL|Mozilla|\bEPL|\bCDDL|\bEUPL", re.IGNORECASE
)
UNSAID = "not declared"
LONGEST = 80
"""Characters; a longer "licence" is its whole text, of which the first line is told."""
HEAD = """# Licences of what is installed with her2sr

Written by `make licences` from the metadata of the packages, as their authors declared
it on Linux and Python 3.11; a test compares this page. Extras are not in it. A
declaration is not legal advice. For research use only.

her2sr itself comes under BSD-3-Clause. Parts under a copyleft licence are marked: they
are installed beside her2sr as their own packages, unchanged; none is copied into it.
What a wheel bundles (GEOS in shapely, for one) its metadata does not always tell.

| package | licence | copyleft |
|---|---|---|
"""


def declared(dist: Distribution) -> str:
    """Return the licence a distribution names: expression, classifiers, free text."""
    info = dist.metadata
    if expression := info.get("License-Expression"):
        return expression
    marks = [c for c in info.get_all("Classifier") or () if c.startswith("License ::")]
    named = [c.rsplit(" :: ", 1)[-1] for c in marks if c.count(" :: ") > 1]
    if named:
        return ", ".join(sorted(named))
    first = (info.get("License") or "").strip().splitlines()[:1]
    return first[0][:LONGEST] if first else UNSAID


def closure() -> dict[str, Distribution]:
    """Return every distribution that installing the wheel brings, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        waiting += [
            below
            for below in map(Requirement, found[name].requires or ())
            if below.marker is None
            or any(below.marker.evaluate({"extra": e}) for e in ("", *extras))
        ]
    return found


def page() -> str:
    """Return the page as it should stand in the documentation."""
    rows = []
    for name, dist in sorted(closure().items()):
        licence = declared(dist).replace("|", "/")
        mark = "**yes**" if COPYLEFT.search(licence) else ""
        rows.append(f"| {name} | {licence} | {mark} |\n")
    return HEAD + "".join(rows)


def main() -> None:
    """Write the page."""
    TARGET.write_text(page())


if __name__ == "__main__":
    main()
