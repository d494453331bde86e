"""Files that are whole or absent: written beside, forced to disk, renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from her2sr_proc.errors import RequestError, WriteError

LATE_WRITES, LATE_WRITE_S = 20, 0.05
"""How often, and after what wait, a folder is looked for that threads still fill."""


def require_writable(path: Path) -> None:
    """Raise `RequestError` for a path that `replacing` could not fill.

    To be asked before work that would be lost. The folder need not exist yet.
    """
    place = path.parent
    while not place.exists():
        place = place.parent
    if path.is_dir() or not place.is_dir():
        culprit = path if path.is_dir() else place
        kind = "folder" if path.is_dir() else "file"
        raise RequestError(
            f"{path} cannot be written: {culprit} is a {kind}; rename it"
        )
    probe = place / _beside(path).name
    try:
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise RequestError(
            f"{path} cannot be written: {place} takes no file of that name "
            f"({exc.strerror}); choose another folder or name"
        ) from exc


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; rename it into place on success.

    On an exception the half-written file is removed and ``path`` is untouched; an
    `OSError` names ``path`` where the system named no file, as for a full disk.
    The temporary name keeps the suffix, since writers choose formats by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        yield beside
        sync_file(beside)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        if exc.errno is not None and exc.filename in (None, str(beside), beside):
            exc.filename = str(path)
        raise
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed write of ``path`` into one sentence.

    HDF5 and Arrow hide the number of the error in their message.

    Raises `WriteError` in place of `OSError`.
    """
    try:
        yield
    except OSError as exc:
        hidden = re.search(r"errno\W+(\d+)", str(exc))
        number = exc.errno or (int(hidden[1]) if hidden else 0)
        reason = os.strerror(number) if number else str(exc).split("\n")[0]
        raise WriteError(
            f"{path} could not be written ({reason}); make room there, or choose "
            f"another folder",
            path=str(path),
        ) from exc


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` so that a reader sees all of it or the former file."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 ``text`` so that a reader sees all of it or the former file."""
    write_bytes(path, text.encode())


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, whose names have then reached the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` at the place of an open file. Raises `OSError`."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_file(path: Path) -> None:
    """Return once the content of ``path`` has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return once the names in ``path`` have reached the disk.

    Network shares that cannot force a folder say so (EINVAL); their server decides.
    """
    try:
        sync_file(path)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


@contextmanager
def replacing_folder(
    path: Path,
    *,
    announced_by: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` to fill; rename it into place on success.

    On an exception the half-filled folder is removed and what stood there stays.
    ``announced_by`` is a file that tells readers of the folder: the former one is
    removed just before the folder changes, and the caller writes the new one after.
    """
    make_folder(path.parent)
    beside, former = (_aside(path, word) for word in ("partial", "former"))
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        sync_tree(beside)
        if announced_by is not None:
            announced_by.unlink(missing_ok=True)
        _swap(path, beside, former)
        sync_folder(path.parent)
    except BaseException:
        _remove_for_good(beside, sleep)
        raise
    finally:
        for left in (beside, former):
            shutil.rmtree(left, ignore_errors=True)


def _remove_for_good(folder: Path, sleep: Callable[[float], None]) -> None:
    """Remove a folder that a library's threads may still write into for a moment.

    Of several writes side by side one fails first, and is told; the others go on.
    """
    for _ in range(LATE_WRITES):
        shutil.rmtree(folder, ignore_errors=True)
        sleep(LATE_WRITE_S)
        if not folder.exists():
            return


def _aside(path: Path, word: str) -> Path:
    return path.with_name(f".{path.name}.{word}-{os.getpid()}")


def _swap(path: Path, beside: Path, former: Path) -> None:
    """Rename ``beside`` to ``path``, and what stood there to ``former``, or neither."""
    if not path.exists():
        beside.rename(path)
        return
    path.rename(former)
    try:
        beside.rename(path)
    except OSError:
        former.rename(path)
        raise


def sync_tree(folder: Path) -> None:
    """Return once all files and names below ``folder`` have reached the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(place, name))
        sync_folder(Path(place))
