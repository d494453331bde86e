"""File systems of a few megabytes, and what fills them to the last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PIECES = (2**20, 2**12)


class CannotMountError(Exception):
    """Nobody may mount a disk here."""


@contextmanager
def mounted(folder: Path, size_mb: int) -> Iterator[Path]:
    """Mount a disk in memory at a new folder. Raises `CannotMountError`."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        raise CannotMountError("no right to mount a tmpfs here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """Mount a disk in memory; skip the test where nobody may mount."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(mounted(folder, size_mb))
        except CannotMountError as exc:
            pytest.skip(str(exc))
        yield disk


def fill(ballast: Path) -> None:
    """Let a file take what is left of its disk."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for piece in PIECES:
            _take(descriptor, piece)
    finally:
        os.close(descriptor)


def _take(descriptor: int, piece: int) -> None:
    while True:
        try:
            os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, piece)
        except OSError as exc:
            if exc.errno == errno.ENOSPC:
                return
            raise
