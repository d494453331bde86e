"""The guard's end of its socket: callers come and go, packets are read and answered.

Never blocks on a caller: one that does not read its answers is hung up on.
"""

from __future__ import annotations

import logging
import selectors
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from her2sr_acq.guard.messages import (
    MAX_PACKET,
    REQUEST,
    FromAcq,
    FromAnybody,
    Refused,
    ToAcq,
    ToAnybody,
)

log = logging.getLogger(__name__)

MAX_CALLERS = 32
"""Where more call, whoever has said nothing yet makes room: e-stop must get through."""
_CREDENTIALS = struct.Struct("3i")


@dataclass(eq=False)
class Caller:
    """One connection, and the process at its other end."""

    socket: socket.socket
    pid: int
    is_gone: bool = field(default=False)
    has_spoken: bool = field(default=False)

    def send(self, message: ToAcq | ToAnybody) -> None:
        """Send, or give the caller up."""
        try:
            self.socket.send(message.model_dump_json().encode())
        except OSError as exc:
            log.debug("process %d does not listen: %s", self.pid, exc)
            self.is_gone = True


Packet = tuple[Caller, FromAcq | FromAnybody]


class Post:
    """Listens from the moment it is entered until it is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._callers: list[Caller] = []

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._listener.bind(str(self._path))
        self._listener.listen(MAX_CALLERS)
        self._selector.register(self._listener, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        for caller in self._callers:
            caller.is_gone = True
        self._bury()
        self._selector.close()
        self._listener.close()

    def receive(self, within_s: float) -> list[Packet]:
        """Return everything that has arrived, waiting a while for the first.

        All of it: a guard that was kept from running must see the beats that came
        meanwhile before it judges silence.
        """
        packets: list[Packet] = []
        for key, _ in self._selector.select(within_s):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._read(key.data, packets)
        self._bury()
        return packets

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            if len(self._callers) >= MAX_CALLERS and not self._make_room():
                end.close()
                continue
            end.setblocking(False)
            caller = Caller(end, _peer(end))
            self._callers.append(caller)
            self._selector.register(end, selectors.EVENT_READ, caller)

    def _make_room(self) -> bool:
        """Hang up on the caller that has been silent for longest, if there is one."""
        for caller in self._callers:
            if not caller.has_spoken:
                caller.is_gone = True
                self._bury()
                return True
        return False

    def _read(self, caller: Caller, packets: list[Packet]) -> None:
        for _ in range(MAX_PACKET):
            try:
                data = caller.socket.recv(MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                caller.is_gone = True
                return
            caller.has_spoken = True
            try:
                packets.append((caller, REQUEST.validate_json(data)))
            except ValidationError as exc:
                fault = exc.errors(include_url=False, include_input=False)[0]["msg"]
                caller.send(Refused(reason=f"not understood: {fault}"[:500]))

    def _bury(self) -> None:
        for caller in [caller for caller in self._callers if caller.is_gone]:
            self._callers.remove(caller)
            self._selector.unregister(caller.socket)
            caller.socket.close()


def _peer(end: socket.socket) -> int:
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[0])
