"""Acq's end of the guard's socket, against a guard that the test plays."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from guards import until
from short import short_folder

from her2sr_acq.errors import GuardError, LatchedError
from her2sr_acq.guard.link import GONE, GuardLink
from her2sr_acq.guard.messages import (
    REQUEST,
    SOCKET,
    Beat,
    Dark,
    Granted,
    Obeyed,
    Permit,
    Release,
    SetLatch,
    Standing,
)


class PlayedGuard:
    """Listens, keeps what it hears, and says what the test wants."""

    def __init__(self, runtime, *, latched: str = "") -> None:
        self.heard: list[object] = []
        self.refusal: str | None = ""
        self._latched = latched
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(runtime / SOCKET))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self._end, _ = self._listener.accept()
        self.say(Standing(latched=self._latched))
        while data := self._end.recv(16384):
            message = REQUEST.validate_json(data)
            self.heard.append(message)
            if isinstance(message, Permit) and self.refusal is not None:
                self.say(Granted(number=message.number, refusal=self.refusal))

    def say(self, message) -> None:
        self._end.send(message.model_dump_json().encode())

    def of(self, kind) -> list:
        return [message for message in self.heard if isinstance(message, kind)]

    def hang_up(self) -> None:
        self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._thread.join(5.0)
        self._end.close()
        self._listener.close()


@contextmanager
def linked(**options):
    with short_folder() as runtime:
        guard = PlayedGuard(runtime, **options)
        try:
            with GuardLink(runtime, beat_s=0.02) as link:
                yield guard, link
        finally:
            guard.close()


def test_light_is_permitted_and_given_back():
    with linked() as (guard, link):
        link.permit(561, seconds=3.0)
        link.release()
        until(lambda: guard.of(Release))
        (asked,) = guard.of(Permit)
        assert (asked.nm, asked.seconds) == (561, 3.0)


def test_a_refusal_is_raised_with_its_reason():
    with linked() as (guard, link):
        guard.refusal = "the guard knows no line of 640 nm"
        with pytest.raises(GuardError, match="no light on 640 nm: the guard knows no"):
            link.permit(640, seconds=3.0)


def test_without_an_answer_there_is_no_light_and_no_permit_left_behind():
    with linked() as (guard, link):
        guard.refusal = None
        began = time.monotonic()
        with pytest.raises(GuardError, match=r"did not answer within 0\.3 s"):
            link.permit(561, seconds=3.0)
        assert time.monotonic() - began < 1.0
        until(lambda: guard.of(Release))


def test_a_latch_is_known_from_the_first_moment():
    with linked(latched="estop: smoke") as (_, link):
        assert link.latched == "estop: smoke"
        with pytest.raises(LatchedError, match="no light on 561 nm: estop: smoke"):
            link.permit(561, seconds=3.0)


def test_a_latch_of_ours_holds_at_once_until_the_guard_lifts_it():
    with linked() as (guard, link):
        link.latch("interlock", "the door is open")
        assert link.latched == "interlock: the door is open"
        until(lambda: guard.of(SetLatch))
        guard.say(Standing(latched=""))
        until(lambda: link.latched == "")
        link.permit(561, seconds=3.0)


def test_beats_go_on_by_themselves_and_carry_the_engines_progress():
    with linked() as (guard, link):
        link.pulse()
        link.pulse()
        until(lambda: 2 in [beat.progress for beat in guard.of(Beat)])
        seen = len(guard.of(Beat))
        until(lambda: len(guard.of(Beat)) > seen + 3)
        assert guard.of(Beat)[-1].progress == 2  # a beat is no progress


def test_what_is_described_is_told_at_once_and_the_rest_is_kept():
    with linked() as (guard, link):
        link.describe(phase="burst", run="r1")
        link.describe(trouble="the door is open")
        until(lambda: guard.of(Beat) and guard.of(Beat)[-1].trouble)
        last = guard.of(Beat)[-1]
        assert (last.phase, last.run, last.trouble) == (
            "burst",
            "r1",
            "the door is open",
        )


def test_an_order_is_carried_out_and_answered():
    with linked() as (guard, link):
        orders: list[str] = []
        link.on_dark(orders.append)
        guard.say(Dark(reason="smoke"))
        until(lambda: guard.of(Obeyed))
        assert orders == ["smoke"]


def test_an_order_that_fails_or_finds_nobody_is_not_answered(caplog):
    def fail(reason: str) -> None:
        raise OSError(reason)

    with linked() as (guard, link):
        guard.say(Dark(reason="nobody is there"))
        link.on_dark(fail)
        guard.say(Dark(reason="smoke"))
        until(lambda: "could not be put out on order" in caplog.text)
        assert not guard.of(Obeyed)


def test_a_guard_that_is_gone_is_an_order_to_go_dark_and_permits_nothing():
    with linked() as (guard, link):
        orders: list[str] = []
        link.on_dark(orders.append)
        guard.hang_up()
        until(lambda: orders == [GONE])
        assert link.latched == GONE
        with pytest.raises(GuardError, match="the guard is gone"):
            link.permit(561, seconds=3.0)


def test_without_a_guard_there_is_no_link(tmp_path):
    with (
        pytest.raises(GuardError, match="starts the guard first"),
        GuardLink(tmp_path),
    ):
        pass
