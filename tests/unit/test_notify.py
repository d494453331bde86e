"""What systemd is told of the service, and when."""

import socket
import threading

import pytest

from her2sr_acq.notify import Notifier
from her2sr_acq.verbs import serve as verb


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5.0)
        yield end


def test_it_is_told_when_all_answers_that_it_lives_and_that_it_ends(
    manager, tmp_path, monkeypatch
):
    class Launcher:
        url = "http://127.0.0.1:8000"

        def __init__(self, *_, **__): ...

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def wait(self, ended, *, alive):
            alive()

    monkeypatch.setattr(verb, "Launcher", Launcher)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setattr(verb.signal, "signal", lambda *_: None)
    said = []
    verb.serve(
        tmp_path / "config.yaml",
        tmp_path,
        verb.Listen("127.0.0.1", 8000),
        only=(),
        say=said.append,
    )
    heard = [manager.recv(1000).decode() for _ in range(3)]
    assert heard[0].splitlines()[0] == "READY=1"
    assert "answers at http://127.0.0.1:8000" in heard[0]
    assert heard[1:] == ["WATCHDOG=1", "STOPPING=1"]


def test_without_a_manager_nothing_is_said():
    assert Notifier.from_environment({}) == Notifier()
    Notifier().say("READY=1")


def test_a_manager_that_is_gone_is_no_fault_of_the_service(tmp_path):
    Notifier(str(tmp_path / "nowhere")).say("READY=1")
    assert list(tmp_path.iterdir()) == []


def test_an_abstract_socket_is_reached_too():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0her2sr-test-{threading.get_ident()}")
        end.settimeout(5.0)
        name = "@" + end.getsockname()[1:].decode()
        Notifier(name).say("READY=1")
        assert end.recv(100) == b"READY=1"
