"""What the localizer is asked, and how it answers: one JSON object each way.

``{"verb": ..., "body": {...}}`` gets ``{"ok": true, "body": {...}}`` or
``{"ok": false, "error": {"code", "message"}}``. Whoever asks never waits for a job.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, Self

import zmq
from pydantic import Field, JsonValue, ValidationError

from her2sr_proc.errors import ProcError, RequestError, StateError
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.schema.block import NAME, UnitKey
from her2sr_proc.schema.model import Frozen

Body = dict[str, JsonValue]
POLL_MS = 100
MAX_QUESTION_BYTES = 2**20
MAX_FOUND = 2048
"""Units and tiles whose nuclei are remembered: more than an overview has."""

log = logging.getLogger(__name__)


class Question(Frozen):
    """What is asked: a verb and its arguments."""

    verb: str = Field(min_length=1, max_length=64)
    body: Body = Field(default_factory=dict)


class CloseUnit(Frozen):
    """Arguments of ``close_unit``."""

    unit: UnitKey


class CloseField(Frozen):
    """Arguments of ``close_field``."""

    run: str = Field(pattern=NAME)
    field: str = Field(pattern=r"^r\d{2,3}_c\d{2,3}$")


class CloseRun(Frozen):
    """Arguments of ``close_run`` and ``scorable``."""

    run: str = Field(pattern=NAME)


class OverviewTile(CloseField):
    """Arguments of ``overview_nuclei``: a tile whose overview picture is on disk."""


class Closing(Protocol):
    """What the jobs do."""

    def close_unit(self, unit: UnitKey) -> object:
        """Make the table and the images of a unit."""
        ...

    def close_field(self, run: str, field: str) -> object:
        """Find the nuclei of a field and count."""
        ...

    def close_run(self, run: str) -> object:
        """Make the result and the report of a run."""
        ...


class Knowing(Protocol):
    """What is known of frames on disk."""

    def localizations(self, unit: UnitKey) -> Body:
        """Count the localizations of each block."""
        ...

    def summary(self, unit: UnitKey) -> Body:
        """Sum up a finished unit."""
        ...

    def nuclei(self, unit: UnitKey) -> Body:
        """Find the nuclei of a unit. Takes seconds."""
        ...

    def scorable(self, run: str) -> Body:
        """Count the nuclei of a run that may be scored by now."""
        ...

    def overview_nuclei(self, run: str, field: str) -> Body:
        """Find nuclei in the overview picture of a field."""
        ...


class Answerer:
    """Turns questions into jobs and answers. Knows no socket."""

    def __init__(
        self,
        jobs: Jobs,
        closing: Closing,
        counters: Callable[[], Body],
        facts: Knowing,
    ) -> None:
        self._jobs = jobs
        self._closing = closing
        self._counters = counters
        self._facts = facts
        self._found: OrderedDict[Frozen, Body] = OrderedDict()
        self._sought: dict[Frozen, str] = {}
        self._verbs: dict[str, Callable[[Body], Body]] = {
            "close_unit": self._close_unit,
            "close_field": self._close_field,
            "close_run": self._close_run,
            "status": self._status,
            "localizations": self._localizations,
            "unit_summary": self._unit_summary,
            "nuclei": self._nuclei,
            "scorable": self._scorable,
            "overview_nuclei": self._overview_nuclei,
        }

    def answer(self, data: bytes) -> Body:
        """Return the answer to one question, whatever it is."""
        try:
            question = Question.model_validate_json(data)
            if question.verb not in self._verbs:
                raise RequestError(
                    f"no verb '{question.verb}'; choose of: {', '.join(self._verbs)}"
                )
            return {"ok": True, "body": self._verbs[question.verb](question.body)}
        except ValidationError as exc:
            fault = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or "question"
            return _refusal(RequestError.code, f"'{where}': {fault['msg']}")
        except ProcError as exc:
            return _refusal(exc.code, str(exc))

    def _close_unit(self, body: Body) -> Body:
        unit = CloseUnit.model_validate(body).unit
        name = f"close_unit-{unit.field}-{unit.channel}"
        return {"job": self._jobs.submit(name, lambda: self._closing.close_unit(unit))}

    def _close_field(self, body: Body) -> Body:
        asked = CloseField.model_validate(body)
        job = self._jobs.submit(
            f"close_field-{asked.field}",
            lambda: self._closing.close_field(asked.run, asked.field),
        )
        return {"job": job}

    def _close_run(self, body: Body) -> Body:
        asked = CloseRun.model_validate(body)
        return {
            "job": self._jobs.submit(
                "close_run", lambda: self._closing.close_run(asked.run)
            )
        }

    def _localizations(self, body: Body) -> Body:
        return self._facts.localizations(CloseUnit.model_validate(body).unit)

    def _unit_summary(self, body: Body) -> Body:
        return self._facts.summary(CloseUnit.model_validate(body).unit)

    def _scorable(self, body: Body) -> Body:
        return self._facts.scorable(CloseRun.model_validate(body).run)

    def _nuclei(self, body: Body) -> Body:
        unit = CloseUnit.model_validate(body).unit
        name = f"nuclei-{unit.field}-{unit.channel}"
        return self._sought_for(name, unit, lambda: self._facts.nuclei(unit))

    def _overview_nuclei(self, body: Body) -> Body:
        tile = OverviewTile.model_validate(body)
        return self._sought_for(
            f"overview_nuclei-{tile.field}",
            tile,
            lambda: self._facts.overview_nuclei(tile.run, tile.field),
        )

    def _sought_for(self, name: str, key: Frozen, find: Callable[[], Body]) -> Body:
        """Return what is found, once it is; until then only that it is not.

        The first question begins the search, which is a job like any other.
        """
        if key in self._found:
            return {"done": True, **self._found[key]}
        job = self._sought.get(key)
        if job is None or (fault := self._jobs.view().failed.get(job)) is None:
            if job is None:
                self._sought[key] = self._jobs.submit(
                    name, lambda: self._seek(key, find)
                )
            return {"done": False}
        del self._sought[key]
        raise StateError(f"the nuclei could not be found: {fault}")

    def _seek(self, key: Frozen, find: Callable[[], Body]) -> None:
        self._found[key] = find()
        self._sought.pop(key, None)
        while len(self._found) > MAX_FOUND:
            self._found.popitem(last=False)

    def _status(self, _: Body) -> Body:
        view = self._jobs.view()
        return {
            "queued": view.queued,
            "done": list(view.done),
            "failed": dict(view.failed),
            **self._counters(),
        }


def _refusal(code: str, message: str) -> Body:
    return {"ok": False, "error": {"code": code, "message": message}}


class QuestionServer:
    """A REP socket and the thread that serves it, as a context manager."""

    def __init__(self, address: str, answerer: Answerer) -> None:
        self._address = address
        self._answerer = answerer
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name="questions", daemon=True
        )
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)

    def __enter__(self) -> Self:
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_QUESTION_BYTES)
        self._socket.bind(self._address)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._context.term()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(POLL_MS):
                data = b"".join(self._socket.recv_multipart())
                self._socket.send_json(self._answer(data))

    def _answer(self, data: bytes) -> Body:
        try:
            return self._answerer.answer(data)
        except Exception as exc:  # a socket that does not answer would be stuck
            log.exception("a question could not be answered")
            return _refusal("internal", f"{type(exc).__name__}: {exc}")
