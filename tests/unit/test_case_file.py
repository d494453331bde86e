"""Who holds the record of a case, and how long another one waits for it."""

import fcntl
import os

import pytest

from her2sr_proc.errors import StateError
from her2sr_proc.offline.casefile import alone


class Waiting:
    """A clock that goes by sleeping; after so many sleeps somebody lets go."""

    def __init__(self, held: int, lets_go_after: int) -> None:
        self.held, self.left = held, lets_go_after
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.left -= 1
        if self.left == 0:
            fcntl.flock(self.held, fcntl.LOCK_UN)


@pytest.fixture
def held(tmp_path):
    """Another program's hold on the folder of a run."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_a_record_is_held_once_another_program_lets_go(tmp_path, held):
    waiting = Waiting(held, lets_go_after=3)
    path = tmp_path / "review" / "case.jsonl"
    with alone(path, within_s=5.0, clock=waiting.clock, sleep=waiting.sleep):
        assert 0.0 < waiting.now_s < 1.0


def test_a_program_that_hangs_does_not_hang_the_next(tmp_path, held):
    waiting = Waiting(held, lets_go_after=0)
    path = tmp_path / "review" / "case.jsonl"
    hold = alone(path, within_s=5.0, clock=waiting.clock, sleep=waiting.sleep)
    with pytest.raises(StateError, match="another program has held"), hold:
        pass
    assert 5.0 <= waiting.now_s < 5.1
