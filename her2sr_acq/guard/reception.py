"""What is said to the guard, and what it answers. Judges nothing by itself."""

from __future__ import annotations

from collections.abc import Callable

from her2sr_acq.guard.acq import Acq
from her2sr_acq.guard.messages import (
    AskStatus,
    Beat,
    Dark,
    EStop,
    FromAcq,
    FromAnybody,
    Granted,
    Obeyed,
    Permit,
    Rearm,
    Rearmed,
    Refused,
    Release,
    SetLatch,
    Standing,
    Status,
    clip,
)
from her2sr_acq.guard.post import Caller
from her2sr_acq.guard.records import Records
from her2sr_acq.guard.state import Order, State, answer


class Reception:
    """Turns messages into changes of the state."""

    def __init__(
        self,
        state: State,
        lasers_nm: tuple[int, ...],
        *,
        records: Records,
        acq: Acq,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._lasers_nm = lasers_nm
        self._records = records
        self._acq = acq
        self._clock = clock
        self._told = ""

    def hear(self, caller: Caller, message: FromAcq | FromAnybody) -> None:
        """Act on one message and answer it."""
        match message:
            case AskStatus():
                caller.send(self._status())
            case EStop():
                self._estop(caller, message)
            case Rearm():
                self._rearm(caller, message)
            case _ if caller.pid != self._acq.pid:
                caller.send(Refused(reason="only acq may say this"))
            case _:
                self._hear_acq(caller, message)

    def tell(self) -> None:
        """Tell acq when the latch has changed."""
        state, latched = self._state, self._records.latched
        if state.link is not None and state.is_connected and latched != self._told:
            self._told = latched
            state.link.send(Standing(latched=clip(latched)))

    def _hear_acq(self, caller: Caller, message: FromAcq) -> None:
        state = self._state
        if state.link is not caller:
            state.link = caller
            self._told = self._records.latched
            caller.send(Standing(latched=clip(self._told)))
        match message:
            case Beat():
                state.beat = message
                state.vigil.beat(message.progress, is_driving=bool(message.run))
            case Permit():
                refusal = self._permit(message)
                caller.send(Granted(number=message.number, refusal=refusal))
            case Release():
                if state.vigil.release():
                    self._acq.count_light()
            case SetLatch():
                self._records.set_latch(message.kind, message.cause, by="acq")
                if message.kind == "light":
                    state.begin_trip("light", message.cause, self._clock())
            case Obeyed():
                self._obeyed()

    def _permit(self, asked: Permit) -> str:
        """Return why not, or nothing."""
        state = self._state
        self._records.refresh()
        if latched := self._records.latched:
            return clip(latched)
        if state.trip or state.order or state.end_by is not None:
            return "the guard is about to put the light out"
        if asked.nm not in self._lasers_nm:
            return f"the guard knows no line of {asked.nm} nm"
        state.vigil.permit(asked.nm, asked.seconds)
        return ""

    def _estop(self, caller: Caller, asked: EStop) -> None:
        """Latch; let acq obey, or begin at once where nobody could."""
        state, now = self._state, self._clock()
        self._records.set_latch("estop", asked.reason or "e-stop", by=asked.by)
        if state.order is not None:
            state.order.asked.append((caller, asked))
        elif state.trip is None and self._acq.is_alive and state.link is not None:
            state.order = Order(now, [(caller, asked)])
            state.link.send(Dark(reason=clip(f"e-stop by {asked.by}: {asked.reason}")))
        else:
            state.begin_trip("estop", asked.reason, now).asked.append((caller, asked))

    def _obeyed(self) -> None:
        order, self._state.order = self._state.order, None
        if order is None:
            return
        self._state.vigil.cut_short()
        seconds = self._clock() - order.since
        answer(order.asked, self._records, seconds=seconds, doubt="")

    def _rearm(self, caller: Caller, asked: Rearm) -> None:
        if refusal := self._why_no_rearm():
            caller.send(Refused(reason=clip(refusal)))
            return
        self._records.lift(by=asked.by, reason=asked.reason)
        caller.send(Rearmed())

    def _why_no_rearm(self) -> str:
        state = self._state
        if state.trip is not None:
            return f"the light is not proven off: {state.trip.doubt}"
        if state.order is not None:
            return "acq was just told to go dark; try again in a second"
        if not state.is_connected:
            return "acq does not answer yet; try again when it has started"
        if state.beat.trouble:
            return f"{state.beat.trouble}; put that right, then rearm"
        return ""

    def _status(self) -> Status:
        state = self._state
        return Status(
            acq_pid=self._acq.pid,
            is_connected=state.is_connected,
            lit_nm=state.vigil.lit_nm,
            latched=clip(self._records.latched),
            light_in_doubt=clip(state.trip.doubt if state.trip else ""),
            deaths=self._acq.deaths,
            phase=state.beat.phase,
            run=state.beat.run,
            trouble=state.beat.trouble,
        )
