"""The Python camera for MMCore that stands for the simulated microscope's.

It finds the process through the runtime folder in ``HER2SR_RUNTIME``. It connects at
first use: the core swallows what `initialize` raises, and the cause would be lost.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pymmcore_plus.experimental.unicore import CameraDevice

from her2sr_acq.errors import DeviceError
from her2sr_acq.runtime import address
from her2sr_proc.threads import name_here
from simulators.client import MicroscopeClient, runtime_of_environment
from simulators.faults.device import DeviceFaults
from simulators.faults.options import Strike
from simulators.flow import (
    ODD_SHAPE,
    Backlog,
    GetBuffer,
    misbehave,
    run_over,
    undisturbed,
)
from simulators.protocol import Burst, MicroscopeState
from simulators.ring import FRAMES, Arrival, Ending, FrameReceiver
from simulators.slots import RING, FrameRing

log = logging.getLogger(__name__)

STAMP = "CameraTime-s"
"""Tag of a frame: start of its exposure in seconds of the burst, simulated time."""
NUMBER = "CameraFrame"
"""Tag of a frame: its number by the camera's own count; a gap is a lost frame."""
SLICE_S = 0.05
SILENCE_S = 60.0
ENDLESS = 2**31 - 1
READOUTS = ("standard", "fast")


class SimulatedCamera(CameraDevice):
    """The camera of the simulated microscope, with a region of interest in software."""

    def __init__(self) -> None:
        super().__init__()
        self._exposure_ms = 10.0
        self._roi: tuple[int, int, int, int] | None = None
        self._readout = READOUTS[0]
        self.register_property(
            "Readout",
            getter=SimulatedCamera.get_readout,
            setter=SimulatedCamera.set_readout,
            allowed_values=READOUTS,
            property_type=str,
        )
        self.register_property(
            "Temperature-C",
            getter=SimulatedCamera.get_temperature_c,
            is_read_only=True,
            property_type=float,
        )

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _state(self) -> MicroscopeState:
        """What never changes of the microscope is read once."""
        return self._client.state()

    @cached_property
    def _ring(self) -> FrameRing:
        shape = self._state.height, self._state.width
        return FrameRing(self._client.runtime / RING, shape)

    @cached_property
    def _faults(self) -> DeviceFaults:
        return DeviceFaults("camera", self._client)

    @cached_property
    def _temperature_faults(self) -> DeviceFaults:
        return DeviceFaults("temperature", self._client)

    def get_exposure(self) -> float:
        """Return the exposure in milliseconds."""
        return self._faults.reported("exposure", self._exposure_ms)

    def set_exposure(self, exposure: float) -> None:
        """Set the exposure of the bursts to come, in milliseconds."""
        if float(exposure) <= 0.0:
            raise ValueError(f"an exposure of {exposure} ms is not possible")
        if self._faults.lets("set exposure"):
            self._exposure_ms = float(exposure)

    def get_readout(self) -> str:
        """Return the read-out mode."""
        return self._faults.reported("readout", self._readout)

    def set_readout(self, mode: str) -> None:
        """Choose the read-out mode; it changes nothing in a simulated frame."""
        if self._faults.lets("set readout"):
            self._readout = mode

    def get_temperature_c(self) -> float:
        """Return the temperature of the sensor."""
        true_c = self._state.temperature_c
        return self._temperature_faults.reported("temperature", true_c)

    def shape(self) -> tuple[int, int]:
        """Return height and width of a frame."""
        _, _, width, height = self.get_roi()
        return height, width

    def dtype(self) -> npt.DTypeLike:
        """Return the type of a pixel."""
        return np.uint16

    def get_roi(self) -> tuple[int, int, int, int]:
        """Return x, y, width and height of the region that frames are cut to."""
        height, width = self._ring.shape
        return self._roi or (0, 0, width, height)

    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Cut frames to a region. Raises ValueError outside the sensor."""
        rows, columns = self._ring.shape
        inside = x >= 0 and y >= 0 and x + width <= columns and y + height <= rows
        if not inside or width < 1 or height < 1:
            raise ValueError(
                f"the region {x}, {y}, {width} x {height} does not lie within the "
                f"sensor of {columns} x {rows} pixels"
            )
        if self._faults.lets("set roi"):
            self._roi = (x, y, width, height)

    def clear_roi(self) -> None:
        """Return to the whole sensor."""
        if self._faults.lets("set roi"):
            self._roi = None

    def start_sequence(
        self, n: int | None, get_buffer: GetBuffer
    ) -> Iterator[Mapping[str, str]]:
        """Start exposing and return the frames to come.

        Not itself a generator: a refusal to start is raised here, in the caller's
        thread, and not in the acquisition thread, where nobody would hear of it.
        """
        self._faults.lets("start")
        reader = uuid.uuid4().hex
        height, width = self._ring.shape
        where = address(self._client.runtime, FRAMES)
        receiver = FrameReceiver(self._ring, where, reader.encode())
        try:
            begun = self._client.start(
                Burst(
                    height=height,
                    width=width,
                    frames=ENDLESS if n is None else n,
                    exposure_ms=self._exposure_ms,
                    reader=reader,
                )
            )
        except DeviceError:
            receiver.close()
            raise
        frames = ENDLESS if n is None else n
        return self._frames(receiver, get_buffer, frames, begun.max_waiting)

    def shutdown(self) -> None:
        """End a burst that is still going on."""
        if "_ring" in self.__dict__:
            self._halt()

    def _frames(
        self,
        receiver: FrameReceiver,
        get_buffer: GetBuffer,
        frames: int,
        max_waiting: int,
    ) -> Iterator[Mapping[str, str]]:
        # The core asks its acquisition thread to stop by this event and waits two
        # seconds; a thread that did not look would go on writing into its buffer.
        name_here("camera")
        stop = getattr(threading.current_thread(), "stop_event", threading.Event())
        x, y, width, height = self.get_roi()
        left = frames
        backlog = Backlog(max_waiting)
        try:
            while left and (arrival := _next_arrival(receiver, stop)) is not None:
                tags = {STAMP: f"{arrival.t_s:.6f}", NUMBER: str(arrival.frame)}
                left -= 1
                if arrival.strike is not None:
                    yield from self._struck(arrival.strike, get_buffer, tags)
                backlog.wait_for_room(stop)
                buffer = get_buffer((height, width), np.uint16)
                buffer[:] = receiver.pixels(arrival)[y : y + height, x : x + width]
                receiver.give_back(arrival)
                backlog.add(buffer)
                del buffer  # or the ring would never seem to be read
                yield tags
        finally:
            if left:
                self._halt()
            receiver.close()

    def _struck(
        self, strike: Strike, get_buffer: GetBuffer, tags: Mapping[str, str]
    ) -> Iterator[Mapping[str, str]]:
        """Do what befalls a frame before it is delivered."""
        misbehave(strike, self._faults)
        if strike.kind == "garbage":
            get_buffer(ODD_SHAPE, np.uint16)[:] = 0xDEAD
            yield tags
        if strike.kind == "overflow":
            with undisturbed():
                get_buffer(self.shape(), np.uint16)[:] = 0
                yield tags
                run_over(get_buffer, self.shape())

    def _halt(self) -> None:
        try:
            self._client.stop()
        except DeviceError as exc:
            log.warning("the camera may still be exposing: %s", exc)


def _next_arrival(receiver: FrameReceiver, stop: threading.Event) -> Arrival | None:
    """Return the next frame; None at the end, on a stop, or after long silence."""
    deadline = time.monotonic() + SILENCE_S
    while not stop.is_set() and time.monotonic() < deadline:
        note = receiver.receive(timeout_s=SLICE_S)
        if isinstance(note, Arrival):
            return note
        if isinstance(note, Ending):
            log.warning("the burst ended: %d exposed, %d lost", note.exposed, note.lost)
            return None
    return None
