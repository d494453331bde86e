"""Which Python, which packages and which program made a result. Knows names alone."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

SHAPING = ("her2sr", "numpy", "numba", "scipy", "scikit-image", "zarr")
"""Packages whose version can change a number or a byte of a run."""


def versions(packages: Sequence[str] = SHAPING) -> dict[str, str]:
    """Return the versions of Python and of packages, by their names."""
    found = {"Python": platform.python_version()}
    return found | {name: _version(name) for name in packages}


@lru_cache
def program() -> str:
    """Return this package's version and a digest of its files.

    The same on two computers: the same code, whatever was changed without a new
    version. Read once, so that it is that of a process, not of a later installation.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{_version('her2sr')}, files {digest.hexdigest()[:12]}"


@lru_cache
def _version(name: str) -> str:
    """Return a package's version; reading it costs milliseconds, and it stays."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
