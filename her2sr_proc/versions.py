"""Which Python and which packages made a result. Knows names alone."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata

SHAPING = ("her2sr", "numpy", "numba", "scipy", "scikit-image", "zarr")
"""Packages whose version can change a number or a byte of a run."""


def versions(packages: Sequence[str] = SHAPING) -> dict[str, str]:
    """Return the versions of Python and of packages, by their names."""
    found = {"Python": platform.python_version()}
    return found | {name: _version(name) for name in packages}


@lru_cache
def _version(name: str) -> str:
    """Return a package's version; reading it costs milliseconds, and it stays."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
