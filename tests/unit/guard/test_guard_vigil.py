"""When the guard loses its trust in acq, by a clock that the test moves."""

import pytest

from her2sr_acq.guard.settings import GuardConfig
from her2sr_acq.guard.vigil import Vigil

CONFIG = GuardConfig(
    silence_s=0.7, progress_s=0.7, dark_silence_s=15.0, dark_progress_s=60.0
)


class Acq:
    """Moves the clock in steps of the guard's loop and beats meanwhile."""

    def __init__(self) -> None:
        self.vigil = Vigil(CONFIG)
        self.now = 0.0
        self.progress = 0

    def go_on(
        self, seconds: float, *, beats=True, moves=True, drives=False, step_s=0.1
    ) -> str:
        """Return the first verdict within that time, or nothing."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += step_s
            self.vigil.tick(self.now)
            self.progress += moves
            if beats:
                self.vigil.beat(self.progress, is_driving=drives)
            if verdict := self.vigil.verdict():
                return verdict
        return ""


@pytest.fixture
def lit() -> Acq:
    acq = Acq()
    acq.go_on(1.0)
    acq.vigil.permit(561, 60.0)
    return acq


def test_an_acq_that_beats_and_moves_is_trusted(lit):
    assert lit.go_on(59.0) == ""


def test_silence_with_the_light_on_is_too_long_after_its_limit(lit):
    assert lit.go_on(0.6, beats=False) == ""
    assert "said nothing for 0." in lit.go_on(0.2, beats=False)


def test_an_engine_that_stands_still_while_beats_go_on_is_too_long(lit):
    assert "engine has not moved" in lit.go_on(0.9, moves=False)


def test_a_permit_that_ends_with_the_light_on_is_a_fault(lit):
    assert "561 nm is on for longer" in lit.go_on(60.2)


def test_a_permit_given_back_in_time_is_none(lit):
    assert lit.vigil.release()
    assert not lit.vigil.release()
    assert lit.go_on(100.0) == ""


def test_in_the_dark_silence_may_last_longer_and_the_engine_may_rest():
    acq = Acq()
    assert acq.go_on(100.0, moves=False) == ""
    assert acq.go_on(14.9, beats=False) == ""
    assert "said nothing" in acq.go_on(0.3, beats=False)


def test_a_device_call_that_hangs_in_the_dark_ends_the_acq_that_drives():
    acq = Acq()
    assert acq.go_on(100.0, moves=False) == ""
    assert acq.go_on(59.8, moves=False, drives=True) == ""
    assert acq.go_on(0.2, drives=True) == ""
    assert "engine has not moved for 60" in acq.go_on(60.5, moves=False, drives=True)


def test_an_engine_that_drives_no_device_any_more_may_take_its_time():
    acq = Acq()
    acq.go_on(1.0, drives=True)
    assert acq.go_on(600.0, moves=False) == ""


def test_an_acq_that_opens_its_devices_may_be_silent_but_not_for_ever():
    acq = Acq()
    assert acq.go_on(119.0, beats=False) == ""
    assert "said nothing" in acq.go_on(2.0, beats=False)


def test_time_in_which_the_guard_itself_was_kept_from_running_is_no_silence(lit):
    assert lit.go_on(5.0, beats=False, step_s=5.0) == ""
    assert lit.go_on(1.0) == ""


def test_after_an_obeyed_order_permits_must_be_given_back_soon(lit):
    lit.vigil.cut_short()
    assert "longer than it was permitted" in lit.go_on(2.2)


def test_a_new_acq_begins_without_light(lit):
    lit.vigil.start(lit.now)
    assert lit.vigil.lit_nm == ()
    assert lit.go_on(5.0, beats=False) == ""
