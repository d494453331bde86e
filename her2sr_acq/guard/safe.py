"""Puts light out without MMCore: opens a light's own port, sends, and reads the answer.

Knows nothing of processes: whoever calls has ended the holder of a shared port before.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self

from her2sr_acq.errors import LightError
from her2sr_acq.guard.settings import Exchange, SafeOff

CHUNK = 256
MAX_ANSWER = 4096
QUIET_S = 0.03
"""An answer without a line end is whole once nothing follows for so long."""


class Port(AbstractContextManager["Port"], Protocol):
    """A line of bytes to a light."""

    def send(self, data: bytes) -> None:
        """Send all of it. Raises `OSError`."""
        ...

    def receive(self, within_s: float) -> bytes:
        """Return what comes within that time, maybe nothing. Raises `OSError`."""
        ...


class UnixPort:
    """A port behind a unix socket, as the simulated microscope's is."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def receive(self, within_s: float) -> bytes:
        """Return what comes within that time."""
        self._socket.settimeout(within_s)
        try:
            data = self._socket.recv(CHUNK)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("the other side hung up")
        return data


class SerialPort:
    """A serial device."""

    def __init__(self, device: str, baud: int, *, timeout_s: float) -> None:
        import serial  # late: a microscope without serial lights never needs it

        self._serial = serial.Serial(
            device, baud, timeout=timeout_s, write_timeout=timeout_s, exclusive=True
        )
        self._serial.reset_input_buffer()  # what the former holder was still told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serial.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._serial.write(data)

    def receive(self, within_s: float) -> bytes:
        """Return what comes within that time."""
        self._serial.timeout = within_s
        first = bytes(self._serial.read(1))
        return first + bytes(self._serial.read(self._serial.in_waiting))


def open_port(name: str, runtime: Path, *, timeout_s: float) -> Port:
    """Open ``unix:NAME`` or ``serial:DEVICE:BAUD``. Raises `OSError`."""
    kind, _, rest = name.partition(":")
    if kind == "unix":
        return UnixPort(runtime / rest, timeout_s=timeout_s)
    device, _, baud = rest.rpartition(":")
    return SerialPort(device, int(baud), timeout_s=timeout_s)


def shut(way: SafeOff, runtime: Path) -> None:
    """Put the lines of one entry out. Raises `LightError` without the proof."""
    if way.port is None:
        return
    try:
        with open_port(way.port, runtime, timeout_s=way.timeout_s) as port:
            for exchange in way.exchanges:
                _exchange(port, exchange, way)
    except OSError as exc:
        raise LightError(
            f"{way.port} of the light of {_lines(way)} cannot be used ({exc}); check "
            f"that the light's controller is there and switched on",
            port=way.port,
        ) from exc


def shut_all(ways: Iterable[SafeOff], runtime: Path) -> None:
    """Put every line out. All are tried; raises the first `LightError`."""
    faults: list[LightError] = []
    for way in ways:
        try:
            shut(way, runtime)
        except LightError as exc:
            faults.append(exc)
    if faults:
        raise faults[0]


def _exchange(port: Port, exchange: Exchange, way: SafeOff) -> None:
    port.send(exchange.send.encode("ascii"))
    deadline = time.monotonic() + way.timeout_s
    answer = b""
    while (left_s := deadline - time.monotonic()) > 0 and len(answer) < MAX_ANSWER:
        is_good = re.fullmatch(exchange.expect, _text(answer), re.DOTALL) is not None
        try:
            data = port.receive(min(left_s, QUIET_S) if is_good else left_s)
        except ConnectionResetError:
            if not answer:
                raise
            break  # it said something, such as that it is busy, and hung up
        answer += data
        if is_good and not data:
            return
        if answer.endswith((b"\n", b"\r")) and re.fullmatch(
            exchange.expect, _text(answer), re.DOTALL
        ):
            return
    raise LightError(
        f"the light of {_lines(way)} answered {_text(answer)!r} instead of "
        f"'{exchange.expect}' on {way.port}; switch it off by hand and check its "
        f"controller",
        port=way.port,
    )


def _text(answer: bytes) -> str:
    return answer.decode("ascii", "replace").strip()


def _lines(way: SafeOff) -> str:
    return ", ".join(f"{nm}" for nm in way.nm) + " nm"
