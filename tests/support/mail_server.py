"""A mail server on loopback that takes letters, refuses them, or never answers."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving import serving


@dataclass
class Letterbox:
    """What a server was handed, and how it answers."""

    port: int = 0
    letters: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Addresses that it takes nothing for."""
    code: int = 550
    """With which it refuses."""
    drip_s: float = 0.0
    """Answers a greeting byte by byte, so many seconds apart, and never whole."""
    tls: ssl.SSLContext | None = None
    """Spoken from the first byte, or once it is asked for."""
    is_tls_from_the_start: bool = True
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(socketserver.StreamRequestHandler):
    box: Letterbox

    def handle(self) -> None:
        if self.box.drip_s:
            self._drip()
            return
        if self.box.tls is not None and self.box.is_tls_from_the_start:
            self._wrap()
        self._say("220 here")
        self._converse()

    def finish(self) -> None:
        """Close what was wrapped, too: the server knows of the bare line alone."""
        super().finish()
        self.rfile.close()
        self.connection.close()

    def _offers_tls(self) -> bool:
        return self.box.tls is not None and not isinstance(
            self.connection, ssl.SSLSocket
        )

    def _wrap(self) -> None:
        assert self.box.tls is not None
        self.connection = self.box.tls.wrap_socket(self.connection, server_side=True)
        self.request = self.connection
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)

    def _converse(self) -> None:
        for raw in self.rfile:
            line = raw.decode().strip()
            verb = line[:4].upper()
            if verb == "EHLO" and self._offers_tls():
                self._say("250-here\r\n250 STARTTLS")
                continue
            if verb == "STAR":
                self._say("220 go on")
                self._wrap()
                self._converse()
                return
            if verb == "QUIT":
                self._say("221 bye")
                return
            if verb == "DATA":
                self._say("354 go on")
                self.box.letters.append(self._letter())
            elif verb == "RCPT":
                address = line.partition("<")[2].rstrip(">").split(">")[0]
                if address in self.box.refuses:
                    self._say(f"{self.box.code} no")
                    continue
                self.box.recipients.append(address)
            self._say("250 fine")

    def _drip(self) -> None:
        try:
            while not self.box.ended.wait(self.box.drip_s):
                self.wfile.write(b"2")
        except OSError:  # the other side has had enough
            return

    def _letter(self) -> str:
        lines = []
        for raw in self.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw.decode())
        return "".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away, as one does that trusts nobody."""


@contextmanager
def mail_server(**how: object) -> Iterator[Letterbox]:
    """Serve SMTP on a free port of loopback meanwhile."""
    box = Letterbox(**how)
    handler = type("Handler", (_Handler,), {"box": box})
    with _Server(("127.0.0.1", 0), handler) as server:
        box.port = server.server_address[1]
        with serving(server, box.ended):
            yield box
