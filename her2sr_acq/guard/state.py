"""What the guard knows of the moment: its acq, an order given, light being put out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal

from her2sr_acq.guard.messages import Beat, EStop, Stopped, clip
from her2sr_acq.guard.post import Caller
from her2sr_acq.guard.records import Records
from her2sr_acq.guard.vigil import Vigil

log = logging.getLogger(__name__)

TripKind = Literal["start", "crash", "silence", "light", "estop", "end"]
Asked = list[tuple[Caller, EStop]]
"""E-stops that wait for the proof of darkness."""


@dataclass(slots=True)
class Trip:
    """Light that is being put out, until it is proven off."""

    kind: TripKind
    reason: str
    since: float
    next_try: float = 0.0
    doubt: str = "not tried yet"
    is_long: bool = False
    asked: Asked = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """Acq was told to go dark and has a moment to obey."""

    since: float
    asked: Asked


@dataclass(slots=True)
class State:
    """Changed by the guard's one thread alone."""

    vigil: Vigil
    link: Caller | None = None
    """The connection of acq."""
    beat: Beat = field(default_factory=lambda: Beat(progress=0))
    trip: Trip | None = None
    order: Order | None = None
    start_at: float | None = None
    """When acq is to be started; None: it was."""
    end_by: float | None = None
    """Until when acq may take to end; None: nobody asked the guard to end."""

    @property
    def is_connected(self) -> bool:
        """Whether acq can be told something."""
        return self.link is not None and not self.link.is_gone

    def begin_trip(self, kind: TripKind, reason: str, now: float) -> Trip:
        """Begin to put the light out, if that has not begun; return the trip.

        An order that acq has not obeyed yet goes into it.
        """
        if self.trip is None:
            if kind not in ("start", "end"):
                log.warning("the light is put out: %s", reason)
            self.trip = Trip(kind, reason, now)
        if self.order is not None:
            self.trip.since = min(self.trip.since, self.order.since)
            self.trip.asked += self.order.asked
            self.order = None
        return self.trip


def answer(asked: Asked, records: Records, *, seconds: float, doubt: str) -> None:
    """Answer e-stops and account for them; ``doubt`` says why it may not be dark."""
    for caller, order in asked:
        caller.send(Stopped(dark=not doubt, seconds=seconds, doubt=clip(doubt)))
        proof = f"; not proven dark: {doubt}" if doubt else ""
        records.note("estop", by=order.by, reason=order.reason + proof, seconds=seconds)
