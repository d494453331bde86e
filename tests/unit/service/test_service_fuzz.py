"""The service against random requests made from its own document; the long run is
tests/bench/bench_fuzz_rest.py."""

import pytest
from rest_fuzz import fuzz, served


@pytest.mark.slow
def test_random_requests_find_no_fault(client):
    with served(client.app) as url:
        tally = fuzz(
            url, examples=1, seed=1, phases=("coverage",), is_brief=True, shutting=False
        )
    assert not tally.failures, tally.story()
    assert not tally.errors, tally.story()
    assert tally.server_errors == 0
    assert tally.requests > 200


@pytest.mark.slow
def test_random_requests_of_an_operator_find_no_fault(guarded, token):
    text = token("operator")["authorization"].removeprefix("Bearer ")
    with served(guarded.app) as url:
        tally = fuzz(url, examples=2, seed=2, token=text, phases=("fuzzing",))
    assert not tally.failures, tally.story()
    assert not tally.errors, tally.story()
    assert tally.server_errors == 0
    assert tally.statuses[401]
