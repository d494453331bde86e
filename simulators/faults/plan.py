"""Decides, in the microscope's process, which call and which frame fails.

Chance comes from each fault's own seed and is asked for in the order of calls, so that
a run that asks alike fails alike.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simulators.faults.options import (
    DELAYS,
    STATES,
    FaultOptions,
    FaultyDevice,
    Strike,
)

OnInterlock = Callable[[bool, float], None]
"""Called when the interlock opens or closes, with the moment on the plan's clock."""
OnChange = Callable[[frozenset[FaultyDevice]], None]
"""Called with the devices that have to ask before they act."""


@dataclass(slots=True)
class _Armed:
    number: int
    fault: FaultOptions
    live_at: float | None
    """None: waits for its frame."""
    chance: random.Random = field(init=False)
    calls: int = 0
    strikes: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.fault.seed)

    def is_live(self, now: float) -> bool:
        """Return whether it may strike now."""
        fault = self.fault
        if self.live_at is None or now < self.live_at:
            return False
        is_over = (
            fault.duration_s is not None
            and fault.kind not in DELAYS
            and now >= self.live_at + fault.duration_s
        )
        return not is_over and not (fault.count and self.strikes >= fault.count)

    def wake(self, now: float) -> None:
        """Become live at the frame that was waited for, or take a chance to."""
        if self.fault.kind not in STATES or self._is_lucky():
            self.live_at = now

    def strike(self) -> Strike | None:
        """Take one chance."""
        fault = self.fault
        if not self._is_lucky():
            return None
        self.strikes += 1
        return Strike(
            number=self.number,
            kind=fault.kind,
            duration_s=fault.duration_s,
            value=fault.value,
            holds_gil=fault.holds_gil,
        )

    def _is_lucky(self) -> bool:
        chance = self.fault.probability
        return chance >= 1.0 or self.chance.random() < chance


class FaultPlan:
    """All faults that are planned. May be asked from any thread."""

    def __init__(
        self,
        faults: Iterable[FaultOptions] = (),
        *,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._on_interlock: OnInterlock = lambda _open, _at: None
        self._on_change: OnChange = lambda _devices: None
        self._lock = threading.RLock()
        self._armed: list[_Armed] = []
        self._numbers = 0
        self._was_open = False
        for fault in faults:
            self.inject(fault)

    def connect(self, *, on_interlock: OnInterlock, on_change: OnChange) -> None:
        """Say whom to tell. Before the first fault is injected."""
        self._on_interlock, self._on_change = on_interlock, on_change

    def inject(self, fault: FaultOptions) -> int:
        """Plan one more fault; return its number."""
        with self._lock:
            live_at = self._clock() + (fault.after_s or 0.0)
            self._numbers += 1
            armed = _Armed(
                self._numbers, fault, None if fault.waits_for_frame else live_at
            )
            self._armed = [*self._armed, armed]
            self._tell()
            self.look()
            return self._numbers

    def heal(self, device: FaultyDevice | None = None) -> int:
        """Forget the faults of one device, or all; return how many those were."""
        with self._lock:
            kept = [a for a in self._armed if device and a.fault.device != device]
            healed = len(self._armed) - len(kept)
            self._armed = kept
            self._tell()
            self.look()
            return healed

    def is_armed(self, number: int) -> bool:
        """Return whether a fault has not been healed."""
        return any(armed.number == number for armed in self._armed)

    def call(self, device: FaultyDevice, operation: str) -> Strike | None:
        """Return what befalls one call of a device; None: nothing."""
        with self._lock:
            now = self._clock()
            for armed in self._armed:
                fault = armed.fault
                if fault.device != device or fault.is_of_frames:
                    continue
                if not armed.is_live(now) or not _suits(armed, operation):
                    continue
                armed.calls += 1
                if armed.calls < fault.at_call:
                    continue
                if (strike := armed.strike()) is not None:
                    return strike
            return None

    def frame(self, burst: int, frame: int) -> Strike | None:
        """Return what befalls one frame of the camera; wake what waits for it."""
        if not self._armed:
            return None
        with self._lock:
            now, found = self._clock(), None
            for armed in self._armed:
                if not _is_reached(armed.fault, burst, frame):
                    continue
                if armed.live_at is None:
                    armed.wake(now)
                elif found is None and armed.fault.is_of_frames and armed.is_live(now):
                    found = armed.strike()
            self.look()
            return found

    def is_stuck(self, nm: int) -> bool:
        """Return whether a line of light cannot be shut."""
        return self._any("stuck", nm)

    def has_laser_fault(self, nm: int) -> bool:
        """Return whether a laser reports a fault."""
        return self._any("fault", nm)

    def share_of(self, nm: int) -> float:
        """Return how much of its set point a line emits."""
        now = self._clock()
        shares = [
            float(armed.fault.value)
            for armed in self._armed
            if armed.fault.kind == "weak"
            and armed.fault.nm in (None, nm)
            and armed.fault.value is not None
            and armed.is_live(now)
        ]
        return min(shares, default=1.0)

    def is_mute(self) -> bool:
        """Return whether the light port neither obeys nor answers."""
        return self._any("mute", None)

    def is_open(self) -> bool:
        """Return whether the interlock is open, having told so if that is new."""
        self.look()
        return self._was_open

    @property
    def is_pending(self) -> bool:
        """Whether `look` should be called soon: an interlock's time may come."""
        return any(a.fault.kind == "open" for a in self._armed)

    def look(self) -> None:
        """Tell of an interlock that has opened or closed since the last look."""
        with self._lock:
            now = self._clock()
            live = [a for a in self._armed if a.fault.kind == "open" and a.is_live(now)]
            if bool(live) == self._was_open:
                return
            self._was_open = bool(live)
            since = min((a.live_at for a in live if a.live_at is not None), default=now)
            self._on_interlock(self._was_open, since)

    def _any(self, kind: str, nm: int | None) -> bool:
        if not self._armed:
            return False
        now = self._clock()
        return any(
            armed.fault.kind == kind
            and armed.fault.device == "laser"
            and (nm is None or armed.fault.nm in (None, nm))
            and armed.is_live(now)
            for armed in self._armed
        )

    def _tell(self) -> None:
        faults = [armed.fault for armed in self._armed]
        self._on_change(frozenset(f.device for f in faults if f.is_of_calls))


def _suits(armed: _Armed, operation: str) -> bool:
    """Return whether an operation is one that the fault is about."""
    fault = armed.fault
    if fault.nm is not None and f"{fault.nm} " not in operation:
        return False
    if fault.operation:
        return operation == fault.operation
    is_setter = operation.startswith("set ") or operation == "start"
    match fault.kind:
        case "lies":
            return not is_setter and operation != "busy"
        case "stuck":
            return is_setter or (operation == "busy" and armed.strikes > 0)
        case "raises" | "late" | "hangs" if fault.device in (
            "interlock",
            "temperature",
        ):
            return True
        case "raises" | "late" | "hangs" | "lost":
            return is_setter
        case _:
            return False


def _is_reached(fault: FaultOptions, burst: int, frame: int) -> bool:
    if fault.at_burst is not None and burst != fault.at_burst:
        return False
    return frame >= (fault.at_frame or 0)
