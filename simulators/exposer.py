"""The camera head: exposes bursts into the ring, at its own pace, in its own thread."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulators.faults.options import Strike
from simulators.faults.plan import FaultPlan
from simulators.instrument import Instrument
from simulators.ring import FrameSender, RingOverflowError

log = logging.getLogger(__name__)

JOIN_S = 1.5
WAIT_S = 0.001
"""Frames that follow each other faster are sent in company: no wait is so short."""
SLICE_S = 0.02


@dataclass(frozen=True, slots=True)
class Order:
    """One burst that a camera asked for."""

    burst: int
    frames: int
    exposure_s: float
    reader: bytes


class Exposer:
    """Carries out one order at a time. `start` it once, `stop` it once."""

    def __init__(
        self,
        instrument: Instrument,
        open_sender: Callable[[], FrameSender],
        *,
        time_scale: float,
        truth: Path | None,
        clock: Callable[[], float],
        faults: FaultPlan | None = None,
    ) -> None:
        """``truth`` is rewritten after every burst."""
        self._faults = faults or FaultPlan(clock=clock)
        self._instrument = instrument
        self._open_sender = open_sender
        self._time_scale = time_scale
        self._truth = truth
        self._clock = clock
        self._changed = threading.Condition()
        self._order: Order | None = None
        self._halt = threading.Event()
        self._is_stopping = False
        self._is_over = True
        self._delivered = 0
        self.frames = 0
        """Frames exposed in the present or last burst."""
        self.overflows = 0
        """Bursts that ended because their camera was too slow or gone."""
        self.fault = ""
        self._thread = threading.Thread(target=self._run, name="exposer", daemon=True)

    @property
    def is_exposing(self) -> bool:
        """Whether frames are to come. False once the last is handed over."""
        order = self._order
        if order is None or self._is_over:
            return False
        return self._delivered < order.frames

    def start(self) -> None:
        """Begin to wait for orders."""
        self._thread.start()

    def expose(self, order: Order, *, within_s: float) -> bool:
        """Begin a burst; False when one is going on, or the head has failed.

        A burst that has ended is waited for while it writes its truth.
        """
        with self._changed:
            if self.is_exposing or self.fault:
                return False
            if not self._changed.wait_for(lambda: self._order is None, within_s):
                return False
            # Here and not in the thread: it may be long before the thread is run.
            self._instrument.seize()
            self._instrument.lights.history.burst(on=True)
            self._halt.clear()
            self.frames = self._delivered = 0
            self._order = order
            self._is_over = False
            self._changed.notify_all()
            return True

    def halt(self, *, within_s: float) -> bool:
        """End the burst after the frame in progress; return whether it has ended."""
        with self._changed:
            self._halt.set()
            return self._changed.wait_for(lambda: not self.is_exposing, within_s)

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_stopping = True
            self._halt.set()
            self._changed.notify_all()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            sender = self._open_sender()
            try:
                while (order := self._next_order()) is not None:
                    self._carry_out(order, sender)
                    if self._truth is not None:
                        self._instrument.write_truth(self._truth)
                    self._instrument.release()
                    self._settle(is_done=True)
            finally:
                sender.close()
        except Exception as exc:
            log.exception("the camera head failed")
            self.fault = f"{type(exc).__name__}: {exc}"
            self._settle(is_done=True)

    def _settle(self, *, is_done: bool) -> None:
        """Say that no frames come, and whether the next order may."""
        self._instrument.lights.history.burst(on=False)
        with self._changed:
            self._is_over = True
            if is_done:
                self._order = None
            self._changed.notify_all()

    def _next_order(self) -> Order | None:
        with self._changed:
            self._changed.wait_for(lambda: self._order is not None or self._is_stopping)
            return None if self._is_stopping else self._order

    def _carry_out(self, order: Order, sender: FrameSender) -> None:
        lost = 0
        try:
            period_s = order.exposure_s / self._time_scale
            sender.begin(
                order.burst, order.reader, batch=max(1, round(WAIT_S / period_s))
            )
            self._instrument.begin_burst(order.exposure_s)
            try:
                self._burst(order, sender)
            finally:
                self._instrument.end_burst()
        except RingOverflowError as exc:
            lost = 1
            self.overflows += 1
            log.warning("burst %d ended at frame %d: %s", order.burst, self.frames, exc)
        self._settle(is_done=False)
        try:
            sender.finish(exposed=self.frames, lost=lost)
        except RingOverflowError:
            log.debug("the camera has its frames and left burst %d", order.burst)

    def _burst(self, order: Order, sender: FrameSender) -> None:
        """Expose until as many frames are delivered as were ordered.

        A frame that is dropped counts as exposed, and another makes up for it: that is
        what a camera does that runs until its driver has what it wants.
        """
        period_s = order.exposure_s / self._time_scale
        due = self._clock()
        begun_s: float | None = None
        while self._delivered < order.frames:
            claimed = sender.claim(self._halt.is_set)
            if claimed is None or self._halt.is_set():
                return
            slot, pixels = claimed
            frame = self.frames
            t_s = self._instrument.expose(order.exposure_s, pixels, slot=slot)
            begun_s = t_s if begun_s is None else begun_s
            # A head that is behind by more than a frame does not rush to catch up.
            due = max(due + period_s, self._clock() - max(period_s, WAIT_S))
            self._pass_time(due, sender)
            strike = self._faults.frame(order.burst, frame)
            if strike is not None and strike.kind == "stall":
                sender.flush()
                self._stall(strike)
            # Counted first: who has the last frame may order the next burst.
            self.frames = frame + 1
            if strike is not None and strike.kind == "drop":
                continue
            self._delivered += 1
            heard = strike if strike is not None and strike.kind != "stall" else None
            sender.publish(frame, slot, t_s - begun_s, heard)

    def _pass_time(self, due: float, sender: FrameSender) -> None:
        """Wait for the end of an exposure, unless it is too short to be waited for."""
        left = due - self._clock()
        if left >= WAIT_S:
            sender.flush()
            self._halt.wait(left)

    def _stall(self, strike: Strike) -> None:
        """Expose nothing until the time is over, the fault healed, the burst halted."""
        until = self._clock() + (strike.duration_s or math.inf)
        while self._clock() < until and self._faults.is_armed(strike.number):
            if self._halt.wait(SLICE_S):
                return
