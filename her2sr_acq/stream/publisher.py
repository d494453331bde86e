"""Blocks on the bus: offered to the localizer, never waited for.

What the bus does not take is counted; the localizer reads it from disk later.
"""

from __future__ import annotations

from typing import Self

import zmq

from her2sr_acq.stream.blocks import U16
from her2sr_proc.schema.block import BlockHeader
from her2sr_proc.wire import encode

HIGH_WATER = 4
"""Blocks that may wait for a slow localizer; the rest comes from disk."""


class Publisher:
    """A PUSH socket that one localizer connects to. Used by one thread at a time."""

    def __init__(self, address: str, *, high_water: int = HIGH_WATER) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, high_water)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nobody connected: refuse, not queue
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address)
        self.refused = 0
        """Blocks that the bus did not take since the start."""

    def publish(self, header: BlockHeader, adu: U16) -> bool:
        """Offer a block; return whether the bus took it. Never blocks.

        The pixels are copied, since their buffer is used again at once.
        """
        try:
            self._socket.send_multipart(encode(header, adu), zmq.NOBLOCK, copy=True)
        except zmq.Again:
            self.refused += 1
            return False
        return True

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
