"""A power cut, without one: what the disk holds for certain, and rubbish for the rest.

Every fsync of this process is noted with what it forced: the content of a file, or the
names in a folder. The torn copy has that much, and of what came later a part, zeros or
nothing, by chance. SQLite forces its files by itself, unseen; they are copied as they
are.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DATABASE = "her2sr.db"
QUIET_S = 0.02
"""By then whoever writes waits for the next fsync to be let through."""


@dataclass
class Platter:
    """What was forced to disk so far."""

    force: Callable[[int], None]
    contents: dict[int, bytes] = field(default_factory=dict)
    """Inode -> the bytes that its last fsync forced."""
    names: dict[str, frozenset[str]] = field(default_factory=dict)
    """Folder -> the names that its last fsync forced."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fsync(self, descriptor: int) -> None:
        """Force as ever, and remember what."""
        with self.lock:
            self.force(descriptor)
            self._remember(descriptor)

    def cut(self, source: Path, target: Path, chance: random.Random) -> None:
        """Copy a folder as a power cut now would leave it."""
        with self.lock:
            time.sleep(QUIET_S)
            self._tear(source, target, chance)

    def _remember(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self.names[os.readlink(f"/proc/self/fd/{descriptor}")] = frozenset(
                os.listdir(descriptor)
            )
            return
        with open(f"/proc/self/fd/{descriptor}", "rb") as file:
            self.contents[found.st_ino] = file.read()

    def _tear(self, source: Path, target: Path, chance: random.Random) -> None:
        target.mkdir()
        forced = self.names.get(str(source), frozenset())
        for path in sorted(source.iterdir()):
            if path.name.startswith(DATABASE):
                shutil.copy(path, target / path.name)
            elif path.name not in forced and chance.random() < 0.5:
                continue  # a name that was never forced may be there or not
            elif path.is_dir():
                self._tear(path, target / path.name, chance)
            elif path.is_file():
                (target / path.name).write_bytes(self._torn(path, chance))

    def _torn(self, path: Path, chance: random.Random) -> bytes:
        now = path.read_bytes()
        certain = self.contents.get(path.stat().st_ino, b"")
        rest = now[len(certain) :]
        kept = chance.randint(0, len(rest))
        zeros = chance.choice([0, len(rest) - kept])
        return certain + rest[:kept] + bytes(zeros)


@contextmanager
def platter(set_fsync: Callable[[Callable[[int], None]], None]) -> Iterator[Platter]:
    """Note every fsync of this process; ``set_fsync`` puts another in its place."""
    force = os.fsync
    disk = Platter(force)
    set_fsync(disk.fsync)
    try:
        yield disk
    finally:
        set_fsync(force)
