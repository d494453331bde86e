"""A choice that was taken is never lost, and none is taken too late."""

import pytest

from her2sr_acq.engine.ballot import Ballot, closed
from her2sr_acq.engine.choice_views import SelectionRequest
from her2sr_acq.errors import RunConflictError

CHOICE = SelectionRequest(fields=("r00_c00",), by="op-2")
NOON = "2026-01-02T12:00:00.000Z"
FIELDS = frozenset({"r00_c00"})


def test_a_choice_in_the_last_moment_counts():
    ballot = Ballot()
    with ballot.open_for(FIELDS, most=1):
        assert ballot.wait(0.0) is None
        ballot.cast(CHOICE, utc=NOON)
        assert ballot.close(utc=NOON) == CHOICE


def test_a_choice_after_the_last_moment_is_refused():
    ballot = Ballot()
    with ballot.open_for(FIELDS, most=1):
        assert ballot.close(utc=NOON) is None
        with pytest.raises(RunConflictError, match=f"closed at {NOON} and nobody"):
            ballot.cast(CHOICE, utc=NOON)


def test_a_second_choice_is_told_when_the_first_was_made_and_what_it_was():
    ballot = Ballot()
    with ballot.open_for(FIELDS, most=1):
        ballot.cast(CHOICE, utc=NOON)
        with pytest.raises(RunConflictError, match=f"{NOON}: op-2 chose r00_c00;"):
            ballot.cast(CHOICE, utc="later")


def test_a_long_choice_is_told_in_part():
    said = closed(NOON, "op-2", [f"r00_c{n:02d}" for n in range(9)])
    assert "r00_c05 and 3 more" in said
    assert "r00_c06" not in said
