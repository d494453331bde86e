"""Blocks from the bus: pulled one by one, refused when they are not blocks."""

from __future__ import annotations

import logging
import time
from typing import Self

import numpy as np
import numpy.typing as npt
import zmq

from her2sr_proc.errors import WireError
from her2sr_proc.schema.block import MAX_BLOCK_BYTES, BlockHeader
from her2sr_proc.wire import decode

U16 = npt.NDArray[np.uint16]
Message = tuple[BlockHeader, U16]

HIGH_WATER = 4
"""Blocks that may wait here; what the bus then refuses is read from disk later."""
MAX_MESSAGE_BYTES = 2 * MAX_BLOCK_BYTES
"""A single frame may be larger than a block; a longer message ends its connection."""

log = logging.getLogger(__name__)


class Subscriber:
    """A PULL socket. Used by one thread; the sender need not be there yet."""

    def __init__(self, address: str, *, high_water: int = HIGH_WATER) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, high_water)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(address)
        self.malformed = 0
        """Messages that were no blocks, since the start."""

    def receive(self, within_s: float) -> Message | None:
        """Return the next block, or None when none came within that time.

        Messages that are no blocks are counted and dropped on the way: None says that
        the bus is quiet, and who waits for that must not be told so by garbage.
        """
        deadline = time.monotonic() + within_s
        while self._socket.poll(max(0, round(1000 * (deadline - time.monotonic())))):
            # Not copied: a block may have 64 MiB, and lives as long as its array.
            parts = self._socket.recv_multipart(copy=False)
            try:
                return decode([part.buffer for part in parts])
            except WireError as exc:
                self.malformed += 1
                log.warning("dropped a message of the bus: %s", exc)
        return None

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
