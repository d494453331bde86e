"""Frames between two processes: pixels in a mapped file, a few bytes a frame beside it.

The microscope writes pixels into slots of the file and says over ZeroMQ which slot is
filled; the camera copies them out and gives the slot back. A camera that is slow holds
the microscope back, up to a bound; then a frame is lost and the writer says so.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import zmq

U16 = npt.NDArray[np.uint16]

SLOTS = 16
HOLD_S = 2.0
"""How long a writer waits for a slow reader before it counts an overflow."""
RING = "ring.bin"
FRAMES = "microscope-frames.ipc"

_NOTE = struct.Struct("<cIIId")
"""Kind, burst, frame or count, slot or lost frames, time of exposure in seconds."""
_BEGIN, _FRAME, _END, _DONE = b"B", b"F", b"E", b"D"
_PAGE = 4096
_SLICE_S = 0.01


class RingOverflowError(Exception):
    """The reader gave no slot back in time, or is gone; the frame is lost."""


class FrameRing:
    """The mapped file: ``slots`` frames of one shape.

    Every page is written once when the ring is made, so that no frame pays for it.
    """

    def __init__(
        self, path: Path, shape: tuple[int, int], *, slots: int = SLOTS
    ) -> None:
        """Map an existing ring. Raises `OSError` when the file is too small."""
        self.shape = shape
        self.slots = slots
        stride = _stride(shape)
        pages = np.memmap(path, np.uint8, mode="r+", shape=(slots, stride))
        self._frames = [
            pages[slot, : 2 * shape[0] * shape[1]].view(np.uint16).reshape(shape)
            for slot in range(slots)
        ]

    @classmethod
    def make(cls, path: Path, shape: tuple[int, int], *, slots: int = SLOTS) -> Self:
        """Create the file, private to this user, and touch every page of it.

        Raises `OSError` when the file system has no room for it: a mapped file
        without its blocks would kill the process at the first write instead.
        """
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, slots * _stride(shape))
        finally:
            os.close(descriptor)
        ring = cls(path, shape, slots=slots)
        for slot in range(slots):
            ring.frame(slot)[:] = 0
        return ring

    def frame(self, slot: int) -> U16:
        """Return the pixels of one slot, shape (height, width); not a copy."""
        return self._frames[slot]


def _stride(shape: tuple[int, int]) -> int:
    used = 2 * shape[0] * shape[1]
    return -(-used // _PAGE) * _PAGE


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame is in its slot until it is given back."""

    frame: int
    """Number of the exposure in its burst, from 0, by the camera's own count."""
    slot: int
    t_s: float
    """Start of the exposure in simulated seconds since the burst began."""


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

    def begin(self, burst: int, reader: bytes) -> None:
        """Serve ``reader`` from now on. Raises `RingOverflowError` if it is not there.

        Slots that an earlier reader never gave back are free again.
        """
        self._reader, self._burst = reader, burst
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
        while self._hear(0.0):
            pass
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

    def publish(self, frame: int, slot: int, t_s: float) -> None:
        """Hand the claimed slot over. Raises `RingOverflowError` if nobody is there."""
        self._given += 1
        self._tell(_FRAME, frame, slot, t_s)

    def finish(self, *, exposed: int, lost: int) -> None:
        """Say that the burst is over. Raises `RingOverflowError` if nobody is there."""
        self._tell(_END, exposed, lost, 0.0)

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._context.destroy(linger=0)

    def _tell(self, kind: bytes, number: int, extra: int, t_s: float) -> None:
        note = _NOTE.pack(kind, self._burst, number, extra, t_s)
        try:
            self._socket.send_multipart([self._reader, note], zmq.NOBLOCK)
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
            self._returned += 1
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

    def receive(self, *, timeout_s: float) -> Arrival | Ending | None:
        """Return the next frame or the end of the burst; None when neither came."""
        if not self._socket.poll(round(1000 * timeout_s)):
            return None
        kind, _, number, extra, t_s = _NOTE.unpack(self._socket.recv())
        if kind == _BEGIN:
            return None
        if kind == _END:
            return Ending(exposed=number, lost=extra)
        return Arrival(frame=number, slot=extra, t_s=t_s)

    def pixels(self, arrival: Arrival) -> U16:
        """Return the frame in its slot; valid until it is given back."""
        return self._ring.frame(arrival.slot)

    def give_back(self, arrival: Arrival) -> None:
        """Free the slot of a frame that has been copied."""
        self._socket.send(_NOTE.pack(_DONE, 0, arrival.frame, arrival.slot, 0.0))

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        self._context.destroy(linger=0)
