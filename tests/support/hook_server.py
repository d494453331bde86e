"""A webhook's server on loopback: keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from serving import serving


@dataclass
class Hook:
    """What came, and how it is answered."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses in turn; after the last of them 204."""
    location: str = ""
    silent_s: float = 0.0
    drip_s: float = 0.0
    """Between bytes of a header that has no end."""
    tls: ssl.SSLContext | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    hook: Hook

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.hook.bodies.append(self.rfile.read(length))
        self.hook.headers.append(dict(self.headers.items()))
        self.hook.ended.wait(self.hook.silent_s)
        if self.hook.drip_s:
            self._drip()
            return
        self.send_response(self.hook.answers.pop(0) if self.hook.answers else 204)
        if self.hook.location:
            self.send_header("location", self.hook.location)
        self.end_headers()

    def _drip(self) -> None:
        try:
            while not self.hook.ended.wait(self.hook.drip_s):
                self.wfile.write(b"H")
        except OSError:  # the other side has had enough
            return

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hook_server(**how: object) -> Iterator[Hook]:
    """Serve on a free port of loopback meanwhile."""
    hook = Hook(**how)
    handler = type("Handler", (_Handler,), {"hook": hook})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if hook.tls is not None:
            server.socket = hook.tls.wrap_socket(server.socket, server_side=True)
        hook.port = server.server_address[1]
        with serving(server, hook.ended):
            yield hook


def until(true, within_s: float = 5.0) -> None:
    """Return once something is true; fail when it does not come to be."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)
