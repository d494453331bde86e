"""The Python camera for MMCore that stands for the simulated microscope's.

It finds the process through the runtime folder in ``HER2SR_RUNTIME``. It connects at
first use: the core swallows what `initialize` raises, and the cause would be lost.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pymmcore_plus.experimental.unicore import CameraDevice

from her2sr_acq.errors import DeviceError
from her2sr_acq.runtime import address
from simulators.client import MicroscopeClient, runtime_of_environment
from simulators.protocol import Burst
from simulators.ring import FRAMES, RING, Arrival, Ending, FrameReceiver, FrameRing

GetBuffer = Callable[[Sequence[int], npt.DTypeLike], npt.NDArray[np.uint16]]

log = logging.getLogger(__name__)

STAMP = "CameraTime-s"
"""Tag of a frame: start of its exposure in seconds of the burst, simulated time."""
NUMBER = "CameraFrame"
"""Tag of a frame: its number by the camera's own count; a gap is a lost frame."""
SLICE_S = 0.05
SILENCE_S = 60.0
ENDLESS = 2**31 - 1


class SimulatedCamera(CameraDevice):
    """The camera of the simulated microscope, with a region of interest in software."""

    def __init__(self) -> None:
        super().__init__()
        self._exposure_ms = 10.0
        self._roi: tuple[int, int, int, int] | None = None

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _ring(self) -> FrameRing:
        state = self._client.state()
        return FrameRing(self._client.runtime / RING, (state.height, state.width))

    def get_exposure(self) -> float:
        """Return the exposure in milliseconds."""
        return self._exposure_ms

    def set_exposure(self, exposure: float) -> None:
        """Set the exposure of the bursts to come, in milliseconds."""
        if float(exposure) <= 0.0:
            raise ValueError(f"an exposure of {exposure} ms is not possible")
        self._exposure_ms = float(exposure)

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
        self._roi = (x, y, width, height)

    def clear_roi(self) -> None:
        """Return to the whole sensor."""
        self._roi = None

    def start_sequence(
        self, n: int | None, get_buffer: GetBuffer
    ) -> Iterator[Mapping[str, str]]:
        """Start exposing and return the frames to come.

        Not itself a generator: a refusal to start is raised here, in the caller's
        thread, and not in the acquisition thread, where nobody would hear of it.
        """
        reader = uuid.uuid4().hex
        height, width = self._ring.shape
        where = address(self._client.runtime, FRAMES)
        receiver = FrameReceiver(self._ring, where, reader.encode())
        try:
            self._client.start(
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
        return self._frames(receiver, get_buffer, ENDLESS if n is None else n)

    def shutdown(self) -> None:
        """End a burst that is still going on."""
        if "_ring" in self.__dict__:
            self._halt()

    def _frames(
        self, receiver: FrameReceiver, get_buffer: GetBuffer, frames: int
    ) -> Iterator[Mapping[str, str]]:
        # The core asks its acquisition thread to stop by this event and waits two
        # seconds; a thread that did not look would go on writing into its buffer.
        stop = getattr(threading.current_thread(), "stop_event", threading.Event())
        x, y, width, height = self.get_roi()
        left = frames
        try:
            while left and (arrival := _next_arrival(receiver, stop)) is not None:
                buffer = get_buffer((height, width), np.uint16)
                buffer[:] = receiver.pixels(arrival)[y : y + height, x : x + width]
                receiver.give_back(arrival)
                left -= 1
                yield {STAMP: f"{arrival.t_s:.6f}", NUMBER: str(arrival.frame)}
        finally:
            if left:
                self._halt()
            receiver.close()

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
