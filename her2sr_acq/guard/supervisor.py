"""The guard's loop: hears, judges, puts the light out, starts acq again.

One thread. Whatever blocks here has a deadline far below that of the light.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from her2sr_acq.child import WRONG_REQUEST
from her2sr_acq.errors import LightError
from her2sr_acq.guard.acq import Acq
from her2sr_acq.guard.messages import Beat
from her2sr_acq.guard.post import Post
from her2sr_acq.guard.reception import Reception
from her2sr_acq.guard.records import Records
from her2sr_acq.guard.safe import shut_all
from her2sr_acq.guard.settings import GuardSettings
from her2sr_acq.guard.state import State, Trip, TripKind, answer
from her2sr_acq.guard.vigil import Vigil

log = logging.getLogger(__name__)

TICK_S = 0.02
OBEY_S = 0.15
RETRY_S = 0.05
SLOW_RETRY_S = 0.5
DOUBT_S = 1.0
"""Light that is not proven off for so long latches; it is tried on, less often."""
START_S = 3.0
"""How long a light may take to answer before the first acq is started."""
END_S = 10.0
FINAL_S = 2.0
DONE, FAULT, UNSAFE = 0, 1, 3


class Supervisor:
    """Runs until told to end, or until acq cannot be kept alive."""

    def __init__(
        self,
        settings: GuardSettings,
        runtime: Path,
        *,
        post: Post,
        records: Records,
        acq: Acq,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._safe_off = settings.guard.safe_off
        self._runtime = runtime
        self._post = post
        self._records = records
        self._acq = acq
        self._clock = clock
        self._state = State(Vigil(settings.guard))
        self._reception = Reception(
            self._state, settings.lasers_nm, records=records, acq=acq, clock=clock
        )
        self._code: int | None = None

    def run(self, ended: threading.Event, orphaned: threading.Event) -> int:
        """Prove the light off, then keep acq alive; return the exit code.

        ``orphaned``, with ``ended``: nobody asked for the end, the starter is gone.
        """
        vigil = self._state.vigil
        vigil.start(self._clock())
        self._state.begin_trip("start", "the guard starts", self._clock())
        while self._code is None:
            packets = self._post.receive(TICK_S)
            vigil.tick(self._clock())  # first, since a permit begins now
            for caller, message in packets:
                self._reception.hear(caller, message)
            self._look(ended, orphaned)
            self._reception.tell()
            if not vigil.lit_nm:
                self._records.write()
        self._records.write()
        return self._code

    def _look(self, ended: threading.Event, orphaned: threading.Event) -> None:
        state, now = self._state, self._clock()
        if ended.is_set() and state.end_by is None:
            state.end_by = now + END_S
            if orphaned.is_set():
                self._acq.leave()
            else:
                self._acq.ask_to_end()
        if state.trip is None:
            self._judge(now)
        if state.trip is not None and now >= state.trip.next_try:
            self._try_dark(state.trip)

    def _judge(self, now: float) -> None:
        state = self._state
        if state.start_at is not None:
            self._start_when_due(now)
        elif self._acq.exit_code is not None:
            kind: TripKind = "crash" if state.end_by is None else "end"
            state.begin_trip(kind, self._acq.obituary(), now)
        elif state.order is not None and now - state.order.since > OBEY_S:
            reason = f"acq did not go dark within {OBEY_S:g} s of an e-stop"
            state.begin_trip("estop", reason, now)
        elif cause := self._distrust(now):
            state.begin_trip("silence", cause, now)

    def _distrust(self, now: float) -> str:
        """Return why acq may not go on, or nothing."""
        state = self._state
        if state.vigil.lit_nm and not state.is_connected:
            return "acq hung up with the light on"
        if state.end_by is not None and now > state.end_by:
            return f"acq did not end within {END_S:g} s"
        return state.vigil.verdict()

    def _start_when_due(self, now: float) -> None:
        state = self._state
        if state.end_by is not None:
            self._code = DONE
        elif state.start_at is not None and now >= state.start_at:
            state.start_at = None
            state.beat = Beat(progress=0)
            self._records.refresh()
            try:
                self._acq.start()
            except (
                OSError
            ) as exc:  # no memory, no process: it is dark, so there is time
                log.warning("acq cannot be started now: %s", exc)
                state.start_at = now + SLOW_RETRY_S
            state.vigil.start(now)

    def _try_dark(self, trip: Trip) -> None:
        try:
            self._secure()
        except LightError as exc:
            self._doubt(trip, str(exc))
        else:
            self._state.trip = None
            self._is_dark(trip)

    def _secure(self) -> None:
        """Try once: gate lines at once, the others when acq has let go of them."""
        gates = [way for way in self._safe_off if not way.is_shared]
        shared = [way for way in self._safe_off if way.is_shared]
        try:
            shut_all(gates, self._runtime)
        finally:  # a gate that does not answer is no reason to leave the others on
            self._acq.kill()
            if self._acq.is_alive:
                raise LightError("acq cannot be ended; switch the light off by hand")
            shut_all(shared, self._runtime)

    def _doubt(self, trip: Trip, doubt: str) -> None:
        """Take note of a failed try, and say so when it has gone on for long."""
        now, end_by = self._clock(), self._state.end_by
        waited_s = now - trip.since
        trip.doubt = doubt
        trip.next_try = now + (SLOW_RETRY_S if trip.is_long else RETRY_S)
        if waited_s > DOUBT_S and not trip.is_long:
            trip.is_long = True
            log.error("the light is not proven off: %s", doubt)
            answer(trip.asked, self._records, seconds=waited_s, doubt=doubt)
            trip.asked = []
            if trip.kind != "start":
                self._records.set_latch("light", doubt, by="guard")
        ending_s = 0.0 if end_by is None else now - max(trip.since, end_by - END_S)
        if ending_s > FINAL_S or (trip.kind == "start" and waited_s > START_S):
            log.error("%s", doubt)
            self._code = UNSAFE

    def _is_dark(self, trip: Trip) -> None:
        state, seconds = self._state, self._clock() - trip.since
        lit = ", ".join(f"{nm} nm" for nm in state.vigil.lit_nm) or "no line"
        state.vigil.release()
        state.link = None
        if trip.kind not in ("start", "end"):
            reason = f"{trip.kind}: {trip.reason} (light permitted on {lit})"
            self._records.note("trip", by="guard", reason=reason, seconds=seconds)
        answer(trip.asked, self._records, seconds=seconds, doubt="")
        if state.start_at is None:
            self._go_on(trip)

    def _go_on(self, trip: Trip) -> None:
        """Start acq, again or for the first time, or end."""
        code, now = self._acq.exit_code, self._clock()
        if code == UNSAFE:
            cause = self._acq.last_words() or self._acq.obituary()
            self._records.set_latch("light", cause, by="acq")
        if trip.kind == "start":
            self._state.start_at = now
        elif self._state.end_by is not None:
            self._code = UNSAFE if code == UNSAFE else DONE
        elif code == WRONG_REQUEST:
            log.error("%s", self._acq.last_words() or self._acq.obituary())
            self._code = WRONG_REQUEST
        else:
            self._restart(code, now, by_order=trip.kind == "estop")

    def _restart(self, code: int | None, now: float, *, by_order: bool) -> None:
        self._acq.count_death(by_order=by_order)
        if self._acq.is_hopeless:
            log.error(
                "acq ended %d times and stays ended; at last, %s",
                self._acq.deaths,
                self._acq.obituary(),
            )
            self._code = UNSAFE if code == UNSAFE else FAULT
            return
        self._state.start_at = now + 0.5 * (self._acq.in_a_row - 1)
        log.warning("%s; it is started again", self._acq.obituary())
