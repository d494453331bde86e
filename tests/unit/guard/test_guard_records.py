"""The latch outlives its guard, and everything about safety is accounted for."""

import json
from datetime import UTC, datetime

import pytest

from her2sr_acq.guard.records import Records
from her2sr_proc.store.layout import DataFolder

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def data(tmp_path):
    return DataFolder(tmp_path)


def records(data, clock=lambda: 0.0) -> Records:
    return Records(data, utc=lambda: NOON, clock=clock)


def lines(data) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.safety.read_text().splitlines()]


def test_a_latch_outlives_its_guard_until_it_is_lifted(data):
    first = records(data)
    first.set_latch("interlock", "the door is open", by="acq")
    first.write()
    second = records(data)
    assert "interlock: the door is open" in second.latched
    second.lift(by="maria", reason="door closed")
    second.write()
    assert records(data).latched == ""


def test_the_first_cause_stays_and_the_later_one_is_accounted_for(data):
    kept = records(data)
    kept.set_latch("fault", "laser over temperature", by="acq")
    kept.set_latch("estop", "button", by="maria")
    kept.write()
    assert "over temperature" in records(data).latched
    assert [line["reason"] for line in lines(data)] == [
        "fault: laser over temperature",
        "estop: button",
    ]


def test_every_line_says_when_who_why_and_how_long(data):
    kept = records(data)
    kept.note("estop", by="maria", reason="smoke", seconds=0.12345)
    kept.write()
    assert lines(data) == [
        {
            "utc": "2026-01-02T12:00:00.000+00:00",
            "kind": "estop",
            "by": "maria",
            "reason": "smoke",
            "seconds_to_dark": 0.123,
        }
    ]


def test_a_latch_that_cannot_be_read_still_latches(data):
    data.latch.write_text("{")
    assert "cannot be read" in records(data).latched


def test_a_latch_by_another_process_is_heeded_when_looked_for(data):
    guard = records(data)
    other = records(data)
    other.set_latch("estop", "smoke", by="maria")
    other.write()
    assert guard.latched == ""
    guard.refresh()
    assert "smoke" in guard.latched


def test_a_disk_that_takes_nothing_lifts_no_latch_and_is_tried_again(data):
    now = [10.0]
    kept = records(data, clock=lambda: now[0])
    data.safety.mkdir()  # a folder in the way takes no line
    kept.set_latch("fault", "hot", by="acq")
    kept.write()
    assert "hot" in kept.latched
    data.safety.rmdir()
    kept.write()
    assert not data.safety.exists()
    now[0] += 1.1
    kept.write()
    assert len(lines(data)) == 1
