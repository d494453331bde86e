"""A choice that was taken is never lost, and none is taken too late."""

import pytest

from her2sr_acq.engine.ballot import Ballot
from her2sr_acq.engine.views import SelectionRequest
from her2sr_acq.errors import RunConflictError

CHOICE = SelectionRequest(fields=("r00_c00",), by="op-2")
FIELDS = frozenset({"r00_c00"})


def test_a_choice_in_the_last_moment_counts():
    ballot = Ballot()
    with ballot.open_for(FIELDS, most=1):
        assert ballot.wait(0.0) is None
        ballot.cast(CHOICE)
        assert ballot.close() == CHOICE


def test_a_choice_after_the_last_moment_is_refused():
    ballot = Ballot()
    with ballot.open_for(FIELDS, most=1):
        assert ballot.close() is None
        with pytest.raises(RunConflictError):
            ballot.cast(CHOICE)
