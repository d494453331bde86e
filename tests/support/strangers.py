"""Callers who have no business at a socket: they mumble, shout, or say nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

GARBAGE = bytes(range(256)) * 64
OVERSIZED = b"\xff" * (3 * 2**20)
"""Longer than any question may be."""
HALF = b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"
"""A request of which most never comes."""
SEND_S = 0.5


def unix(path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Return a connection to a unix socket."""
    end = socket.socket(socket.AF_UNIX, kind)
    end.settimeout(SEND_S)
    end.connect(str(path))
    return end


def tcp(port: int) -> socket.socket:
    """Return a connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=SEND_S)


def bother(connect: Callable[[], socket.socket]) -> Iterator[socket.socket]:
    """Send what is no message over connections of its own; yield those left open.

    Whoever is bothered may hang up at any moment.
    """
    for message in (GARBAGE, OVERSIZED, b""):
        with connect() as end, suppress(OSError):
            end.sendall(message)
    for message in (HALF, b"\x00", b""):
        end = connect()
        with suppress(OSError):
            end.sendall(message)
        yield end


@contextmanager
def bothered(
    connects: list[Callable[[], socket.socket]], *, times: int
) -> Iterator[int]:
    """Bother everybody so many times; hold the half-open connections meanwhile."""
    with ExitStack() as stack:
        count = 0
        for _ in range(times):
            for connect in connects:
                for end in bother(connect):
                    stack.enter_context(end)
                    count += 1
            time.sleep(0)
        yield count
