"""The laser lines of the simulated microscope and how long they were lit.

Lives in the microscope process, so that the light can be seen after its controller is
gone. Knows nothing of the specimen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from simulators.protocol import LightState

LINES_NM = (405, 488, 561)


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
    ) -> None:
        """``before_change`` is called, outside the lock, before light changes."""
        self._clock = clock
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
        """Open or shut one line. Raises KeyError when there is none such."""
        line = self._lines[nm]
        self._before_change()
        with self._lock:
            self._switch(line, on)

    def all_off(self) -> None:
        """Shut every line."""
        self._before_change()
        with self._lock:
            for line in self._lines.values():
                self._switch(line, False)

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

    def _switch(self, line: _Line, on: bool) -> None:
        now = self._clock()
        if line.is_on and not on:
            line.lit_s += now - line.on_since
        if on and not line.is_on:
            line.on_since = now
        line.is_on = on
