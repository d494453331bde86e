"""Which Python and which packages made a result. Knows names alone."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import metadata

SHAPING = ("her2sr", "numpy", "numba", "scipy", "scikit-image", "zarr")
"""Packages whose version can change a number or a byte of a run."""


def versions(packages: Sequence[str] = SHAPING) -> dict[str, str]:
    """Return the versions of Python and of packages, by their names."""
    found = {"Python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
