"""One guard for a data folder, and what to do with the acq of one that died.

The lock dies with its guard; the text in it tells the next guard which acq was left,
and whoever wants the light out where to ask.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from her2sr_acq.errors import AcqError, RunConflictError
from her2sr_acq.ownership import holder, try_own
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

GUARDED = "--guarded"
WORD_BYTES, PLACE_BYTES = 16, 128
"""Of the lock's text: the number of acq, then the runtime folder. They have always this
length, so that they never need new room."""
ORDERLY_S = 3.0
"""An acq whose guard died is dark at once and ends by itself; then it is ended."""
KILLED_S = 1.0
PAUSE_S = 0.05


class GuardHold:
    """Keeps a data folder for one guard, from enter to exit."""

    def __init__(self, data: Path, runtime: Path) -> None:
        self._data = data
        self._runtime = runtime
        self._path = DataFolder(data).guard
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the folder. Raises `RunConflictError` when another guard has it.

        Raises `ConfigError` where the file system knows no locks.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not try_own(self._path, self._descriptor, fcntl.LOCK_EX):
                raise RunConflictError(
                    f"{self._data} is held by another guard; use its service, stop it, "
                    f"or choose another data folder"
                )
        except AcqError:
            os.close(self._descriptor)
            raise
        if os.fstat(self._descriptor).st_size == 0:
            self._write("")  # takes its place on the disk now, while there is some
        self._write_place()
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")
        os.close(self._descriptor)

    def note_acq(self, pid: int) -> None:
        """Leave word of which acq is ours; without, it is looked for by its command."""
        self._write(str(pid))

    def _write(self, word: str) -> None:
        """Replace the word; a full disk is no reason to leave acq unguarded."""
        try:
            os.pwrite(self._descriptor, word.ljust(WORD_BYTES).encode(), 0)
        except OSError as exc:
            log.warning("the number of acq cannot be written down: %s", exc)

    def _write_place(self) -> None:
        place = os.fsencode(self._runtime).ljust(PLACE_BYTES)
        try:
            os.pwrite(self._descriptor, place, WORD_BYTES)
        except OSError as exc:
            log.warning("where the guard can be asked cannot be written down: %s", exc)

    def end_leftover(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Return once no acq of a dead guard is left.

        Raises `RunConflictError` when somebody without a guard holds the folder.
        """
        left = leftover(self._data)
        deadline = clock() + ORDERLY_S
        while left is not None and _is_ours(left, self._data) and clock() < deadline:
            sleep(PAUSE_S)
        if left is not None and _is_ours(left, self._data):
            end(left, clock=clock, sleep=sleep)
        if (owner := holder(self._data)) is not None:
            raise RunConflictError(
                f"{self._data} is held by process {owner.pid}, which has no guard; "
                f"stop it, or choose another data folder",
                pid=owner.pid,
            )


def leftover(data: Path) -> int | None:
    """Return the acq that a guard of this folder has last started, if it lives."""
    try:
        pid = int(DataFolder(data).guard.read_bytes()[:WORD_BYTES])
    except (OSError, ValueError):
        return next((pid for pid in psutil.pids() if _is_ours(pid, data)), None)
    return pid if _is_ours(pid, data) else None


def last_runtime(data: Path) -> Path | None:
    """Return the runtime folder of this folder's guard, or of the last one it had.

    None where none has left word of it, or the folder is gone.
    """
    try:
        word = DataFolder(data).guard.read_bytes()[WORD_BYTES:].strip()
    except OSError:
        return None
    place = Path(os.fsdecode(word))
    return place if word and place.is_dir() else None


def end(
    pid: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Kill a process and wait a moment until the kernel has closed its ports."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = clock() + KILLED_S
    while _is_running(pid) and clock() < deadline:
        sleep(PAUSE_S / 10)


def _is_running(pid: int) -> bool:
    """Whether any of its threads lives: the last one closes the ports and the locks."""
    try:
        process = psutil.Process(pid)
        is_dead = process.status() == psutil.STATUS_ZOMBIE
        return bool(not is_dead or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def _is_ours(pid: int, data: Path) -> bool:
    """Whether it is an acq of this folder, and not a later process of that number."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return GUARDED in words and str(data) in words
