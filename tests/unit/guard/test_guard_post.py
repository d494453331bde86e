"""The guard's socket is never held by those who say nothing."""

import socket
from contextlib import ExitStack

import pytest
from short import short_folder

from her2sr_acq.guard.messages import AskStatus
from her2sr_acq.guard.post import MAX_CALLERS, Post


@pytest.fixture
def path():
    with short_folder() as folder:
        yield folder / "guard.sock"


def call(path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end.settimeout(2.0)
    end.connect(str(path))
    return end


def test_a_crowd_that_says_nothing_keeps_nobody_from_being_heard(path):
    asked = AskStatus().model_dump_json().encode()
    with Post(path) as post, ExitStack() as crowd:
        for _ in range(MAX_CALLERS + 8):
            crowd.enter_context(call(path))
            post.receive(0.1)
        caller = crowd.enter_context(call(path))
        post.receive(0.1)
        caller.send(asked)
        ((_, heard),) = post.receive(1.0)
    assert heard == AskStatus()


def test_who_has_spoken_is_not_hung_up_on_for_a_newcomer(path):
    asked = AskStatus().model_dump_json().encode()
    with Post(path) as post, ExitStack() as crowd:
        first = crowd.enter_context(call(path))
        post.receive(0.1)
        first.send(asked)
        ((known, _),) = post.receive(1.0)
        for _ in range(MAX_CALLERS + 8):
            crowd.enter_context(call(path))
            post.receive(0.1)
        assert not known.is_gone
        first.send(asked)
        assert [heard for _, heard in post.receive(1.0)] == [AskStatus()]
