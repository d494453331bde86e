"""The newest frame of the burst, thinned, for whoever looks; never waited for.

One part per message, so that the reader may keep the latest alone: four bytes with the
length of the header (little endian), the header as JSON, then the pixels, <u2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt
import zmq
from pydantic import ValidationError

from her2sr_proc.errors import WireError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.preview import LONGEST_PX, PreviewHeader

PERIOD_S = 0.2
MAX_MESSAGE_BYTES = 2 * LONGEST_PX**2 + 4096
U16 = npt.NDArray[np.uint16]


def pack(header: PreviewHeader, adu: U16) -> bytes:
    """Return the message of a thinned frame of shape (height, width)."""
    head = header.model_dump_json().encode()
    pixels = np.ascontiguousarray(adu, dtype="<u2").tobytes()
    return len(head).to_bytes(4, "little") + head + pixels


def unpack(message: bytes) -> tuple[PreviewHeader, U16]:
    """Return header and pixels. Raises `WireError` for what is no preview."""
    end = 4 + int.from_bytes(message[:4], "little")
    try:
        header = PreviewHeader.model_validate_json(message[4:end])
        pixels = np.frombuffer(message, "<u2", offset=end)
        return header, pixels.reshape(header.height, header.width)
    except (ValidationError, ValueError) as exc:
        raise WireError(f"malformed preview: {exc}") from exc


class Preview:
    """An XPUB socket that costs nothing while nobody looks. Used by one thread."""

    def __init__(
        self,
        address: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._now = now
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, 1)  # what does not go at once is dropped
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address)
        self._is_watched = False
        self._shown_at = -PERIOD_S
        self.refused = 0
        """Previews that did not go out since the start."""

    def show(self, unit: UnitKey, frame: int, adu: U16) -> None:
        """Offer a frame; at most five a second go out. Never blocks.

        ``adu`` has shape (height, width); its pixels are copied, every n-th alone.
        """
        moment = self._clock()
        if moment - self._shown_at < PERIOD_S or not self._has_watcher():
            return
        self._shown_at = moment
        step = max(1, -(-max(adu.shape) // LONGEST_PX))
        thin = adu[::step, ::step]
        header = PreviewHeader(
            run=unit.run,
            field=unit.field,
            channel=unit.channel,
            frame=frame,
            height=thin.shape[0],
            width=thin.shape[1],
            step=step,
            taken_s=self._now(),
        )
        try:
            self._socket.send(pack(header, thin), zmq.NOBLOCK)
        except zmq.ZMQError:  # nobody may lose a burst over a picture of it
            self.refused += 1

    def _has_watcher(self) -> bool:
        while self._socket.poll(0):
            self._is_watched = self._socket.recv()[:1] == b"\x01"
        return self._is_watched

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
