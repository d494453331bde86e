"""One file onto a share: written beside, forced, read back from there, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from her2sr_proc.errors import IntegrityError, RequestError
from her2sr_proc.store.atomic import replacing, sync_file, write_all

PIECE = 4 * 2**20
Source = Path | bytes
"""A file, or what it shall hold."""


def size_of(source: Source) -> int:
    """Return the length in bytes."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def pieces(source: Source) -> Iterator[bytes]:
    """Yield the content in pieces."""
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def sha256(source: Source) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    for piece in pieces(source):
        digest.update(piece)
    return digest.hexdigest()


def sha256_from_disk(path: Path) -> str:
    """Return the SHA-256 of a file as its disk or share holds it."""
    forget(path)
    return sha256(path)


def forget(path: Path) -> None:
    """Drop what the system has of a file in memory, as far as it lets go of it."""
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def copy_verified(source: Source, target: Path, *, wanted: str = "") -> str:
    """Copy one file; return the SHA-256 that both have.

    ``target`` is whole and verified, or as it was. Raises `IntegrityError` when what
    was written does not read back, or the file has another SHA-256 than the ``wanted``
    one where there is one; `RequestError` when there is no room.
    """
    digest = hashlib.sha256()
    with enough_room(target), replacing(target) as beside:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            for piece in pieces(source):
                write_all(descriptor, piece)
                digest.update(piece)
        finally:
            os.close(descriptor)
        if wanted and digest.hexdigest() != wanted:
            raise IntegrityError(
                f"what {target.name} is copied from reads otherwise than a moment ago; "
                f"check its disk, then offload again"
            )
        sync_file(beside)
        if sha256_from_disk(beside) != digest.hexdigest():
            raise IntegrityError(
                f"{target} does not read back as it was copied; check the share and "
                f"offload again",
                path=str(target),
            )
    return digest.hexdigest()


def room_for(folder: Path, size_bytes: int) -> None:
    """Raise `RequestError` unless a folder is there and has so much room."""
    if not folder.is_dir():
        raise RequestError(f"{folder} is no folder; make it, or name another")
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise RequestError(
            f"{size_bytes / 1e9:.1f} GB are needed in {folder} and {free / 1e9:.1f} GB "
            f"are free; make room, ask for less, or name another folder"
        )


@contextmanager
def enough_room(target: Path) -> Iterator[None]:
    """Turn a full share into one sentence."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RequestError(
            f"{target.name} does not fit on the share ({exc.strerror}); make room and "
            f"offload again: what is there already is not copied twice"
        ) from exc
