"""The simulated microscope as a process: ``python -m simulators.microscope``.

Owns what is physically there, so that it outlives its controller as real light does.
Three doors in the runtime folder: questions and moves (``microscope.ipc``), frames
(``microscope-frames.ipc`` beside ``ring.bin``), and the exclusive ``light.port``.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import zmq
from pydantic import ValidationError

from her2sr_acq.config import describe, load
from her2sr_acq.errors import ConfigError, DeviceError, RunConflictError
from her2sr_acq.runtime import MICROSCOPE, address
from her2sr_acq.stream.envelope import MAX_QUESTION_BYTES, Answer, Body, Fault, Question
from her2sr_proc.lifeline import end_with_starter
from simulators.assembly import assemble, warm_up
from simulators.exposer import Exposer, Order
from simulators.faults.board import BOARD, FaultBoard
from simulators.faults.options import FaultOptions
from simulators.faults.plan import FaultPlan
from simulators.lightport import PORT, LightServer
from simulators.lock import alone
from simulators.options import SimulationOptions
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
from simulators.ring import FRAMES, FrameSender
from simulators.slots import RING, FrameRing

log = logging.getLogger(__name__)

WAIT_S = 3.0
"""Longest wait inside an answer; a client's deadline is longer."""
OUTLIVE_S = 12.0
"""Whoever commands the light must be able to put it out before this is gone."""
POLL_MS = 200
WATCH_MS = 5
"""Between looks at an interlock that is to open."""


class Microscope:
    """The instrument, its camera head and its doors. Open it by ``with``."""

    def __init__(
        self,
        options: SimulationOptions,
        runtime: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._shape = (options.height, options.width)
        self._runtime = runtime
        self._truth = _truth_folder(options, runtime)
        self._faults = FaultPlan(clock=clock)
        self._instrument = assemble(options, clock, self._faults)
        self._bursts = 0
        self._exposer = Exposer(
            self._instrument,
            self._open_sender,
            time_scale=options.time_scale,
            truth=self._truth,
            clock=clock,
            faults=self._faults,
        )
        self._lights = LightServer(runtime / PORT, self._instrument.lights)
        self._context = zmq.Context()
        self._verbs: dict[str, Callable[[Body], Body]] = {
            "state": self._state,
            "move_stage": self._move_stage,
            "move_focus": self._move_focus,
            "turn_wheel": self._turn_wheel,
            "lock": self._order_lock,
            "start": self._start,
            "stop": self._stop,
            "truth": self._write_truth,
            "inject": self._inject,
            "heal": self._heal,
            "strike": self._strike,
            "light_history": self._light_history,
        }

    def __enter__(self) -> Self:
        """Make the ring, write the truth, open the light port and the camera head."""
        warm_up(self._options)
        self._ring = FrameRing.make(self._runtime / RING, self._shape)
        board = FaultBoard.make(self._runtime / BOARD)
        self._faults.connect(on_interlock=self._interlock, on_change=board.write)
        for fault in self._options.faults:
            self._faults.inject(fault)
        if self._truth is not None:
            self._instrument.write_truth(self._truth)
        self._exposer.start()
        self._lights.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._exposer.stop()
        self._lights.stop()
        self._context.destroy(linger=0)
        for name in (RING, BOARD):
            (self._runtime / name).unlink(missing_ok=True)

    def serve(self, ended: threading.Event) -> None:
        """Answer questions until ``ended`` is set."""
        with self._context.socket(zmq.REP) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_QUESTION_BYTES)
            socket.bind(address(self._runtime, MICROSCOPE))
            while not ended.is_set():
                self._faults.look()
                if socket.poll(WATCH_MS if self._faults.is_pending else POLL_MS):
                    reply = self.answer(socket.recv())
                    socket.send(reply.model_dump_json().encode())

    def answer(self, asked: bytes) -> Answer:
        """Carry out one question; a refusal is an answer too."""
        try:
            question = Question.model_validate_json(asked)
            verb = self._verbs.get(question.verb)
            if verb is None:
                return _refuse(f"the microscope does not know '{question.verb}'")
            return Answer(ok=True, body=verb(question.body))
        except ValidationError as exc:
            return _refuse(f"the question cannot be understood: {exc.errors()[0]}")
        except (DeviceError, OSError) as exc:
            return _refuse(str(exc))

    def _open_sender(self) -> FrameSender:
        return FrameSender(self._ring, address(self._runtime, FRAMES))

    def _state(self, _: Body) -> Body:
        instrument, exposer = self._instrument, self._exposer
        x_um, y_um = instrument.stage.position_um()
        crisp = instrument.crisp
        state = MicroscopeState(
            height=self._shape[0],
            width=self._shape[1],
            x_um=x_um,
            y_um=y_um,
            z_um=instrument.z_um,
            lock_state=crisp.state(),
            lock_offset_um=crisp.offset_um,
            lock_failures=crisp.failures,
            out_of_focus_um=instrument.out_of_focus_um(),
            stage_is_moving=instrument.stage.is_moving(),
            focus_is_moving=instrument.focus.is_moving(),
            wheel=instrument.wheel.position(),
            wheel_is_moving=instrument.wheel.is_moving(),
            lights=instrument.lights.states(),
            is_exposing=exposer.is_exposing,
            bursts=self._bursts,
            frames=exposer.frames,
            temperature_c=self._options.camera.temperature_c,
            interlock_is_open=self._faults.is_open(),
            overflows=exposer.overflows,
            simulated_s=instrument.simulated_s,
            fault=exposer.fault,
        )
        return state.model_dump(mode="json")

    def _move_stage(self, body: Body) -> Body:
        to = Travel.model_validate(body)
        return {"seconds": self._instrument.move_stage(to.x_um, to.y_um)}

    def _move_focus(self, body: Body) -> Body:
        to = FocusMove.model_validate(body)
        return {"seconds": self._instrument.move_focus(to.z_um)}

    def _turn_wheel(self, body: Body) -> Body:
        self._instrument.turn_wheel(WheelTurn.model_validate(body).place)
        return {}

    def _order_lock(self, body: Body) -> Body:
        order = LockOrder.model_validate(body)
        self._instrument.order_lock(order)
        return {}

    def _start(self, body: Body) -> Body:
        wanted = Burst.model_validate(body)
        if (wanted.height, wanted.width) != self._shape:
            height, width = self._shape
            raise DeviceError(f"the sensor has {height} x {width} pixels")
        order = Order(
            burst=self._bursts + 1,
            frames=wanted.frames,
            exposure_s=wanted.exposure_ms / 1000.0,
            reader=wanted.reader.encode(),
        )
        if not self._exposer.expose(order, within_s=WAIT_S):
            raise DeviceError(self._exposer.fault or "the camera is already exposing")
        self._bursts = order.burst
        begun = BurstBegun(
            burst=order.burst, max_waiting=self._options.camera.max_waiting
        )
        return begun.model_dump()

    def _stop(self, _: Body) -> Body:
        if not self._exposer.halt(within_s=WAIT_S):
            raise DeviceError(f"the camera did not stop within {WAIT_S:g} s")
        return {"frames": self._exposer.frames}

    def _inject(self, body: Body) -> Body:
        return {"fault": self._faults.inject(FaultOptions.model_validate(body))}

    def _heal(self, body: Body) -> Body:
        return {"healed": self._faults.heal(Healing.model_validate(body).device)}

    def _strike(self, body: Body) -> Body:
        call = Call.model_validate(body)
        strike = self._faults.call(call.device, call.operation)
        return Struck(strike=strike).model_dump()

    def _light_history(self, body: Body) -> Body:
        since = Since.model_validate(body)
        report = self._instrument.lights.history.report(since.since_s)
        return report.model_dump(mode="json")

    def _interlock(self, is_open: bool, at_s: float) -> None:
        lights = self._instrument.lights
        lights.history.interlock(is_open, at_s)
        if is_open:
            lights.heed_interlock()

    def _write_truth(self, body: Body) -> Body:
        folder = Path(TruthFolder.model_validate(body).folder)
        self._instrument.write_truth(folder)
        return {"folder": str(folder)}


def main(arguments: list[str] | None = None) -> int:
    """Run the microscope until SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulators.microscope")
    parser.add_argument("--config", type=Path, required=True, help="device yaml")
    parser.add_argument("--runtime", type=Path, required=True, help="folder of sockets")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("simulators").setLevel(logging.INFO)
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    end_with_starter(after_s=OUTLIVE_S)
    try:
        options = read_options(chosen.config)
        with (
            alone(chosen.runtime),
            Microscope(options, chosen.runtime) as microscope,
        ):
            microscope.serve(ended)
    except (ConfigError, RunConflictError) as exc:
        log.error("%s", exc)  # noqa: TRY400  a wrong request is no programming error
        return 2
    return 0


def read_options(config: Path) -> SimulationOptions:
    """Return what a device configuration says of its simulated microscope.

    Raises `ConfigError` with key and cure.
    """
    simulator = load(config).simulator
    if simulator is None:
        raise ConfigError(f"{config.name} has no 'simulator'; its devices are real")
    try:
        return SimulationOptions.model_validate(simulator.options)
    except ValidationError as exc:
        raise ConfigError(f"{config.name}: simulator.options: {describe(exc)}") from exc


def _truth_folder(options: SimulationOptions, runtime: Path) -> Path | None:
    """Relative folders are taken from the runtime folder."""
    return None if options.truth_folder is None else runtime / options.truth_folder


def _refuse(message: str) -> Answer:
    return Answer(ok=False, error=Fault(code="device-error", message=message))


if __name__ == "__main__":
    sys.exit(main())
