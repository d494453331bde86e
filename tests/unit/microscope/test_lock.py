"""Two simulated microscopes never share a runtime folder."""

import pytest

from her2sr_acq.errors import RunConflictError
from simulators.lock import alone


def test_a_second_microscope_is_refused_while_the_first_lives(tmp_path):
    with (
        alone(tmp_path),
        pytest.raises(RunConflictError, match="another simulated microscope"),
        alone(tmp_path),
    ):
        pass


def test_the_folder_is_free_again_when_the_first_has_ended(tmp_path):
    entered = []
    for n in range(2):
        with alone(tmp_path):
            entered.append(n)
    assert entered == [0, 1]
