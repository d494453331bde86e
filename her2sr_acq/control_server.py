"""The control socket of the hardware process, seen from inside: a thread that answers.

Every message gets an answer, also a malformed one; an error of a handler is an answer,
too. Knows verbs and bodies, not what they do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Self

import zmq
from pydantic import Field, TypeAdapter, ValidationError

from her2sr_acq.engine.choice_views import SelectionRequest
from her2sr_acq.engine.database import LISTED
from her2sr_acq.engine.desk import Desk
from her2sr_acq.engine.fence import Fence
from her2sr_acq.engine.hand_views import Jog, SnapRequest, StagePosition
from her2sr_acq.engine.views import (
    FieldView,
    ProtocolView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.errors import AcqError, InternalError, PlanRejectedError
from her2sr_acq.stream.envelope import (
    MAX_QUESTION_BYTES,
    Answer,
    Body,
    Fault,
    Question,
)
from her2sr_acq.yaml_file import describe
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.model import Frozen

log = logging.getLogger(__name__)

POLL_MS = 100
JOIN_S = 10.0
"""Longer than the longest question to a device."""
VERBS = frozenset(
    {
        *("submit", "runs", "run", "fields", "pause", "resume", "stop", "retake"),
        *("selection", "choose"),
        *("preflight", "devices", "health", "protocols", "move"),
        *("where", "jog", "mark", "marks", "clear_marks", "snap"),
        "examine",
    }
)
ORDERS = frozenset(
    {
        *("submit", "pause", "resume", "stop", "retake", "choose", "move"),
        *("jog", "mark", "clear_marks", "snap"),
    }
)
"""Verbs that change something: they come under a lease, where there are leases."""

_RUNS: TypeAdapter[list[RunView]] = TypeAdapter(list[RunView])
_FIELDS: TypeAdapter[list[FieldView]] = TypeAdapter(list[FieldView])
_PROTOCOLS: TypeAdapter[list[ProtocolView]] = TypeAdapter(list[ProtocolView])


class Submit(Frozen):
    """Body of ``submit``."""

    request: RunRequest
    idempotency_key: str | None = None


class Named(Frozen):
    """Body of a verb about one run."""

    id: str = Field(max_length=64)


class Stop(Named, StopRequest):
    """Body of ``stop``."""


class Retake(Named, RetakeRequest):
    """Body of ``retake``."""

    field: str = Field(max_length=64)


class Choose(Named):
    """Body of ``choose``."""

    choice: SelectionRequest


class Asked(Frozen):
    """Body of ``preflight``."""

    request: RunRequest


class Paged(Frozen):
    """Body of ``runs``."""

    limit: int = Field(default=LISTED, ge=1, le=LISTED)
    before: str = Field(default="", max_length=64)


class Marking(Frozen):
    """Body of ``mark``."""

    name: str = Field(pattern=NAME)


class Nothing(Frozen):
    """Body of a verb that takes no arguments."""


class ControlServer:
    """Answers on a thread of its own. Entered and left with `with`."""

    def __init__(self, desk: Desk, address: str) -> None:
        self._desk = desk
        self._verbs: dict[str, Callable[[Body], Body]] = {
            "submit": self._submit,
            "runs": self._runs,
            "run": self._run_view,
            "fields": self._fields,
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "retake": self._retake,
            "selection": self._selection,
            "choose": self._choose,
            "preflight": self._preflight,
            "devices": self._devices,
            "health": self._health,
            "protocols": self._protocols,
            "move": self._move,
            "where": self._where,
            "jog": self._jog,
            "mark": self._mark,
            "marks": self._marks,
            "clear_marks": self._clear_marks,
            "snap": self._snap,
            "examine": self._examine,
        }
        self._fence = Fence()
        self._ending = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_QUESTION_BYTES)
        self._socket.bind(address)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            log.error("the control thread did not end within %g s", JOIN_S)
            return
        self._socket.close()
        self._context.term()

    def answer(self, message: bytes) -> Answer:
        """Return the answer to one message, whatever it is."""
        try:
            question = Question.model_validate_json(message)
            return Answer(ok=True, body=self._handle(question))
        except AcqError as exc:
            return _refusal(exc.code, str(exc))
        except ValidationError as exc:
            return _refusal(PlanRejectedError.code, describe(exc))
        except Exception as exc:  # top of a thread: whoever asks must not wait
            log.exception("a question could not be answered")
            return _refusal(
                InternalError.code,
                f"unexpected fault ({type(exc).__name__}: {exc}); see the log of acq",
            )

    def _serve(self) -> None:
        while not self._ending.is_set():
            if self._socket.poll(POLL_MS):
                # a question of several parts is no question, and its answer says so
                parts = self._socket.recv_multipart()
                reply = self.answer(b"".join(parts))
                self._socket.send(reply.model_dump_json().encode())

    def _handle(self, question: Question) -> Body:
        handler = self._verbs.get(question.verb)
        if handler is None:
            raise PlanRejectedError(
                f"no verb '{question.verb}'; known are: {', '.join(self._verbs)}"
            )
        if question.verb not in ORDERS:
            return handler(question.body)
        self._fence.require(question.fence)
        body = handler(question.body)
        log.info("%s by %s", question.verb, question.by or "the command line")
        if question.by and isinstance(run := body.get("id"), str):
            self._desk.witness(run, question.verb, question.by)
        return body

    def _submit(self, body: Body) -> Body:
        asked = Submit.model_validate(body)
        view = self._desk.submit(asked.request, idempotency_key=asked.idempotency_key)
        return view.model_dump(mode="json")

    def _runs(self, body: Body) -> Body:
        asked = Paged.model_validate(body)
        views = self._desk.runs(limit=asked.limit, before=asked.before)
        return {"runs": _RUNS.dump_python(views, mode="json")}

    def _run_view(self, body: Body) -> Body:
        return self._desk.run(Named.model_validate(body).id).model_dump(mode="json")

    def _fields(self, body: Body) -> Body:
        fields = self._desk.fields(Named.model_validate(body).id)
        return {"fields": _FIELDS.dump_python(fields, mode="json")}

    def _pause(self, body: Body) -> Body:
        return self._desk.helm.pause(Named.model_validate(body).id).model_dump(
            mode="json"
        )

    def _resume(self, body: Body) -> Body:
        return self._desk.helm.resume(Named.model_validate(body).id).model_dump(
            mode="json"
        )

    def _stop(self, body: Body) -> Body:
        asked = Stop.model_validate(body)
        return self._desk.helm.stop(asked.id, burst=asked.burst).model_dump(mode="json")

    def _retake(self, body: Body) -> Body:
        asked = Retake.model_validate(body)
        view = self._desk.helm.retake(asked.id, asked.field, asked.channels)
        return view.model_dump(mode="json")

    def _selection(self, body: Body) -> Body:
        named = Named.model_validate(body)
        return self._desk.choices.look(named.id).model_dump(mode="json")

    def _choose(self, body: Body) -> Body:
        asked = Choose.model_validate(body)
        return self._desk.choices.choose(asked.id, asked.choice).model_dump(mode="json")

    def _preflight(self, body: Body) -> Body:
        asked = Asked.model_validate(body)
        return self._desk.preflight(asked.request).model_dump(mode="json")

    def _move(self, body: Body) -> Body:
        return self._desk.move(StagePosition.model_validate(body)).model_dump()

    def _devices(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.devices().model_dump(mode="json")

    def _where(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.hands.where().model_dump(mode="json")

    def _jog(self, body: Body) -> Body:
        return self._desk.hands.jog(Jog.model_validate(body)).model_dump(mode="json")

    def _mark(self, body: Body) -> Body:
        name = Marking.model_validate(body).name
        return self._desk.hands.mark(name).model_dump(mode="json")

    def _marks(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.hands.marks().model_dump(mode="json")

    def _clear_marks(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.hands.clear_marks().model_dump(mode="json")

    def _snap(self, body: Body) -> Body:
        asked = SnapRequest.model_validate(body)
        return self._desk.hands.snap(asked).model_dump(mode="json")

    def _examine(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.doctor.examine().model_dump(mode="json")

    def _health(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return self._desk.health().model_dump(mode="json")

    def _protocols(self, body: Body) -> Body:
        Nothing.model_validate(body)
        return {
            "protocols": _PROTOCOLS.dump_python(self._desk.protocols(), mode="json")
        }


def _refusal(code: str, message: str) -> Answer:
    return Answer(ok=False, error=Fault(code=code, message=message))
