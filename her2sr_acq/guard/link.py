"""Acq's end of the guard's socket: beats from a thread of its own, permits on request.

Knows nothing of devices: what going dark means is said by `on_dark`.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from her2sr_acq.errors import GuardError, LatchedError
from her2sr_acq.guard.messages import (
    MAX_PACKET,
    REPLY,
    SOCKET,
    Beat,
    Dark,
    FromAcq,
    Granted,
    Obeyed,
    Permit,
    Refused,
    Release,
    SetLatch,
    Standing,
    ToAcq,
    ToAnybody,
    clip,
)
from her2sr_acq.guard.ports import LatchKind, OnDark

log = logging.getLogger(__name__)

BEAT_S = 0.1
ANSWER_S = 0.3
CONNECT_S = 2.0
SEND_S = 1.0
JOIN_S = 3.0
GONE = "the guard is gone"


class GuardLink:
    """A `LightGuard` that asks a guard process. Entered and left with `with`."""

    def __init__(
        self,
        runtime: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        beat_s: float = BEAT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._path = runtime / SOCKET
        self._clock = clock
        self._beat_s = beat_s
        self._answer_s = answer_s
        self._changed = threading.Condition()
        self._granted: Granted | None = None
        self._latched: str | None = None
        self._number = 0
        self._progress = 0
        self._state = {"phase": "", "run": "", "trouble": ""}
        self._act: OnDark | None = None
        self._gone = ""
        self._ending = threading.Event()
        self._sending = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._poll = select.poll()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def __enter__(self) -> Self:
        """Connect and begin to beat. Raises `GuardError` when no guard answers."""
        self._socket.settimeout(SEND_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as exc:
            self._socket.close()
            raise GuardError(
                f"no guard listens at {self._path} ({exc}); start the service with "
                f"`her2sr serve`, which starts the guard first"
            ) from exc
        self._poll.register(self._socket, select.POLLIN)
        self._thread.start()
        with self._changed:
            known = self._changed.wait_for(self._is_settled, CONNECT_S)
        if not known or self._gone:
            self.__exit__()
            raise GuardError(
                f"the guard does not answer within {CONNECT_S:g} s; look into guard.log"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)
        self._socket.close()

    def permit(self, nm: int, *, seconds: float) -> None:
        """Ask for light on one line until ``seconds`` from now."""
        if self.latched:
            raise self._refusal(nm, self.latched)
        with self._changed:
            self._number += 1
            number, self._granted = self._number, None
        self._send(Permit(number=number, nm=nm, seconds=seconds))
        with self._changed:
            self._changed.wait_for(
                lambda: self._gone or self._answers(number), self._answer_s
            )
            granted = self._granted if self._answers(number) else None
        if granted is None:
            # It may have been granted since: without this the guard would wait for us.
            self.release()
            raise GuardError(
                self._gone or f"the guard did not answer within {self._answer_s:g} s",
                nm=nm,
            )
        if granted.refusal:
            raise self._refusal(nm, granted.refusal)

    def release(self) -> None:
        """Give the permit back: the light was read back as off."""
        if not self._gone:
            self._send(Release())

    def pulse(self) -> None:
        """Say that the engine's thread moves on."""
        self._progress += 1

    def latch(self, kind: LatchKind, cause: str) -> None:
        """Latch: no light until a person rearms."""
        with self._changed:
            self._latched = self._latched or f"{kind}: {cause}"
        self._send(SetLatch(kind=kind, cause=clip(cause)))

    @property
    def latched(self) -> str:
        """Why no light is permitted; empty when it is."""
        return self._gone or self._latched or ""

    def on_dark(self, act: OnDark) -> None:
        """Say what to call when the guard orders dark, or is gone."""
        self._act = act

    def describe(
        self,
        *,
        phase: str | None = None,
        run: str | None = None,
        trouble: str | None = None,
    ) -> None:
        """Say what the guard's status shows; ``trouble`` forbids a rearm."""
        told = {"phase": phase, "run": run, "trouble": trouble}
        news = {name: clip(text) for name, text in told.items() if text is not None}
        before, self._state = self._state, {**self._state, **news}
        if self._state != before and not self._gone:
            self._beat()  # a rearm must not come before an interlock is known

    def _refusal(self, nm: int, why: str) -> GuardError | LatchedError:
        kind = LatchedError if self._latched and not self._gone else GuardError
        return kind(f"no light on {nm} nm: {why}", nm=nm)

    def _answers(self, number: int) -> bool:
        return self._granted is not None and self._granted.number == number

    def _is_settled(self) -> bool:
        return self._latched is not None or bool(self._gone)

    def _send(self, message: FromAcq) -> None:
        try:
            with self._sending:
                self._socket.send(message.model_dump_json().encode())
        except OSError as exc:
            if not self._ending.is_set():
                log.warning("the guard cannot be told: %s", exc)

    def _beat(self) -> None:
        self._send(Beat(progress=self._progress, **self._state))

    def _run(self) -> None:
        beat_at = self._clock()
        while not self._ending.is_set() and not self._gone:
            now = self._clock()
            if now >= beat_at:
                self._beat()
                beat_at = max(beat_at + self._beat_s, now)
            self._receive(within_s=max(beat_at - self._clock(), 0.001))
        if self._gone:
            self._obey(self._gone)

    def _receive(self, *, within_s: float) -> None:
        if not self._poll.poll(within_s * 1000.0):
            return
        try:
            data = self._socket.recv(MAX_PACKET)
        except OSError as exc:
            log.warning("the guard cannot be heard: %s", exc)
            data = b""
        if not data:
            log.error(GONE)
            with self._changed:
                self._gone = GONE
                self._changed.notify_all()
            return
        try:
            self._hear(REPLY.validate_json(data))
        except ValidationError:
            log.exception("the guard said what is not understood")

    def _hear(self, message: ToAcq | ToAnybody) -> None:
        if isinstance(message, Granted | Standing):
            with self._changed:
                if isinstance(message, Granted):
                    self._granted = message
                else:
                    self._latched = message.latched
                self._changed.notify_all()
        elif isinstance(message, Dark):
            if self._obey(message.reason):
                self._send(Obeyed())
        elif isinstance(message, Refused):
            log.warning("the guard refuses: %s", message.reason)

    def _obey(self, reason: str) -> bool:
        """Go dark; return whether somebody was there to do it."""
        if self._act is None:
            return False
        try:
            self._act(reason)
        except Exception:  # foreign code; the guard ends us when we do not obey
            log.exception("the light could not be put out on order")
            return False
        return True
