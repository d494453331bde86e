"""Large files written and read back past the system's memory, where a disk allows it.

A night's frames do not fit into memory and are seldom read again soon; putting them
there took a third of a core at full rate, twelve times what a direct write takes. Read
back directly, bytes come from the disk and not from that memory. Knows files and bytes.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import local
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from her2sr_proc.store.atomic import write_all

ALIGNED = 4096
"""Bytes to whose multiples disks want places and lengths; pages of memory are."""
PIECE = 2**23
LEAST = 2**20
"""Bytes below which a file goes by the system's memory, where so few cost nothing."""
DIRECT = getattr(os, "O_DIRECT", 0)
"""Zero on systems without it: there all goes by their memory."""
REFUSED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What a disk says that does not do it, when a file is opened, written or read."""

WORD = 8
U8 = npt.NDArray[np.uint8]
Answer = TypeVar("Answer")


class _Room(local):
    """An aligned piece of memory of every thread that needs one, taken once.

    Private: a forked child would else write through the same piece as its parent.
    """

    _piece: mmap.mmap | None = None

    def piece(self) -> memoryview:
        """Return the piece of the thread that asks."""
        if self._piece is None:
            self._piece = mmap.mmap(-1, PIECE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            # the disk looks pages up one by one: fewer, larger ones
            with suppress(AttributeError, OSError):
                self._piece.madvise(mmap.MADV_HUGEPAGE)
        return memoryview(self._piece)


_room = _Room()


def write_new(path: Path, data: memoryview) -> None:
    """Write a file of exactly ``data`` and force it to disk. Raises `OSError`."""

    def write(flag: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flag
        descriptor = os.open(path, flags, 0o644)
        try:
            if flag:
                _write_pieces(descriptor, data)
            else:
                write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    _directly_if_allowed(write, len(data))


def is_same(path: Path, offset: int, wanted: memoryview) -> bool:
    """Return whether a file holds some bytes at a place, by reading it.

    A large file is read from its disk where that allows it, if from its begin; else
    maybe from the system's memory. Raises `OSError`.
    """

    def compare(flag: int) -> bool:
        descriptor = os.open(path, os.O_RDONLY | flag)
        try:
            return _is_same(descriptor, offset, wanted)
        finally:
            os.close(descriptor)

    return _directly_if_allowed(compare, len(wanted) if offset == 0 else 0)


def _directly_if_allowed(step: Callable[[int], Answer], size: int) -> Answer:
    if DIRECT and size >= LEAST:
        try:
            return step(DIRECT)
        except OSError as exc:
            if exc.errno not in REFUSED:
                raise
    return step(0)


def _write_pieces(descriptor: int, data: memoryview) -> None:
    """Write data piece by piece, the last one filled up to an aligned length.

    What fills it up is cut off again.
    """
    room = _room.piece()
    for begin in range(0, len(data), PIECE):
        part = data[begin : begin + PIECE]
        room[: len(part)] = part
        write_all(descriptor, room[: -(-len(part) // ALIGNED) * ALIGNED])
    os.ftruncate(descriptor, len(data))


def _is_same(descriptor: int, offset: int, wanted: memoryview) -> bool:
    room = _room.piece()
    found, expected = np.frombuffer(room, np.uint8), np.frombuffer(wanted, np.uint8)
    done = 0
    while done < expected.size:
        # whole pieces, since a direct read wants aligned lengths; the end is shorter
        count = os.preadv(descriptor, [room], offset + done)
        count = min(count, expected.size - done)
        same = _are_equal(found[:count], expected[done : done + count])
        if count == 0 or not same:
            return False
        done += count
    return True


def _are_equal(left: U8, right: U8) -> bool:
    """Compare eight bytes at a time: numpy notes an answer for each comparison."""
    whole = left.size // WORD * WORD
    words = left[:whole].view(np.uint64), right[:whole].view(np.uint64)
    return np.array_equal(*words) and np.array_equal(left[whole:], right[whole:])
