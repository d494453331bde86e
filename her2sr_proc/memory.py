"""Freed memory kept for the next block, where the C library can be asked to.

A block of full frames has 67 MB. glibc asks the system anew for each so large piece and
gives it back at once: the system then clears 16,384 pages, one fault each, wherever a
block is compressed, sent, received or decoded. At full rate that was a third of a core,
and on a virtual machine, whose host must find each page first, more.
"""

from __future__ import annotations

import ctypes
import platform
from typing import Final

TRIM_THRESHOLD: Final = -1
MMAP_MAX: Final = -4
ARENA_MAX: Final = -8
"""Parameters of ``mallopt``, by glibc's ``malloc.h``."""
ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}
"""What a process is to be started with: a library that starts threads while it is
imported, as numpy's does, has then given them no heap of their own, which later
threads would share. Blocks do not fit into such a heap and are mapped anew each."""
KEPT_BYTES = 2**30
"""What may lie unused at the end before it is given back: more than the blocks that are
under way at once, less than what closing a large unit takes for a moment."""


def keep_freed_memory() -> bool:
    """Let this process use its freed memory again; return whether that was granted.

    Of long-running processes through which blocks pass; to be called before they start
    threads, where `ENVIRONMENT` was not there at their start. All memory then comes
    from one heap: pieces of any size lie in it, none is mapped by itself. Other C
    libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # larger pieces than a thread's own heap can hold would be mapped again
    asked = ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, KEPT_BYTES))
    granted = [mallopt(what, value) == 1 for what, value in asked]
    return all(granted)


def give_back_freed_memory() -> None:
    """Return to the system what is freed, wherever it lies between pieces in use.

    After work that was large for once: kept memory that small pieces break up would
    else grow from unit to unit. Takes milliseconds; other C libraries keep nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
