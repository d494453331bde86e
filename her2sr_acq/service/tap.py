"""The newest preview of the running burst, and no other: nothing queues here.

The socket keeps one message; an older one is dropped for a newer. It is opened at the
first look, so that a service nobody watches costs the burst nothing.
"""

from __future__ import annotations

import logging
import threading

import numpy as np
import numpy.typing as npt
import zmq

from her2sr_acq.stream.preview import MAX_MESSAGE_BYTES, unpack
from her2sr_proc.errors import WireError
from her2sr_proc.schema.preview import PreviewHeader

log = logging.getLogger(__name__)

Preview = tuple[PreviewHeader, npt.NDArray[np.uint16]]


class Tap:
    """Looks at one address. May be used from any thread."""

    def __init__(self, address: str | None) -> None:
        """None: there is no stream, and nothing is ever seen."""
        self._address = address
        self._lock = threading.Lock()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._kept: Preview | None = None

    def latest(self) -> Preview | None:
        """Return the newest preview that came, or None before the first. No waiting."""
        if self._address is None:
            return None
        with self._lock:
            socket = self._socket or self._open(self._address)
            try:
                if socket.poll(0):
                    self._kept = unpack(socket.recv(zmq.NOBLOCK))
            except WireError as exc:
                log.warning("dropped a message of the preview: %s", exc)
            return self._kept

    def _open(self, address: str) -> zmq.Socket[bytes]:
        self._context = zmq.Context()
        socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.CONFLATE, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(address)
        self._socket = socket
        return socket

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        with self._lock:
            if self._socket is not None and self._context is not None:
                self._socket.close()
                self._context.term()
                self._socket = self._context = None
