"""How a device of the simulated microscope talks to its process.

Holds nothing open; every question has a deadline; may be used from any thread.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from her2sr_acq.errors import DeviceError, DeviceTimeoutError, ServiceUnavailableError
from her2sr_acq.runtime import MICROSCOPE, VARIABLE, address
from her2sr_acq.stream.envelope import Body, ask
from simulators.faults.options import FaultOptions, FaultyDevice, Strike
from simulators.history import LightHistory
from simulators.protocol import (
    Burst,
    BurstBegun,
    Call,
    FocusMove,
    Healing,
    LockOrder,
    MicroscopeState,
    Since,
    Struck,
    Travel,
    TruthFolder,
    WheelTurn,
)

DEADLINE_S = 5.0


def runtime_of_environment() -> Path:
    """Return the runtime folder this process was started with.

    Raises `DeviceError` when there is none.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise DeviceError(
            f"{VARIABLE} is not set, so the simulated microscope cannot be found; "
            f"start it with `her2sr serve`, `run` or `demo`"
        )
    return Path(named)


class MicroscopeClient:
    """Questions and moves; the light has a port of its own."""

    def __init__(self, runtime: Path, *, deadline_s: float = DEADLINE_S) -> None:
        self.runtime = runtime
        self._deadline_s = deadline_s

    def state(self) -> MicroscopeState:
        """Return everything an onlooker may know."""
        return MicroscopeState.model_validate(self._ask("state", {}))

    def move_stage(self, x_um: float, y_um: float) -> None:
        """Set the stage in motion."""
        self._ask("move_stage", Travel(x_um=x_um, y_um=y_um).model_dump())

    def move_focus(self, z_um: float) -> None:
        """Set the focus drive in motion."""
        self._ask("move_focus", FocusMove(z_um=z_um).model_dump())

    def turn_wheel(self, place: float) -> None:
        """Set the filter wheel in motion."""
        self._ask("turn_wheel", WheelTurn(place=place).model_dump())

    def order_lock(self, order: LockOrder) -> None:
        """Tell the focus lock what to do."""
        self._ask("lock", order.model_dump())

    def start(self, burst: Burst) -> BurstBegun:
        """Begin to expose. Raises `DeviceError` when the camera is busy."""
        return BurstBegun.model_validate(self._ask("start", burst.model_dump()))

    def stop(self) -> None:
        """End the burst after the frame in progress. No burst: nothing happens."""
        self._ask("stop", {})

    def inject(self, fault: FaultOptions) -> int:
        """Plan a fault; return its number."""
        number = self._ask("inject", fault.model_dump(mode="json"))["fault"]
        return int(str(number))

    def heal(self, device: FaultyDevice | None = None) -> None:
        """Forget the faults of one device, or all."""
        self._ask("heal", Healing(device=device).model_dump())

    def strike(self, device: FaultyDevice, operation: str) -> Strike | None:
        """Return what befalls a call that a device is about to carry out."""
        call = Call(device=device, operation=operation)
        return Struck.model_validate(self._ask("strike", call.model_dump())).strike

    def light_history(self, since_s: float = 0.0) -> LightHistory:
        """Return what changed since a moment of CLOCK_MONOTONIC."""
        body = Since(since_s=since_s).model_dump()
        return LightHistory.model_validate(self._ask("light_history", body))

    def write_truth(self, folder: Path) -> None:
        """Have the truth written into a folder."""
        self._ask("truth", TruthFolder(folder=str(folder)).model_dump())

    def _ask(self, verb: str, body: Body) -> Body:
        self._look()
        where = address(self.runtime, MICROSCOPE)
        try:
            answer = ask(where, verb, body, deadline_s=self._deadline_s)
        except ServiceUnavailableError as exc:
            raise DeviceTimeoutError(
                f"the simulated microscope did not answer '{verb}' within "
                f"{self._deadline_s:g} s; see its log, and start it again",
                verb=verb,
            ) from exc
        if answer.ok:
            return answer.body
        reason = answer.error.message if answer.error else "no reason given"
        raise DeviceError(f"the simulated microscope refused '{verb}': {reason}")

    def _look(self) -> None:
        """Raise `DeviceError` at once when nobody listens; ZeroMQ would wait."""
        path = self.runtime / MICROSCOPE
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(self._deadline_s)
            if probe.connect_ex(str(path)):
                raise DeviceError(
                    f"the simulated microscope does not run: nobody listens on {path}; "
                    f"start it with `her2sr serve`, `run` or `demo`"
                )
