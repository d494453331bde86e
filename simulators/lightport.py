"""The one line that commands the light, exclusive as a laser combiner's serial port is.

ASCII lines over a unix socket. Whoever is connected holds the port; a second caller
reads ``BUSY`` and is hung up on. When the holder dies, the port is free and the light
is as it was: nothing here turns anything off by itself.

====================  =======================================
``561:POW 40.0``      set the power of a line, in percent
``561:ON``            let its light out; ``561:OFF`` shuts it
``561:?``             ``561:ON POW 40.0 OUT 40.0``
``561:FAULT?``        ``561:FAULT 0``, or 1: the laser reports a fault
``ALL:OFF``           shut every line
``INT:?``             ``INT:CLOSED`` or ``INT:OPEN``, the interlock
``?``                 who is there: ``LIGHT 405 488 561``
====================  =======================================

A command is answered with ``OK`` and itself, or with ``ERR`` and the reason.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from her2sr_acq.errors import DeviceError, DeviceTimeoutError

log = logging.getLogger(__name__)

PORT = "light.port"
MAX_LINE = 256
DEADLINE_S = 2.0
JOIN_S = 2.0
PAUSE_S = 0.01
BUSY = b"BUSY\n"


class Switchboard(Protocol):
    """What stands behind the port. Answers at once, from any thread."""

    @property
    def lines_nm(self) -> tuple[int, ...]:
        """Wavelengths of the lines."""
        ...

    def set_power(self, nm: int, percent: float) -> None:
        """Set the power of one line; ValueError when it cannot be."""
        ...

    def switch(self, nm: int, *, on: bool) -> None:
        """Open or shut one line; KeyError when there is none such."""
        ...

    def all_off(self) -> None:
        """Shut every line."""
        ...

    def describe(self, nm: int) -> str:
        """Return ``ON|OFF POW percent OUT percent`` of one line."""
        ...

    def has_fault(self, nm: int) -> bool:
        """Return whether a laser reports a fault; KeyError: no such line."""
        ...

    def interlock_is_open(self) -> bool:
        """Return whether the interlock is open."""
        ...

    def is_mute(self) -> bool:
        """Return whether the port neither obeys nor answers."""
        ...


def answer(lights: Switchboard, line: str) -> str:
    """Carry out one command and return its answer."""
    name, _, command = line.strip().upper().partition(":")
    if name == "?":
        return " ".join(["LIGHT", *map(str, lights.lines_nm)])
    if (name, command) == ("INT", "?"):
        return f"INT:{'OPEN' if lights.interlock_is_open() else 'CLOSED'}"
    try:
        if (name, command) == ("ALL", "OFF"):
            lights.all_off()
            return "OK ALL:OFF"
        nm = int(name)
        if command == "?":
            return f"{nm}:{lights.describe(nm)}"
        if command == "FAULT?":
            return f"{nm}:FAULT {lights.has_fault(nm):d}"
        _command(lights, nm, command)
    except KeyError:
        return f"ERR no line {name}"
    except ValueError as exc:
        return f"ERR {exc}"
    return f"OK {nm}:{command}"


def _command(lights: Switchboard, nm: int, command: str) -> None:
    verb, _, value = command.partition(" ")
    if verb == "POW":
        lights.set_power(nm, float(value))
    elif verb in ("ON", "OFF") and not value:
        lights.switch(nm, on=verb == "ON")
    else:
        raise ValueError(f"unknown command {command!r}")


class LightServer:
    """The microscope's end: one thread, one holder at a time."""

    def __init__(self, path: Path, lights: Switchboard) -> None:
        self._lights = lights
        self._path = path
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._wake, self._woken = socket.socketpair()
        self._holder: socket.socket | None = None
        self._received = b""
        self._thread = threading.Thread(
            target=self._serve, name="light-port", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up and free the path; the light stays as it is."""
        self._wake.send(b"x")
        self._thread.join(JOIN_S)
        for end in (self._listener, self._holder, self._wake, self._woken):
            if end is not None:
                end.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    return
                # The holder first: its death must be seen before the next caller is.
                if self._holder is not None and self._holder in ready:
                    self._hear(self._holder, selector)
                if self._listener in ready:
                    self._accept(selector)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        caller, _ = self._listener.accept()
        if self._holder is not None:
            with suppress(OSError):
                caller.send(BUSY)
            caller.close()
            return
        caller.settimeout(DEADLINE_S)
        self._holder, self._received = caller, b""
        selector.register(caller, selectors.EVENT_READ)

    def _hear(self, holder: socket.socket, selector: selectors.BaseSelector) -> None:
        try:
            data = holder.recv(MAX_LINE)
            self._received += data
            if data and len(self._received) <= 4 * MAX_LINE:
                self._reply(holder)
                return
        except OSError:
            log.warning("the holder of the light port went away during an answer")
        selector.unregister(holder)
        holder.close()
        self._holder = None

    def _reply(self, holder: socket.socket) -> None:
        *lines, self._received = self._received.split(b"\n")
        if self._lights.is_mute():
            return
        for line in lines:
            said = answer(self._lights, line.decode("ascii", "replace"))
            holder.sendall(said.encode() + b"\n")


class LightPort:
    """The controller's end. Holds the port from construction to `close`."""

    def __init__(
        self,
        path: Path,
        *,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the port, trying again while another holds it until the deadline.

        Raises `DeviceError` when it stays busy or nobody listens.
        """
        self._path = path
        self._lock = threading.Lock()
        self._deadline_s = deadline_s
        deadline = clock() + deadline_s
        while (taken := _take(path, deadline_s)) is None:
            if clock() >= deadline:
                raise DeviceError(
                    f"the light port {path} is held by another process; end that "
                    f"process, or wait until it is done",
                    port=str(path),
                )
            sleep(PAUSE_S)
        self._socket = taken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def exchange(self, line: str) -> str:
        """Send one command and return its answer.

        Raises `DeviceTimeoutError` without an answer, `DeviceError` on a refusal.
        """
        with self._lock:
            said = self._exchange(line)
        if said.startswith("ERR"):
            raise DeviceError(f"the light refused '{line}': {said[4:]}", command=line)
        return said

    def close(self) -> None:
        """Free the port; the light stays as it is. Safe to call twice."""
        self._socket.close()

    def _exchange(self, line: str) -> str:
        try:
            self._socket.sendall(line.encode("ascii") + b"\n")
            return _read_line(self._socket)
        except TimeoutError as exc:
            raise DeviceTimeoutError(
                f"no answer to '{line}' on {self._path} within {self._deadline_s:g} s",
                command=line,
            ) from exc
        except OSError as exc:
            raise DeviceError(
                f"the light port {self._path} broke during '{line}': {exc}; the light "
                f"may be on",
                command=line,
            ) from exc


def _take(path: Path, deadline_s: float) -> socket.socket | None:
    """Connect and ask; None when the port is busy."""
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(deadline_s)
    try:
        caller.connect(str(path))
        caller.sendall(b"?\n")
        if _read_line(caller) != BUSY.decode().strip():
            return caller
    except (ConnectionResetError, BrokenPipeError):
        log.debug("the light port hung up: it is busy")
    except OSError as exc:
        caller.close()
        raise DeviceError(
            f"nobody answers on the light port {path} ({exc}); start the simulated "
            f"microscope",
            port=str(path),
        ) from exc
    caller.close()
    return None


def _read_line(end: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        data = end.recv(MAX_LINE)
        if not data:
            raise ConnectionResetError("the other side hung up")
        line += data
    return line.decode("ascii", "replace").rstrip("\n")
