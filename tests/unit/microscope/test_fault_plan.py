"""The fault plan: which call and which frame fails, and when an interlock opens."""

import pytest
from pydantic import ValidationError

from simulators.faults.options import FaultOptions
from simulators.faults.plan import FaultPlan


class Bench:
    """A plan on a clock that a test turns, and what it tells."""

    def __init__(self, *faults):
        self.now = 100.0
        self.told, self.flagged = [], []
        self.plan = FaultPlan(clock=lambda: self.now)
        self.plan.connect(
            on_interlock=lambda is_open, at: self.told.append((is_open, at)),
            on_change=self.flagged.append,
        )
        for fault in faults:
            self.plan.inject(FaultOptions(**fault))

    def struck(self, device, operation):
        strike = self.plan.call(device, operation)
        return None if strike is None else strike.kind

    def frames(self, count, burst=1):
        """Return the kinds that befall the frames of one burst."""
        found = (self.plan.frame(burst, frame) for frame in range(count))
        return [None if strike is None else strike.kind for strike in found]


def test_nothing_planned_befalls_nothing():
    bench = Bench()
    assert bench.struck("stage", "set position") is None
    assert bench.frames(3) == [None] * 3


def test_a_fault_strikes_from_its_call_on_as_often_as_it_shall():
    bench = Bench({"device": "stage", "kind": "raises", "at_call": 2, "count": 2})
    found = [bench.struck("stage", "set position") for _ in range(5)]
    assert found == [None, "raises", "raises", None, None]


SUITS = [
    ("raises", "set position", True),
    ("raises", "position", False),
    ("lost", "set position", True),
    ("lies", "position", True),
    ("lies", "set position", False),
    ("lies", "busy", False),
]


@pytest.mark.parametrize(("kind", "operation", "suits"), SUITS)
def test_setters_fail_and_readings_lie(kind, operation, suits):
    value = {"value": 3.0} if kind == "lies" else {}
    bench = Bench({"device": "stage", "kind": kind, **value})
    assert (bench.struck("stage", operation) == kind) is suits
    assert bench.struck("focus", operation) is None


def test_a_named_operation_is_the_only_one_that_fails():
    bench = Bench({"device": "camera", "kind": "raises", "operation": "set roi"})
    assert bench.struck("camera", "set exposure") is None
    assert bench.struck("camera", "set roi") == "raises"


def test_a_fault_of_one_laser_leaves_the_others_alone():
    bench = Bench({"device": "laser", "kind": "lost", "nm": 561})
    assert bench.struck("laser", "set 488 Emission") is None
    assert bench.struck("laser", "set 561 Emission") == "lost"


def test_a_stuck_drive_is_busy_once_it_was_to_move():
    bench = Bench({"device": "stage", "kind": "stuck"})
    assert bench.struck("stage", "busy") is None
    assert bench.struck("stage", "set position") == "stuck"
    assert bench.struck("stage", "busy") == "stuck"


def test_a_fault_waits_for_its_time():
    bench = Bench({"device": "focus", "kind": "raises", "after_s": 5.0})
    assert bench.struck("focus", "set position") is None
    bench.now += 5.0
    assert bench.struck("focus", "set position") == "raises"


def test_a_fault_of_a_frame_strikes_in_its_burst_from_its_frame_on():
    bench = Bench(
        {"device": "camera", "kind": "drop", "at_burst": 2, "at_frame": 3, "count": 2}
    )
    assert bench.frames(6, burst=1) == [None] * 6
    assert bench.frames(6, burst=2) == [None, None, None, "drop", "drop", None]


def test_a_driver_that_fails_at_a_frame_does_not_fail_at_calls():
    bench = Bench({"device": "camera", "kind": "raises", "at_frame": 1, "count": 1})
    assert bench.struck("camera", "set exposure") is None
    assert bench.frames(3) == [None, "raises", None]


def test_a_fault_of_another_device_wakes_at_a_frame():
    bench = Bench({"device": "stage", "kind": "raises", "at_burst": 2})
    bench.frames(5, burst=1)
    assert bench.struck("stage", "set position") is None
    bench.frames(1, burst=2)
    assert bench.struck("stage", "set position") == "raises"


def test_one_seed_gives_the_same_chances_every_time():
    fault = {"device": "camera", "kind": "drop", "probability": 0.3, "seed": 5}
    found = [Bench(fault).frames(200) for _ in range(2)]
    assert found[0] == found[1]
    assert 30 < found[0].count("drop") < 90
    assert Bench(fault | {"seed": 6}).frames(200) != found[0]


def test_healing_one_device_leaves_the_others_ill():
    bench = Bench(
        {"device": "stage", "kind": "raises"}, {"device": "focus", "kind": "raises"}
    )
    assert bench.plan.heal("stage") == 1
    assert bench.struck("stage", "set position") is None
    assert bench.struck("focus", "set position") == "raises"
    assert bench.plan.heal() == 1
    assert bench.flagged[-3:] == [
        frozenset({"stage", "focus"}),
        frozenset({"focus"}),
        frozenset(),
    ]


@pytest.mark.parametrize(
    "fault",
    [
        {"device": "interlock", "kind": "open"},
        {"device": "laser", "kind": "stuck", "nm": 561},
    ],
)
def test_what_the_light_itself_suffers_makes_no_device_ask(fault):
    assert Bench(fault).flagged == [frozenset()]


def test_an_interlock_opens_and_closes_at_its_times():
    bench = Bench(
        {"device": "interlock", "kind": "open", "after_s": 2.0, "duration_s": 1.0}
    )
    assert not bench.plan.is_open()
    bench.now = 102.5
    assert bench.plan.is_open()
    bench.now = 103.5
    assert not bench.plan.is_open()
    assert bench.told == [(True, 102.0), (False, 103.5)]


def test_an_interlock_opens_at_a_frame_and_closes_when_healed():
    bench = Bench({"device": "interlock", "kind": "open", "at_frame": 2})
    bench.frames(2)
    assert not bench.plan.is_open()
    bench.now = 110.0
    bench.plan.frame(1, 2)
    bench.plan.heal()
    assert bench.told == [(True, 110.0), (False, 110.0)]


def test_an_interlock_opens_at_a_frame_by_chance():
    fault = {"device": "interlock", "kind": "open", "probability": 0.05, "seed": 3}
    opened = []
    for _ in range(2):
        bench = Bench(fault)
        assert not bench.plan.is_open()
        frame = 0
        while not bench.plan.is_open():
            bench.plan.frame(1, frame)
            frame += 1
        opened.append(frame)
    assert opened[0] == opened[1] > 1


def test_lasers_report_faults_and_refuse_to_go_out_line_by_line():
    bench = Bench(
        {"device": "laser", "kind": "fault", "nm": 561},
        {"device": "laser", "kind": "stuck", "nm": 488},
    )
    lines = (405, 488, 561)
    assert [bench.plan.has_laser_fault(nm) for nm in lines] == [False, False, True]
    assert [bench.plan.is_stuck(nm) for nm in lines] == [False, True, False]


REFUSED = [
    ({"device": "stage", "kind": "drop"}, "a stage can be"),
    ({"device": "stage", "kind": "lies"}, "give 'value'"),
    ({"device": "stage", "kind": "raises", "value": 1.0}, "give 'value'"),
    ({"device": "stage", "kind": "late"}, "'late' needs 'duration_s'"),
    ({"device": "stage", "kind": "raises", "probability": 0.0}, "greater than 0"),
]


@pytest.mark.parametrize(("fault", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused(fault, reason):
    with pytest.raises(ValidationError, match=reason):
        FaultOptions(**fault)
