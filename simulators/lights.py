"""The laser lines of the simulated microscope and how long they were lit.

Lives in the microscope process, so that the light can be seen after its controller is
gone. Knows nothing of the specimen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simulators.history import History
from simulators.protocol import LightState

LINES_NM = (405, 488, 561)


class LightFaults(Protocol):
    """What can be wrong with the light itself, whoever commands it."""

    def is_stuck(self, nm: int) -> bool:
        """Return whether a line cannot be shut."""
        ...

    def has_laser_fault(self, nm: int) -> bool:
        """Return whether a laser reports a fault."""
        ...

    def is_open(self) -> bool:
        """Return whether the interlock is open."""
        ...

    def is_mute(self) -> bool:
        """Return whether the port neither obeys nor answers."""
        ...

    def share_of(self, nm: int) -> float:
        """Return how much of its set point a line emits, 1: all of it."""
        ...


class Sound:
    """Nothing is wrong."""

    def is_stuck(self, nm: int) -> bool:
        """Say no."""
        return False

    def has_laser_fault(self, nm: int) -> bool:
        """Say no."""
        return False

    def is_open(self) -> bool:
        """Say no."""
        return False

    def is_mute(self) -> bool:
        """Say no."""
        return False

    def share_of(self, nm: int) -> float:
        """Say all of it."""
        return 1.0


@dataclass(slots=True)
class _Line:
    percent: float = 0.0
    is_on: bool = False
    on_since: float = 0.0
    lit_s: float = 0.0


class Lights:
    """Three lines; dark at the start. May be used from any thread."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        before_change: Callable[[], None] = lambda: None,
        lines_nm: tuple[int, ...] = LINES_NM,
        faults: LightFaults | None = None,
        interlock_cuts: bool = False,
    ) -> None:
        """``before_change`` is called, outside the lock, before light changes.

        ``interlock_cuts``: no line can be opened while the interlock is open.
        """
        self._clock = clock
        self.history = History(clock)
        self.faults: LightFaults = Sound() if faults is None else faults
        self._interlock_cuts = interlock_cuts
        self._before_change = before_change
        self._lines = {nm: _Line() for nm in lines_nm}
        self._lock = threading.Lock()

    @property
    def lines_nm(self) -> tuple[int, ...]:
        """Wavelengths of the lines."""
        return tuple(self._lines)

    def set_power(self, nm: int, percent: float) -> None:
        """Set the power of one line. Raises ValueError outside 0 to 100."""
        line = self._lines[nm]
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"power {percent:g} is not within 0 to 100 percent")
        self._before_change()
        with self._lock:
            line.percent = percent

    def switch(self, nm: int, *, on: bool) -> None:
        """Open or shut one line. Raises KeyError when there is none such.

        Raises ValueError where an open interlock keeps it shut.
        """
        line = self._lines[nm]
        if on and self._interlock_cuts and self.faults.is_open():
            raise ValueError("the interlock is open")
        self._before_change()
        with self._lock:
            self._switch(nm, line, on)

    def all_off(self) -> None:
        """Shut every line."""
        self._before_change()
        with self._lock:
            for nm, line in self._lines.items():
                self._switch(nm, line, False)

    def states(self) -> tuple[LightState, ...]:
        """Return every line as it is now."""
        with self._lock:
            now = self._clock()
            return tuple(
                LightState(
                    nm=nm,
                    on=line.is_on,
                    percent=line.percent,
                    lit_s=line.lit_s + (now - line.on_since if line.is_on else 0.0),
                )
                for nm, line in self._lines.items()
            )

    def describe(self, nm: int) -> str:
        """Return ``ON|OFF POW percent OUT percent``; OUT is what comes out."""
        line = self._lines[nm]
        with self._lock:
            out = line.percent if line.is_on else 0.0
            word = "ON" if line.is_on else "OFF"
            return f"{word} POW {line.percent:.3f} OUT {out:.3f}"

    def heed_interlock(self) -> None:
        """Shut every line where the interlock cuts it and has opened."""
        if self._interlock_cuts:
            self.all_off()

    def has_fault(self, nm: int) -> bool:
        """Return whether a laser reports a fault. Raises KeyError: no such line."""
        self._lines[nm]
        return self.faults.has_laser_fault(nm)

    def interlock_is_open(self) -> bool:
        """Return whether the interlock is open."""
        return self.faults.is_open()

    def is_mute(self) -> bool:
        """Return whether the port neither obeys nor answers."""
        return self.faults.is_mute()

    def _switch(self, nm: int, line: _Line, on: bool) -> None:
        if on == line.is_on or (not on and self.faults.is_stuck(nm)):
            return
        now = self._clock()
        if on:
            line.on_since = now
        else:
            line.lit_s += now - line.on_since
        line.is_on = on
        self.history.light(nm, on=on)
