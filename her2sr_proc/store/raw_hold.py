"""Who touches the raw frames of a run: many who add or read, or one who rewrites.

The lock is the kernel's, on the ledger: it leaves nothing behind, and whoever was
killed has let go. Shares that know no locks are used without one. What has only ever
one writer is held by the simpler `holding`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from her2sr_proc.errors import StateError
from her2sr_proc.store.atomic import make_folder
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.locks import try_lock_or_trust

PATIENCE_S = 3.0
"""How long a call waits: whoever codes frames anew in idle hours lets others in by
then."""
POLL_S = 0.05
GAP_S = 0.15
"""How long such a one stands aside: longer than others sleep between two looks."""
LOCKS = Path("/proc/locks")


class RawHold:
    """The right to the raw frames of a run, as a context manager.

    One of many who read them or add to them, or ``alone``, who rewrites or removes.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        alone: bool = False,
        making: bool = False,
        patience_s: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is held. ``making``: make the ledger of a new run."""
        self._run = run
        self._kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        self._making = making
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._sleep = sleep
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the frames. Raises `StateError` when others have them to the end."""
        self._descriptor = self._open()
        try:
            self._take(self._kind, self._patience_s)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the frames alone for a while, then again as one of many.

        Raises `StateError` when others read them; then nothing was done.
        """
        try:
            self._take(fcntl.LOCK_EX, self._patience_s)
            yield
        finally:
            # nobody rewrites a run that is not over: whoever came between goes at once
            self._take(fcntl.LOCK_SH, self._patience_s)

    def stand_aside(self) -> None:
        """Let go for a moment in which whoever waits comes in.

        Raises `StateError` when somebody did, or changed the ledger meanwhile.
        """
        if self._descriptor < 0:
            return
        before = os.fstat(self._descriptor).st_size
        with suppress(OSError):  # a share that knows no locks
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._sleep(GAP_S)
        self._take(self._kind, 0.0)
        if os.fstat(self._descriptor).st_size != before:
            raise self._refusal()

    def _open(self) -> int:
        ledger = self._run.ledger
        if self._making:
            make_folder(ledger.parent)
            return os.open(ledger, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            return os.open(ledger, os.O_RDWR)  # NFS locks what is open for writing
        except FileNotFoundError:
            return -1  # no ledger, no frames that anybody knows of
        except OSError:
            return os.open(ledger, os.O_RDONLY)

    def _take(self, kind: int, within_s: float) -> None:
        looks = 1 + round(within_s / POLL_S)
        for look in range(looks):
            if self._try(kind):
                return
            if look < looks - 1:
                self._sleep(POLL_S)
        raise self._refusal()

    def _try(self, kind: int) -> bool:
        return self._descriptor < 0 or try_lock_or_trust(self._descriptor, kind)

    def _refusal(self) -> StateError:
        pid = _other(self._descriptor)
        who = f" (process {pid})" if pid else ""
        return StateError(
            f"another call is at work on the raw frames of {self._run.name}{who}; wait "
            f"for its end, or stop it"
        )

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _other(descriptor: int) -> int:
    """Return the process that has locked an open file, as Linux tells; 0: unknown."""
    inode = os.fstat(descriptor).st_ino
    try:
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        words = line.split()
        if "FLOCK" in words and any(word.endswith(f":{inode}") for word in words):
            pid = next((int(word) for word in words[2:] if word.isdigit()), 0)
            if pid != os.getpid():
                return pid
    return 0
