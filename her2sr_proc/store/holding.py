"""One writer at a time for a folder or a file, in whichever process.

For what is made as a whole by one call, such as a copy. Raw frames have many readers
and writers at once, and one who rewrites them waits for those: see `raw_hold`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from her2sr_proc.errors import StateError
from her2sr_proc.store.locks import try_lock_or_trust


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold what stands at a path, which leaves nothing there, not after a kill either.

    Shares that know no locks are written without one. Raises `StateError` at once when
    another call holds it, `OSError` when it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not try_lock_or_trust(descriptor, fcntl.LOCK_EX):
            raise StateError(
                f"another call is at work on {path}; wait for its end, or stop it"
            )
        yield
    finally:
        os.close(descriptor)


def try_hold(descriptor: int) -> bool:
    """Lock what is open for one, at once; return False where another has it.

    True, without a lock, on a share that knows none: NFS locks nothing that is open for
    reading alone, and without its lock service nothing at all.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sweep(folder: Path) -> None:
    """Remove what killed calls left half-written in a folder that is held."""
    for left in folder.glob(".*.partial-*"):
        with suppress(OSError):
            left.unlink()
