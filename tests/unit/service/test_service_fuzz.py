"""The service against random requests made from its own document; the long run is
tests/bench/bench_fuzz_rest.py."""

import pytest
from rest_fuzz import fuzz, served

EXAMPLES = 3


@pytest.mark.slow
def test_random_requests_find_no_fault(client):
    with served(client.app) as url:
        tally = fuzz(url, examples=EXAMPLES, seed=1, phases=("coverage", "stateful"))
    assert not tally.failures, tally.story()
    assert not tally.errors, tally.story()
    assert tally.server_errors == 0
    assert tally.requests > 500


@pytest.mark.slow
def test_random_requests_of_an_operator_find_no_fault(guarded, token):
    with served(guarded.app) as url:
        tally = fuzz(
            url,
            examples=EXAMPLES,
            seed=2,
            headers=token("operator"),
            phases=("fuzzing",),
            is_open=False,
        )
    assert not tally.failures, tally.story()
    assert not tally.errors, tally.story()
    assert tally.server_errors == 0
