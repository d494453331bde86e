"""Frames between two processes: pixels in a mapped file, a few bytes a frame beside it.

The microscope writes pixels into slots of the file and says over ZeroMQ which slot is
filled; the camera copies them out and gives the slot back. A camera that is slow holds
the microscope back, up to a bound; then a frame is lost and the writer says so.

Where simulated time runs fast, a message carries many notes: a message costs as much as
a small frame.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zmq

from simulators.faults.options import FaultKind, Strike
from simulators.slots import FrameRing

U16 = npt.NDArray[np.uint16]

HOLD_S = 2.0
"""How long a writer waits for a slow reader before it counts an overflow."""
FRAMES = "microscope-frames.ipc"

_NOTE = struct.Struct("<cIIIdBf?")
"""Kind, burst, frame or count, slot or lost frames, time of exposure in seconds, what
befalls the frame, for how many seconds, and whether with the interpreter's lock held.
"""
BEFALLS: tuple[FaultKind | None, ...] = (
    None,
    "garbage",
    "overflow",
    "raises",
    "late",
    "hangs",
    "crash",
)
"""What a note can tell the camera's driver to suffer."""
_BEGIN, _FRAME, _END, _DONE = b"B", b"F", b"E", b"D"
_SLICE_S = 0.01


class RingOverflowError(Exception):
    """The reader gave no slot back in time, or is gone; the frame is lost."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame is in its slot until it is given back."""

    frame: int
    """Number of the exposure in its burst, from 0, by the camera's own count."""
    slot: int
    t_s: float
    """Start of the exposure in simulated seconds since the burst began."""
    strike: Strike | None = None
    """What the camera's driver shall suffer at this frame."""


@dataclass(frozen=True, slots=True)
class Ending:
    """No more frames come: what the burst amounted to."""

    exposed: int
    lost: int


class FrameSender:
    """The microscope's end. Belongs to one thread."""

    def __init__(
        self,
        ring: FrameRing,
        address: str,
        *,
        hold_s: float = HOLD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._hold_s = hold_s
        self._clock = clock
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.bind(address)
        self._reader = b""
        self._burst = 0
        self._given = 0
        self._returned = 0
        self._batch = 1
        self._notes: list[bytes] = []

    def begin(self, burst: int, reader: bytes, *, batch: int = 1) -> None:
        """Serve ``reader`` from now on. Raises `RingOverflowError` if it is not there.

        Slots that an earlier reader never gave back are free again. So many notes as
        ``batch`` go in one message, or fewer when the ring would be full without.
        """
        self._reader, self._burst = reader, burst
        self._notes.clear()
        self._batch = max(1, min(batch, self._ring.slots // 4))
        self._given = self._returned = 0
        deadline = self._clock() + self._hold_s
        while not self._reach():
            if self._clock() >= deadline:
                raise RingOverflowError("the camera did not connect to the ring")
            self._hear(self._clock() + _SLICE_S)

    def claim(self, is_halted: Callable[[], bool]) -> tuple[int, U16] | None:
        """Return the next slot and its pixels, waiting for the reader if it must.

        None when the burst is halted meanwhile. Raises `RingOverflowError` when no
        slot comes back within the bound.
        """
        waiting = self._given - self._returned
        while 2 * waiting >= self._ring.slots and self._hear(0.0):
            waiting = self._given - self._returned
        if waiting >= self._ring.slots:
            self._send()
        deadline = self._clock() + self._hold_s
        while self._given - self._returned >= self._ring.slots:
            if is_halted():
                return None
            if self._clock() >= deadline:
                raise RingOverflowError(
                    f"the camera gave no slot back within {self._hold_s:g} s"
                )
            self._hear(min(deadline, self._clock() + _SLICE_S))
        slot = self._given % self._ring.slots
        return slot, self._ring.frame(slot)

    def publish(
        self, frame: int, slot: int, t_s: float, strike: Strike | None = None
    ) -> None:
        """Hand the claimed slot over. Raises `RingOverflowError` if nobody is there."""
        self._given += 1
        befalls = _befalls(strike)
        self._notes.append(_NOTE.pack(_FRAME, self._burst, frame, slot, t_s, *befalls))
        if len(self._notes) >= self._batch:
            self._send()

    def flush(self) -> None:
        """Send the notes that wait for company. Raises `RingOverflowError`."""
        self._send()

    def finish(self, *, exposed: int, lost: int) -> None:
        """Say that the burst is over. Raises `RingOverflowError` if nobody is there."""
        self._tell(_END, exposed, lost, 0.0)

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._context.destroy(linger=0)

    def _tell(self, kind: bytes, number: int, extra: int, t_s: float) -> None:
        self._notes.append(
            _NOTE.pack(kind, self._burst, number, extra, t_s, *_befalls(None))
        )
        self._send()

    def _send(self) -> None:
        if not self._notes:
            return
        notes = b"".join(self._notes)
        self._notes.clear()
        try:
            self._socket.send_multipart([self._reader, notes], zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            raise RingOverflowError(f"the camera is gone: {exc}") from exc

    def _reach(self) -> bool:
        try:
            self._tell(_BEGIN, 0, 0, 0.0)
        except RingOverflowError:
            return False
        return True

    def _hear(self, deadline: float) -> bool:
        """Take one note; return whether there was one. A former reader's is dropped."""
        wait_s = max(0.0, deadline - self._clock())
        if not self._socket.poll(round(1000 * wait_s)):
            return False
        reader, note = self._socket.recv_multipart()
        if reader == self._reader and note[:1] == _DONE:
            self._returned += _NOTE.unpack(note)[2]
        return True


class FrameReceiver:
    """The camera's end: one for every burst."""

    def __init__(self, ring: FrameRing, address: str, reader: bytes) -> None:
        """Connect under a name that no other reader uses."""
        self._ring = ring
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IDENTITY, reader)
        self._socket.connect(address)
        self._come: deque[Arrival | Ending] = deque()
        self._copied = 0

    def receive(self, *, timeout_s: float) -> Arrival | Ending | None:
        """Return the next frame or the end of the burst; None when neither came."""
        if not self._come:
            if not self._socket.poll(round(1000 * timeout_s)):
                return None
            self._unpack(self._socket.recv())
        return self._come.popleft() if self._come else None

    def pixels(self, arrival: Arrival) -> U16:
        """Return the frame in its slot; valid until it is given back."""
        return self._ring.frame(arrival.slot)

    def give_back(self, arrival: Arrival) -> None:
        """Free the slot of a frame that has been copied."""
        self._copied += 1
        # With the last of a message all its slots, as one note.
        if not self._come or isinstance(self._come[0], Ending):
            note = _NOTE.pack(
                _DONE, 0, self._copied, arrival.slot, 0.0, *_befalls(None)
            )
            self._copied = 0
            self._socket.send(note)

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        self._context.destroy(linger=0)

    def _unpack(self, notes: bytes) -> None:
        for kind, _, number, extra, t_s, *befalls in _NOTE.iter_unpack(notes):
            if kind == _END:
                self._come.append(Ending(exposed=number, lost=extra))
            elif kind == _FRAME:
                self._come.append(Arrival(number, extra, t_s, _strike(*befalls)))


def _befalls(strike: Strike | None) -> tuple[int, float, bool]:
    if strike is None:
        return 0, 0.0, False
    return BEFALLS.index(strike.kind), strike.duration_s or 0.0, strike.holds_gil


def _strike(what: int, for_s: float, holds_gil: bool) -> Strike | None:
    kind = BEFALLS[what]
    if kind is None:
        return None
    return Strike(number=0, kind=kind, duration_s=for_s or None, holds_gil=holds_gil)
