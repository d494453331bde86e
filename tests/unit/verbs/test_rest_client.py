"""The REST client turns problem documents back into our errors."""

import httpx
import pytest

from her2sr_acq.client import Client
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import (
    PlanRejectedError,
    RunConflictError,
    ServiceUnavailableError,
)

REQUEST = RunRequest(protocol="demo", sample="s", operator="o")


def client(handler) -> Client:
    return Client("http://127.0.0.1:1", transport=httpx.MockTransport(handler))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("plan-rejected", PlanRejectedError),
        ("bad-request", PlanRejectedError),
        ("run-conflict", RunConflictError),
    ],
)
def test_a_problem_is_raised_as_what_it_is(code, error):
    problem = {"code": code, "detail": "no, because"}
    with (
        client(lambda _: httpx.Response(400, json=problem)) as rest,
        pytest.raises(error, match="no, because"),
    ):
        rest.submit(REQUEST, idempotency_key="k")


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"code": "x"}'])
def test_an_answer_that_is_no_problem_document_is_told_by_its_status(text):
    with (
        client(lambda _: httpx.Response(502, text=text)) as rest,
        pytest.raises(ServiceUnavailableError, match="answered 502"),
    ):
        rest.run("r")


def test_silence_asks_whether_the_service_runs():
    def refuse(request):
        raise httpx.ConnectError("refused", request=request)

    with (
        client(refuse) as rest,
        pytest.raises(ServiceUnavailableError, match="her2sr serve"),
    ):
        rest.run("r")


def test_the_key_goes_with_the_request():
    seen = []

    def handler(request):
        seen.append(request.headers["idempotency-key"])
        return httpx.Response(409, json={"code": "run-conflict", "detail": "busy"})

    with client(handler) as rest, pytest.raises(RunConflictError):
        rest.submit(REQUEST, idempotency_key="k7")
    assert seen == ["k7"]


def test_the_live_picture_comes_as_it_was_sent():
    def handler(request):
        assert request.url.path == "/api/v1/live.jpg"
        return httpx.Response(200, content=b"\xff\xd8picture")

    with client(handler) as rest:
        assert rest.live_jpeg() == b"\xff\xd8picture"


def test_a_latched_microscope_is_told_from_a_silent_one():
    latched = {"code": "latched", "detail": "no run may start: light"}
    with client(lambda _: httpx.Response(503, json=latched)) as rest:
        assert rest.latch() == "no run may start: light"
    with client(lambda _: httpx.Response(200, json={})) as rest:
        assert rest.latch() == ""
