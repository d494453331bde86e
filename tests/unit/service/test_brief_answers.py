"""Answers that hold for a moment."""

import threading

import pytest

from her2sr_acq.service.brief import Brief


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_made_once_a_second_however_many_ask():
    clock, made = Clock(), []
    brief = Brief(1.0, clock)

    def make() -> bytes:
        made.append(1)
        return str(len(made)).encode()

    assert [brief.get(make), brief.get(make)] == [b"1", b"1"]
    clock.now = 0.99
    assert brief.get(make) == b"1"
    clock.now = 1.0
    assert brief.get(make) == b"2"


def test_what_could_not_be_made_is_not_kept():
    brief = Brief(1.0, Clock())

    def fail() -> bytes:
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError):
        brief.get(fail)
    assert brief.get(lambda: b"now") == b"now"


def test_who_asks_meanwhile_waits_for_the_same_answer():
    brief, began, go = Brief(1.0, Clock()), threading.Event(), threading.Event()
    found = []

    def slow() -> bytes:
        began.set()
        assert go.wait(5.0)
        return b"slow"

    threads = [
        threading.Thread(target=lambda: found.append(brief.get(slow))),
        threading.Thread(target=lambda: found.append(brief.get(lambda: b"other"))),
    ]
    threads[0].start()
    assert began.wait(5.0)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(5.0)
    assert found == [b"slow", b"slow"]
