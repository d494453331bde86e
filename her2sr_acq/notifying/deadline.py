"""An end for network calls that would otherwise wait for each byte anew."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cut_off_after(
    seconds: float, line: Callable[[], socket.socket | None]
) -> Iterator[None]:
    """Shut a connection after so long, whatever its peer still sends.

    A peer that answers a byte a second meets every timeout of a single call. ``line``
    is asked at the end, since it may be made, or wrapped in TLS, in between.
    """

    def cut() -> None:
        opened = line()
        if opened is not None:
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
