"""Users of a data folder whose clock the test turns."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from her2sr_acq.accounts.audit import Audit
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.lease import Lease
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.people import People


@dataclass
class Hand:
    """A clock that goes when it is told to."""

    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    passed_s: float = 0.0
    """Of the clock that nobody sets."""

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.passed_s += seconds

    def is_set_by(self, hours: float) -> None:
        """Set the clock on the wall, while no time passes."""
        self.at += timedelta(hours=hours)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def database(tmp_path):
    with ServiceDatabase(tmp_path / "service.db") as database:
        yield database


@pytest.fixture
def audit(database, hand) -> Audit:
    return Audit(database, now=hand)


@pytest.fixture
def people(database, audit, hand) -> People:
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return People(database, audit, cheap, now=hand)


@pytest.fixture
def lease(database, audit, hand) -> Lease:
    return Lease(database, audit, now=hand, clock=lambda: hand.passed_s)
