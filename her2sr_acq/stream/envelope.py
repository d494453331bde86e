"""One question, one answer, one deadline: the JSON envelope of the request sockets.

Control and localizer speak it alike. A question is asked over a socket of its own, so
that one without an answer cannot confuse the next, and any thread may ask.
"""

from __future__ import annotations

import zmq
from pydantic import Field, JsonValue, ValidationError

from her2sr_acq.errors import ServiceUnavailableError
from her2sr_proc.schema.model import Frozen

MAX_QUESTION_BYTES = 2**20
MAX_ANSWER_BYTES = 16 * 2**20

Body = dict[str, JsonValue]


class Question(Frozen):
    """What is asked: a verb and its arguments."""

    verb: str = Field(min_length=1, max_length=64)
    body: Body = Field(default_factory=dict)
    fence: int | None = Field(
        default=None, ge=0, description="of the lease an order comes under"
    )
    by: str = Field(default="", max_length=64, description="who gives an order")


class Fault(Frozen):
    """Why a question was refused."""

    code: str
    message: str


class Answer(Frozen):
    """What came back: a body, or a fault."""

    ok: bool
    body: Body = Field(default_factory=dict)
    error: Fault | None = None


def ask(address: str, verb: str, body: Body, *, deadline_s: float) -> Answer:
    """Send one question and return its answer. Raises as `put`."""
    return put(address, Question(verb=verb, body=body), deadline_s=deadline_s)


def put(address: str, asked: Question, *, deadline_s: float) -> Answer:
    """Send one question and return its answer.

    Raises `ServiceUnavailableError` when nobody answers within ``deadline_s``, or the
    answer is not one.
    """
    verb = asked.verb
    question = asked.model_dump_json(exclude_defaults=True).encode()
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
        socket.connect(address)
        socket.send(question)
        if not socket.poll(round(1000 * deadline_s)):
            raise ServiceUnavailableError(
                f"no answer to '{verb}' within {deadline_s:g} s on {address}",
                verb=verb,
                address=address,
            )
        reply = socket.recv()
    try:
        return Answer.model_validate_json(reply)
    except ValidationError as exc:
        raise ServiceUnavailableError(
            f"the answer to '{verb}' on {address} cannot be understood; both sides "
            f"must be of the same version",
            verb=verb,
        ) from exc
