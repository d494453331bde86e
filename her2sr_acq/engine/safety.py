"""The safety thread: looks at interlocks and conditions, puts the light out by itself.

It takes no lock of the engine and may call light devices during a burst. Interlocks and
laser faults are looked at 25 times a second, temperatures once a second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Self

from her2sr_acq.devices.ports import Hardware, Watch
from her2sr_acq.engine.reins import Reins
from her2sr_acq.errors import AcqError, ConditionError, DeviceError, InterlockError
from her2sr_acq.guard.ports import LatchKind, LightGuard

log = logging.getLogger(__name__)

PERIOD_S = 0.04
SLOW_S = 1.0
STALE_S = 1.5
"""An interlock that was not read for so long is as good as open."""
JOIN_S = 3.0
_FAST = ("interlock", "fault")


class Safety:
    """Owns the safety thread. Entered and left with `with`."""

    def __init__(
        self,
        hardware: Hardware,
        guard: LightGuard,
        *,
        clock: Callable[[], float],
        period_s: float = PERIOD_S,
    ) -> None:
        self._hardware = hardware
        self._guard = guard
        self._clock = clock
        self._period_s = period_s
        self._fast = [w for w in hardware.watches if w.kind in _FAST]
        self._slow = [w for w in hardware.watches if w.kind not in _FAST]
        self._troubles: dict[str, str] = {}
        self._reins: Reins | None = None
        self._read_at = self._slow_read_at = -SLOW_S
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="safety", daemon=True)

    def __enter__(self) -> Self:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(JOIN_S)

    def attach(self, reins: Reins | None) -> None:
        """Say which run is to be told; None: no run is in progress."""
        self._reins = reins

    @property
    def troubles(self) -> tuple[str, ...]:
        """What keeps light off now, one sentence each."""
        return tuple(self._troubles.values())

    def longest_wait_s(self) -> float:
        """Return how long a run may wait for what is in trouble to become good."""
        waits = [w.wait_s for w in self._slow if w.name in self._troubles]
        hopeless = any(watch.name in self._troubles for watch in self._fast)
        return 0.0 if hopeless or not waits else max(waits)

    def require(self) -> None:
        """Raise what keeps light off: an interlock, a condition, or our own silence."""
        for watch in self._fast:
            if said := self._troubles.get(watch.name):
                raise InterlockError(said, watch=watch.name)
        for watch in self._slow:
            if said := self._troubles.get(watch.name):
                raise ConditionError(said, watch=watch.name)
        self.require_watching()

    def require_watching(self) -> None:
        """Raise `InterlockError` when the interlocks have not been read of late."""
        age_s = self._clock() - self._read_at
        if self._fast and self._thread.is_alive() and age_s > STALE_S:
            raise InterlockError(
                f"the interlocks were not read for {age_s:.1f} s; check the devices "
                f"that report them"
            )

    def order_dark(self, reason: str) -> None:
        """Put the light out on somebody's order, from any thread."""
        reins = self._reins
        if reins is not None:
            reins.trip(InterlockError(reason))
        self._make_dark()

    def look(self) -> None:
        """Read what is due once, and act on it."""
        for watch in self._fast:
            if said := self._note(watch):
                self._trip(watch, said)
        self._read_at = self._clock()
        self._guard.describe(
            trouble="; ".join(
                self._troubles[watch.name]
                for watch in self._fast
                if watch.name in self._troubles
            )
        )
        if self._read_at - self._slow_read_at >= SLOW_S:
            self._slow_read_at = self._read_at
            for watch in self._slow:
                if (said := self._note(watch)) and self._reins is not None:
                    self._reins.pause(said)

    def _note(self, watch: Watch) -> str:
        said = watch.trouble()
        if said:
            if watch.name not in self._troubles:
                log.warning("%s", said)
            self._troubles[watch.name] = said
        else:
            self._troubles.pop(watch.name, None)
        return said

    def _trip(self, watch: Watch, said: str) -> None:
        """Act on an interlock while a run goes on; an idle microscope may be open."""
        reins = self._reins
        if reins is None or reins.tripped is not None:
            return
        reins.trip(InterlockError(said, watch=watch.name))
        self._make_dark()
        kind: LatchKind = "interlock" if watch.kind == "interlock" else "fault"
        self._guard.latch(kind, said)

    def _make_dark(self) -> None:
        try:
            self._hardware.dark()
        except DeviceError as exc:
            log.exception("the light is not proven off")
            self._guard.latch("light", str(exc))

    def _run(self) -> None:
        while not self._ending.wait(self._period_s):
            try:
                self.look()
            except AcqError:
                log.exception("a look at the interlocks failed")
            except Exception:  # top of a thread; stale readings keep light off
                log.exception("the safety thread stumbled")
