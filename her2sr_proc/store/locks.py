"""The kernel's locks on open files: whoever is killed has let go, nothing is left.

What a lock means, and what is said to whoever comes second, is for those who take it:
`holding`, `raw_hold` and others.
"""

from __future__ import annotations

import fcntl


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of an open file without waiting; False: another has it.

    ``kind`` is `fcntl.LOCK_EX` or `fcntl.LOCK_SH`. Raises `OSError` on a share that
    knows no locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_lock_or_trust(descriptor: int, kind: int) -> bool:
    """Take a lock as `try_lock`; on a share that knows none nobody is in the way.

    For work that is rather done without a lock than not at all, such as a copy to a
    share. NFS locks for one writer only what is open for writing.
    """
    try:
        return try_lock(descriptor, kind)
    except OSError:
        return True
