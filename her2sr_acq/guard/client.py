"""Anybody's end of the guard's socket: status, e-stop, rearm; a call per question."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import ValidationError

from her2sr_acq.errors import GuardError, LatchedError, PlanRejectedError
from her2sr_acq.guard.messages import (
    MAX_PACKET,
    REPLY,
    SOCKET,
    AskStatus,
    EStop,
    FromAnybody,
    Rearm,
    Refused,
    Status,
    Stopped,
    ToAcq,
    ToAnybody,
    clip,
    named,
)

DEADLINE_S = 2.0
"""More than the guard takes to give up proving darkness for the moment."""


class GuardClient:
    """Asks the guard of a runtime folder; connects anew for every question."""

    def __init__(self, runtime: Path, *, deadline_s: float = DEADLINE_S) -> None:
        self._path = runtime / SOCKET
        self._deadline_s = deadline_s

    def status(self) -> Status:
        """Return how guard and acq stand. Raises `GuardError` without an answer."""
        answer = self._ask(AskStatus())
        if not isinstance(answer, Status):
            raise _strange(answer)
        return answer

    def estop(self, *, by: str, reason: str) -> Stopped:
        """Order dark, and dark to stay. Raises `GuardError` without an answer."""
        answer = self._ask(EStop(by=named(by), reason=clip(reason)))
        if not isinstance(answer, Stopped):
            raise _strange(answer)
        return answer

    def rearm(self, *, by: str, reason: str) -> None:
        """Permit light again. Raises `LatchedError` when it must not be yet.

        Raises `PlanRejectedError` without a pseudonym, or a reason.
        """
        try:
            asked = Rearm(by=by, reason=clip(reason))
        except ValidationError as exc:
            fault = exc.errors(include_url=False)[0]["msg"]
            raise PlanRejectedError(fault.removeprefix("Value error, ")) from exc
        answer = self._ask(asked)
        if isinstance(answer, Refused):
            raise LatchedError(f"the light stays latched: {answer.reason}")

    def _ask(self, question: FromAnybody) -> ToAcq | ToAnybody:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
                end.settimeout(self._deadline_s)
                end.connect(str(self._path))
                end.send(question.model_dump_json().encode())
                return REPLY.validate_json(end.recv(MAX_PACKET))
        except (OSError, ValidationError) as exc:
            raise GuardError(
                f"the guard at {self._path} does not answer; start the service with "
                f"`her2sr serve`"
            ) from exc


def _strange(answer: ToAcq | ToAnybody) -> GuardError:
    reason = answer.reason if isinstance(answer, Refused) else answer.kind
    return GuardError(f"the guard did not answer what was asked: {reason}")
