"""A case's record on disk: read whole, extended one durable line at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from her2sr_proc.errors import StateError, WriteError
from her2sr_proc.schema.case import NAMED, Act, Identity
from her2sr_proc.scoring import record
from her2sr_proc.scoring.case import Case
from her2sr_proc.store.lines import LineWriter, read_lines
from her2sr_proc.store.locks import try_lock_or_trust

Clock = Callable[[], str]
"""Returns the present as ISO 8601 in UTC."""


PATIENCE_S = 60.0
"""How long a command waits for another that works on the record."""
LOOK_S = 0.02


@contextmanager
def alone(
    path: Path,
    *,
    within_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Wait until nobody else, in any process, works on a record; then hold it.

    What is read and added inside follows from what was there. It is the folder above
    that of the record that is locked: it is there before the first line is. Raises
    `StateError` where another one does not let go within ``within_s`` seconds.
    """
    place = path.absolute().parent.parent
    while not place.is_dir():
        place = place.parent
    descriptor = os.open(place, os.O_RDONLY)
    try:
        deadline = clock() + within_s
        while not try_lock_or_trust(descriptor, fcntl.LOCK_EX):
            if clock() >= deadline:
                raise StateError(
                    f"another program has held {path.name} of {place.name} for "
                    f"{within_s:g} s; end it if it hangs, and try again"
                )
            sleep(LOOK_S)
        yield
    finally:
        os.close(descriptor)


class CaseFile:
    """The record of one case, for one writer at a time (see `alone`).

    A second writer would break the chain, and the next reading says so.
    """

    def __init__(self, path: Path, utc: Clock) -> None:
        self._path = path
        self._utc = utc
        self._record = record.read(read_lines(path))

    @property
    def case(self) -> Case:
        """Where the case stands."""
        return self._record.case

    @property
    def head(self) -> str:
        """SHA-256 of the last line: printed elsewhere, it shows a cut tail."""
        return self._record.head

    def add(
        self, act: Act, *, by: str, reason: str = "", identity: Identity = NAMED
    ) -> Case:
        """Return once the act is on disk; an act that is refused leaves no line."""
        if record.read(read_lines(self._path)).head != self._record.head:
            raise StateError(
                f"{self._path.name} was extended by somebody else meanwhile; look at "
                f"the case again"
            )
        found, line = record.add(
            self._record,
            act,
            by=by,
            utc=self._utc(),
            reason=reason,
            identity=identity,
        )
        try:
            with LineWriter(self._path) as file:
                file.append(line)
        except OSError as exc:
            raise WriteError(
                f"{self._path} cannot be written ({exc.strerror}); the act was not "
                f"recorded"
            ) from exc
        self._record = found
        return found.case


def read_case(path: Path) -> Case:
    """Return where a record leads; an open case where there is none."""
    return record.read(read_lines(path)).case
