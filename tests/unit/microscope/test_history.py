"""The onlooker's record: when light changed, and how long it was on without a burst."""

import pytest

from simulators.history import History
from simulators.lights import Lights


class Bench:
    """Lights and their history on a clock that a test turns."""

    def __init__(self):
        self.now = 50.0
        self.lights = Lights(lambda: self.now)
        self.history = self.lights.history

    def switch(self, nm, on, after=0.0):
        self.now += after
        self.lights.switch(nm, on=on)

    @property
    def report(self):
        return self.history.report(0.0)


@pytest.fixture
def bench():
    return Bench()


def test_every_change_of_light_is_noted_with_its_time(bench):
    bench.switch(561, True)
    bench.switch(561, True, after=1.0)  # no change
    bench.switch(561, False, after=1.0)
    noted = [(c.nm, c.on, c.monotonic_s, c.in_burst) for c in bench.report.changes]
    assert noted == [(561, True, 50.0, False), (561, False, 52.0, False)]


def test_it_is_dark_when_the_last_line_is_out(bench):
    bench.switch(561, True)
    bench.switch(488, True)
    bench.switch(561, False, after=1.0)
    assert bench.report.dark_s() is None
    bench.switch(488, False, after=1.0)
    assert bench.report.dark_s() == 52.0


def test_light_outside_bursts_is_counted_and_light_in_them_is_not(bench):
    bench.switch(561, True)
    bench.now += 0.5
    bench.history.burst(on=True)
    bench.now += 10.0
    bench.history.burst(on=False)
    bench.history.burst(on=False)  # said twice
    bench.switch(561, False, after=0.25)
    bench.now += 5.0
    assert bench.report.lit_outside_s == pytest.approx(0.75)
    assert [c.on for c in bench.report.changes if c.what == "burst"] == [True, False]


def test_the_interlocks_opening_is_noted(bench):
    assert bench.report.opened_s() is None
    bench.history.interlock(True, 49.5)
    assert bench.report.opened_s() == 49.5


def test_only_what_came_since_is_told(bench):
    bench.switch(561, True)
    bench.switch(561, False, after=5.0)
    assert [c.on for c in bench.history.report(54.0).changes] == [False]


def test_a_full_record_forgets_the_oldest_and_says_so():
    history = History(lambda: 0.0, kept=2)
    for on in (True, False, True):
        history.light(561, on=on)
    report = history.report(0.0)
    assert ([c.on for c in report.changes], report.forgotten) == ([False, True], 1)
