"""What calls that were killed left half-written. Knows names, not what is in them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_NAME = re.compile(r"^\.(?P<of>.+)\.(?P<word>partial|former)-(?P<pid>\d+)(?:\.[^.]+)?$")
"""As `atomic` names what it writes beside, and a folder that it replaces."""


def leftovers(root: Path, *, but: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield files and folders of processes that are not alive on this machine.

    ``but``: names of folders that are not looked into. A folder that was set aside is
    left where nothing stands in its place.
    """
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in but]
        yield from (p for name in files if _is_left(p := Path(place, name)))
        for name in [n for n in folders if _is_left(Path(place, n))]:
            folders.remove(name)
            yield Path(place, name)


def remove(path: Path) -> None:
    """Remove a file or a folder as far as the system allows it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _is_left(path: Path) -> bool:
    match = _NAME.match(path.name)
    if match is None or psutil.pid_exists(int(match["pid"])):
        return False
    return match["word"] == "partial" or path.with_name(match["of"]).exists()
