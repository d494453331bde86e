"""The control socket: the desk seen through ZeroMQ, also by those who mumble."""

import time

import pytest
import zmq
from short import short_folder
from stations import protocol, request, rig

from her2sr_acq.control import ControlClient
from her2sr_acq.control_server import ControlServer
from her2sr_acq.errors import (
    InternalError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
    ServiceUnavailableError,
)
from her2sr_acq.runtime import CONTROL, address
from her2sr_acq.stream.envelope import Answer

SMALL = request(plan=protocol(columns=1, frames=10))


@pytest.fixture
def runtime():
    with short_folder() as folder:
        yield folder


@pytest.fixture
def bench(tmp_path, runtime):
    with (
        rig(tmp_path) as bench,
        ControlServer(bench.desk, address(runtime, CONTROL)),
    ):
        yield bench


@pytest.fixture
def client(bench, runtime):
    return ControlClient(runtime, deadline_s=5.0)


def test_a_run_is_submitted_and_seen_through_the_socket(bench, client):
    accepted = client.submit(SMALL, idempotency_key="k1")
    bench.finish()
    assert client.run(accepted.id) == bench.desk.run(accepted.id)
    assert client.runs() == bench.desk.runs()
    assert client.fields(accepted.id) == bench.desk.fields(accepted.id)
    assert client.submit(SMALL, idempotency_key="k1").id == accepted.id


def test_health_devices_and_protocols_arrive_as_they_are(bench, client):
    assert client.health().configuration == "fake"
    assert client.devices().devices == bench.desk.devices().devices
    assert client.protocols() == bench.desk.protocols()


def test_a_mistake_of_the_hardware_process_arrives_as_one(bench, client, monkeypatch):
    monkeypatch.setattr(bench.desk, "preflight", lambda _: 1 / 0)
    with pytest.raises(InternalError, match=r"ZeroDivisionError.*see the log of acq"):
        client.preflight(SMALL)


def test_a_refusal_arrives_as_the_error_it_was(bench, client):
    with pytest.raises(RunNotFoundError, match="no run 'r9'"):
        client.run("r9")
    with pytest.raises(PlanRejectedError, match="choose one of: demo"):
        client.submit(SMALL.model_copy(update={"plan": None, "protocol": "x"}))
    done = client.submit(SMALL)
    bench.finish()
    with pytest.raises(RunConflictError, match="cannot stop a run that is completed"):
        client.stop(done.id)


MUMBLES = [
    pytest.param([b"not json"], "Invalid JSON", id="garbage"),
    pytest.param([b'{"verb": "fly", "body": {}}'], "no verb 'fly'", id="verb"),
    pytest.param([b'{"verb": "run", "body": {}}'], "'id'", id="missing key"),
    pytest.param([b'{"verb": "health", "body": {"a": 1}}'], "'a'", id="extra key"),
    pytest.param([b'{"verb": "health"', b"}"], None, id="two parts"),
    pytest.param([b"\xff\xfe"], "", id="no text"),
]


@pytest.mark.parametrize(("parts", "message"), MUMBLES)
def test_every_message_is_answered(bench, runtime, parts, message):
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address(runtime, CONTROL))
        socket.send_multipart(parts)
        assert socket.poll(3000)
        answer = Answer.model_validate_json(socket.recv())
    assert answer.ok is (message is None)
    if message is not None:
        assert answer.error.code == "plan-rejected"
        assert message in answer.error.message


def test_an_error_in_a_handler_is_an_answer_and_not_the_end(bench, client, caplog):
    bench.desk.health = lambda: 1 / 0
    with pytest.raises(Exception, match="ZeroDivisionError"):
        client.health()
    assert "could not be answered" in caplog.text
    assert client.runs() == []


def test_an_oversized_message_does_not_stop_the_server(bench, runtime, client):
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address(runtime, CONTROL))
        socket.send(b"x" * (2**20 + 1))
        assert not socket.poll(100)
    assert client.health().active_run is None


def test_nobody_there_is_said_at_once(runtime):
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError, match="nobody listens"):
        ControlClient(runtime, deadline_s=5.0).health()
    assert time.monotonic() - began < 4.0  # well before the deadline of 5 s


def test_somebody_silent_is_said_within_the_deadline(runtime):
    with zmq.Context() as context, context.socket(zmq.REP) as silent:
        silent.setsockopt(zmq.LINGER, 0)
        silent.bind(address(runtime, CONTROL))
        with pytest.raises(ServiceUnavailableError, match=r"no answer to 'health'"):
            ControlClient(runtime, deadline_s=0.1).health()
