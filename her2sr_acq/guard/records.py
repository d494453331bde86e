"""What outlives the guard: the latch, and the account of everything about safety.

Writing waits until it is dark, since a slow disk must not delay the next look. A full
disk does not lift a latch: it is kept in memory.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from her2sr_acq.guard.ports import LatchKind
from her2sr_proc.schema.model import Frozen
from her2sr_proc.store.atomic import sync_folder, write_text
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.lines import LineWriter

log = logging.getLogger(__name__)

MAX_WAITING = 1000
RETRY_S = 1.0


class Latch(Frozen):
    """Why no light is permitted."""

    version: Literal[1] = 1
    kind: LatchKind
    cause: str
    by: str
    utc: str

    @property
    def sentence(self) -> str:
        """What is told to whoever asks for light."""
        return f"{self.kind}: {self.cause}; look at the microscope, then rearm"


class Records:
    """The latch of one data folder, and its safety log."""

    def __init__(
        self,
        data: DataFolder,
        *,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = data
        self._utc = utc
        self._clock = clock
        self._retry_at = 0.0
        self._latch = _read(data)
        self._is_written = True
        self._lines: list[str] = []

    @property
    def latched(self) -> str:
        """The latch as a sentence; empty: there is none."""
        return self._latch.sentence if self._latch else ""

    def refresh(self) -> None:
        """Heed a latch that an e-stop wrote while this guard did not answer."""
        if self._latch is None and self._is_written:
            self._latch = _read(self._data)

    def set_latch(self, kind: LatchKind, cause: str, *, by: str) -> None:
        """Latch; the first cause stays, a later one is only accounted for."""
        if self._latch is None:
            self._latch = Latch(kind=kind, cause=cause, by=by, utc=self._stamp())
            self._is_written = False
        self.note("latch", by=by, reason=f"{kind}: {cause}")

    def lift(self, *, by: str, reason: str) -> None:
        """Take the latch back on a person's word."""
        self._latch = None
        self._is_written = False
        self.note("rearm", by=by, reason=reason)

    def note(
        self, kind: str, *, by: str, reason: str, seconds: float | None = None
    ) -> None:
        """Account for something; ``seconds`` is how long it took to be dark."""
        line: dict[str, str | float] = {
            "utc": self._stamp(),
            "kind": kind,
            "by": by,
            "reason": reason,
        }
        if seconds is not None:
            line["seconds_to_dark"] = round(seconds, 3)
        log.info("%s by %s: %s", kind, by, reason)
        if len(self._lines) < MAX_WAITING:
            self._lines.append(json.dumps(line))

    def write(self) -> None:
        """Bring everything to the disk; what does not go is tried again later."""
        if (self._is_written and not self._lines) or self._clock() < self._retry_at:
            return
        try:
            self._write()
        except OSError as exc:
            log.warning("the safety log cannot be written now: %s", exc)
            self._retry_at = self._clock() + RETRY_S

    def _write(self) -> None:
        if not self._is_written:
            if self._latch is None:
                self._data.latch.unlink(missing_ok=True)
                sync_folder(self._data.root)
            else:
                write_text(self._data.latch, self._latch.model_dump_json(indent=2))
            self._is_written = True
        if self._lines:
            with LineWriter(self._data.safety) as writer:
                while self._lines:
                    writer.append(self._lines[0])
                    self._lines.pop(0)

    def _stamp(self) -> str:
        return self._utc().isoformat(timespec="milliseconds")


def _read(data: DataFolder) -> Latch | None:
    try:
        return Latch.model_validate_json(data.latch.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, UnicodeDecodeError) as exc:
        cause = f"{data.latch.name} cannot be read ({type(exc).__name__})"
        return Latch(kind="fault", cause=cause, by="guard", utc="")
