"""An onlooker's record: when light, bursts and the interlock changed.

Kept in the microscope's process, on CLOCK_MONOTONIC, which every process of a machine
shares: what a controller claims of its dark times can be held against it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen

KEPT = 20_000


class Change(Frozen):
    """Something was switched."""

    what: Literal["light", "burst", "interlock"]
    nm: int = Field(default=0, description="of the line of light; else 0")
    on: bool = Field(description="lit, exposing, or open")
    monotonic_s: float
    in_burst: bool = Field(description="whether frames were being exposed")


class LightHistory(Frozen):
    """Answer of ``light_history``."""

    now_s: float = Field(description="monotonic")
    changes: tuple[Change, ...]
    forgotten: int = Field(description="older changes that were not kept")
    lit_outside_s: float = Field(
        description="seconds with any line on and no burst in progress"
    )

    def opened_s(self) -> float | None:
        """Return when the interlock opened last; None: it never did."""
        return self._last("interlock", on=True)

    def lit_bursts(self) -> int:
        """Return in how many bursts any line was on: others show the dark alone."""
        lit: set[int] = set()
        bursts, is_exposing, is_counted = 0, False, False
        for change in self.changes:
            if change.what == "light":
                (lit.add if change.on else lit.discard)(change.nm)
            elif change.what == "burst":
                is_exposing, is_counted = change.on, False
            if is_exposing and lit and not is_counted:
                bursts, is_counted = bursts + 1, True
        return bursts

    def dark_s(self) -> float | None:
        """Return when the last line went out; None while one is on, or never was."""
        lit: set[int] = set()
        dark: float | None = None
        for change in self.changes:
            if change.what != "light":
                continue
            (lit.add if change.on else lit.discard)(change.nm)
            dark = None if lit else change.monotonic_s
        return dark

    def _last(self, what: str, *, on: bool) -> float | None:
        found = [c.monotonic_s for c in self.changes if (c.what, c.on) == (what, on)]
        return found[-1] if found else None


class History:
    """Notes changes. May be used from any thread."""

    def __init__(self, clock: Callable[[], float], *, kept: int = KEPT) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._changes: deque[Change] = deque(maxlen=kept)
        self._noted = 0
        self._lit: set[int] = set()
        self._in_burst = False
        self._since = clock()
        self._outside_s = 0.0

    def light(self, nm: int, *, on: bool) -> None:
        """Note that a line was lit or went out."""
        with self._lock:
            now = self._advance()
            (self._lit.add if on else self._lit.discard)(nm)
            self._note("light", nm, on, now)

    def burst(self, *, on: bool) -> None:
        """Note that frames begin or are over; twice the same is once."""
        with self._lock:
            if on == self._in_burst:
                return
            now = self._advance()
            self._in_burst = on
            self._note("burst", 0, on, now)

    def interlock(self, is_open: bool, at_s: float) -> None:
        """Note that the interlock opened or closed, perhaps a little ago."""
        with self._lock:
            self._note("interlock", 0, is_open, at_s)

    def report(self, since_s: float) -> LightHistory:
        """Return what changed from a moment on."""
        with self._lock:
            now = self._advance()
            return LightHistory(
                now_s=now,
                changes=tuple(c for c in self._changes if c.monotonic_s >= since_s),
                forgotten=self._noted - len(self._changes),
                lit_outside_s=self._outside_s,
            )

    def _advance(self) -> float:
        now = self._clock()
        if self._lit and not self._in_burst:
            self._outside_s += now - self._since
        self._since = now
        return now

    def _note(
        self, what: Literal["light", "burst", "interlock"], nm: int, on: bool, at: float
    ) -> None:
        self._noted += 1
        self._changes.append(
            Change(what=what, nm=nm, on=on, monotonic_s=at, in_burst=self._in_burst)
        )
