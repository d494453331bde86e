"""Ways for acq to come to harm, and the moment from which light must go out."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import Literal, get_args

from light_times import first_after, state_at
from nights import Night

from simulators.faults.options import FaultOptions
from simulators.history import LightHistory

Kind = Literal["kill", "twice", "stop", "segv", "crash", "gil", "hang"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIGNALS = {
    "kill": signal.SIGKILL,
    "twice": signal.SIGKILL,
    "stop": signal.SIGSTOP,
    "segv": signal.SIGSEGV,
}
NEXT_FRAME = {"device": "camera", "at_frame": 0, "count": 1}
FAULTS = {
    # the camera's driver crashes the process, or holds it as a whole
    "crash": FaultOptions.model_validate({**NEXT_FRAME, "kind": "crash"}),
    "gil": FaultOptions.model_validate(
        {**NEXT_FRAME, "kind": "hangs", "holds_gil": True}
    ),
}
LINES_NM = (561, 488)


@dataclass(frozen=True)
class Harm:
    """What was done to acq, and when."""

    kind: Kind
    at_s: float
    """Of CLOCK_MONOTONIC, just before."""
    pid: int | None
    """Who suffered; None: nobody was there, or a device did it."""

    def moment(self, history: LightHistory) -> float | None:
        """Return when the harm was done at the earliest; None: it was not done.

        A device does it at its next frame or call: dark time counts from there.
        """
        if self.kind in SIGNALS:
            return self.at_s
        if self.kind == "hang":  # at the next switch of light: off, after the frames
            over_s = first_after(history, self.at_s, "burst", on=False)
            return over_s if state_at(history, self.at_s, "light") else self.at_s
        if state_at(history, self.at_s, "burst"):
            return self.at_s
        return first_after(history, self.at_s, "burst", on=True)


def do_harm(night: Night, kind: Kind) -> Harm:
    """Harm acq now."""
    if kind in SIGNALS:
        pid = night.acq_pid()
        at_s = time.monotonic()
        if pid is not None:
            os.kill(pid, SIGNALS[kind])
        return Harm(kind, at_s, pid)
    at_s = time.monotonic()
    night.microscope.inject(FAULTS[kind] if kind in FAULTS else _hanging_switch(night))
    return Harm(kind, at_s, None)


def _hanging_switch(night: Night) -> FaultOptions:
    """Return a fault of the switch that is used next: of what is lit, or not."""
    lights = [c for c in night.microscope.light_history().changes if c.what == "light"]
    last_nm, is_on = (lights[-1].nm, lights[-1].on) if lights else (LINES_NM[1], False)
    nm = last_nm if is_on else LINES_NM[1 - LINES_NM.index(last_nm)]
    return FaultOptions(
        device="laser", kind="hangs", operation=f"set {nm} Emission", count=1
    )
