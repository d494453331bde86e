"""Lines of an append-only file by field or by number, the others not read again.

A run appends to its ledger for a night while every end of a unit asks for the lines of
one field, and to its events while listeners ask for what is new. What was read once is
remembered as places in the file, never as contents: each answer is read from the disk.
Any file that does not go on from what was seen is read anew, from its first line.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from her2sr_proc.store.lines import acknowledged, numbered_lines, text_of

FIELD = r"r\d{2,3}_c\d{2,3}"
_QUOTED = re.compile(rb'"(%s)(?=")' % FIELD.encode())
_FIELD = re.compile(FIELD, re.ASCII)
STRIDE = 64
"""Lines from one remembered start to the next."""
MOST_FILES = 32
"""Files whose places are kept; a run more and the one asked longest ago is left."""


Line = tuple[int, bytes]


class _Span(NamedTuple):
    """Lines that follow one another and name the same field."""

    first: int
    """Number of the first line, from 1."""
    lines: int
    start: int
    """Byte of the file."""
    end: int


class _Seen(NamedTuple):
    """What tells that a file is the one that was read, and still begins with that."""

    device: int
    inode: int
    size: int
    """Bytes of the whole file, a torn line too."""
    changed_ns: int
    head: bytes
    tail: bytes
    """The first line, and the last one that was acknowledged."""


class LineIndex:
    """Places of the lines of one file, by number and by the field that they name.

    What is written over in place, to the byte as long as it was, in a file that grew
    between the same two questions, may go unseen. Nothing here writes so, and `her2sr
    verify` reads every line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._spans: dict[bytes, list[_Span]] = {}
        self._starts: list[int] = []
        self._end = self._count = 0
        self._seen: _Seen | None = None

    def lines(self, field: str) -> list[Line]:
        """Return acknowledged lines that name a field, with numbers from 1."""
        return self._asked(partial(self._naming, name=field.encode()))

    def after(self, number: int, most: int) -> list[Line]:
        """Return at most so many acknowledged lines after one, numbered from 1."""
        return self._asked(partial(self._following, number=number, most=most))

    def _asked(self, look: Callable[[BinaryIO], list[Line] | None]) -> list[Line]:
        with self._lock:
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                self._forget()
                return []
            with file:
                self._read_on(file)
                found = look(file)
                if found is None:  # it was written over where nothing is ever changed
                    self._forget()
                    self._read_on(file)
                    found = look(file)
                return found or []

    def _following(self, file: BinaryIO, *, number: int, most: int) -> list[Line]:
        if number >= self._count:
            return []
        file.seek(self._starts[number // STRIDE])
        skipped = number % STRIDE
        lines = islice(acknowledged(file), skipped, skipped + most)
        return list(enumerate(lines, start=number + 1))

    def _naming(self, file: BinaryIO, *, name: bytes) -> list[Line] | None:
        """Return the lines; None where a place does not hold what it held."""
        found: list[Line] = []
        for span in self._spans.get(name, ()):
            file.seek(span.start)
            data = file.read(span.end - span.start)
            lines = list(BytesIO(data))  # `splitlines` would cut at more than newlines
            if len(lines) != span.lines or not data.endswith(b"\n"):
                return None
            if not all(b'"%s"' % name in line for line in lines):
                return None
            found += enumerate(lines, start=span.first)
        return found

    def _read_on(self, file: BinaryIO) -> None:
        """Take in what was appended, or the whole file where it is another one."""
        if not self._goes_on(file):
            self._forget()
        file.seek(self._end)
        head, tail = (self._seen.head, self._seen.tail) if self._seen else (b"", b"")
        for data in acknowledged(file):
            self._take(data)
            head, tail = head or data, data
        now = os.fstat(file.fileno())
        self._seen = _Seen(
            now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, head, tail
        )

    def _goes_on(self, file: BinaryIO) -> bool:
        """Return whether the file begins with what was read of it."""
        seen, now = self._seen, os.fstat(file.fileno())
        if seen is None or (seen.device, seen.inode) != (now.st_dev, now.st_ino):
            return False
        if now.st_size == seen.size and now.st_mtime_ns != seen.changed_ns:
            return False
        file.seek(0)
        if file.read(len(seen.head)) != seen.head:
            return False
        file.seek(self._end - len(seen.tail))
        return file.read(len(seen.tail)) == seen.tail  # also of a file that was cut

    def _take(self, data: bytes) -> None:
        start = self._end
        if self._count % STRIDE == 0:
            self._starts.append(start)
        self._end += len(data)
        self._count += 1
        for name in set(_QUOTED.findall(data)):
            spans = self._spans.setdefault(name, [])
            if spans and spans[-1].end == start:
                last = spans.pop()
                spans.append(last._replace(lines=last.lines + 1, end=self._end))
            else:
                spans.append(_Span(self._count, 1, start, self._end))

    def _forget(self) -> None:
        self._spans.clear()
        self._starts.clear()
        self._end = self._count = 0
        self._seen = None


def lines_naming(path: Path, field: str) -> Iterator[tuple[int, str]]:
    """Yield what ``numbered_lines(path, having='"FIELD"')`` yields, and raise as it.

    The cost is that of the lines found and of those that are new since the last call
    in this process, whatever the file's length. Safe from any thread.
    """
    if _FIELD.fullmatch(field) is None:  # none that places are kept for
        yield from numbered_lines(path, having=f'"{field}"')
        return
    for number, data in _index_of(path.absolute()).lines(field):
        yield number, text_of(path, number, data)


def lines_after(path: Path, number: int, most: int) -> list[tuple[int, str]]:
    """Return at most so many acknowledged lines after one, numbered from 1.

    Raises `IntegrityError` for one of them that is no text. The cost is that of the
    lines found and of those that are new since the last call in this process.
    """
    found = _index_of(path.absolute()).after(number, most)
    return [(at, text_of(path, at, data)) for at, data in found]


@lru_cache(maxsize=MOST_FILES)
def _index_of(path: Path) -> LineIndex:
    return LineIndex(path)
