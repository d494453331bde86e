"""Append-only files of JSON lines; a torn last line was never acknowledged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.store.atomic import make_folder, sync_folder


class LineWriter:
    """Appends lines durably. Not thread-safe: the thread that runs owns it."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        path.touch()
        sync_folder(path.parent)  # a forced line in a file without a name is lost
        os.truncate(path, len(_whole(path)))
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def append(self, line: str) -> None:
        """Return only once ``line`` has reached the disk, in the file of that name.

        Raises `OSError`, also where the file was removed, or its disk unmounted.
        """
        data = line.encode() + b"\n"
        here, named = os.fstat(self._descriptor), self._path.stat()
        if (here.st_dev, here.st_ino) != (named.st_dev, named.st_ino):
            raise OSError(errno.ESTALE, "another file has its name", str(self._path))
        start = here.st_size
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError(28, "No space left on device")  # noqa: TRY301
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_lines(path: Path) -> list[str]:
    """Return every acknowledged line, oldest first; none if the file is absent.

    Raises `IntegrityError` for a line that is no text and `DataError` for a file that
    cannot be read. Lines end at a newline alone:
    JSON may hold other characters that break lines.
    """
    return [text for _, text in numbered_lines(path)]


def numbered_lines(path: Path, *, having: str = "") -> Iterator[tuple[int, str]]:
    """Yield acknowledged lines with their numbers from 1, those with a text alone.

    Holds one line at a time: a file of a long run is larger than what is looked for.
    Raises as `read_lines`.
    """
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as exc:
        raise DataError(
            f"{path.name} cannot be read ({exc.strerror}); restore it from a copy, or "
            f"the right to read it",
            path=str(path),
        ) from exc
    wanted = having.encode()
    with opened as file:
        for number, data in enumerate(acknowledged(file), start=1):
            if wanted in data:
                yield number, text_of(path, number, data)


def acknowledged(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their ends, from where a file stands; none that is torn."""
    for data in file:
        if not data.endswith(b"\n"):
            return  # never acknowledged
        yield data


def text_of(path: Path, number: int, data: bytes) -> str:
    """Return a line without its end. Raises as `read_lines`."""
    try:
        return data[:-1].decode()
    except UnicodeDecodeError as exc:
        raise IntegrityError(
            f"{path.name} line {number} is damaged: it is no text; restore the file "
            f"from a copy",
            path=str(path),
        ) from exc


def _whole(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1]
