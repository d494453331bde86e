"""Who a request comes from, and whether it may do what it asks.

Knows users, roles, the lease and limits; knows no HTTP. As long as no user is set up
and only this computer reaches the service, it stays open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from her2sr_acq.accounts.audit import Audit
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.lease import Lease
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.people import People
from her2sr_acq.accounts.roles import NOBODY, Actor, Role
from her2sr_acq.errors import ForbiddenError, LoginNeededError
from her2sr_acq.service.limiter import (
    FREE_FAILURES,
    OPEN,
    STRANGERS,
    USUAL,
    Attempts,
    Buckets,
    Rate,
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought along to say who sends it."""

    token: str | None
    cookie: str | None
    address: str
    is_own_page: bool
    """The browser says that one of our pages sent it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each kind of asker may ask."""

    usual: Rate = USUAL
    strangers: Rate = STRANGERS
    everyone: Rate = OPEN
    free_failures: int = FREE_FAILURES
    """Wrong passwords in a row before one has to wait."""


class Gate:
    """Decides about every request. May be used from any thread."""

    def __init__(
        self,
        database: ServiceDatabase,
        *,
        now: Callable[[], datetime],
        is_loopback: bool = True,
        passwords: Passwords | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.audit = Audit(database, now=now)
        self.people = People(database, self.audit, passwords or Passwords(), now=now)
        self.lease = Lease(database, self.audit, now=now)
        self._buckets = Buckets()
        self._rates = rates or Rates()
        self._attempts = Attempts(free=self._rates.free_failures)
        self._is_loopback = is_loopback

    @classmethod
    def open_to_all(cls, *, now: Callable[[], datetime]) -> Gate:
        """Return the gate of a service without users, with nothing on disk."""
        return cls(ServiceDatabase(None), now=now)

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked who they are."""
        return self._is_loopback and not self.people.exist()

    def identify(self, brought: Credentials) -> Actor | None:
        """Return who asks; None: a stranger. Raises `LoginNeededError`.

        A token or cookie that is wrong is refused, not taken for none.
        """
        if self.is_open:
            return NOBODY
        if brought.token is not None:
            return self.people.by_token(brought.token)
        if brought.cookie is not None:
            return self.people.by_cookie(brought.cookie)
        return None

    def limit(self, actor: Actor | None, address: str) -> None:
        """Count a request. Raises `TooManyError` beyond the rate of who asks."""
        if actor is None:
            self._buckets.take(f"address {address}", self._rates.strangers)
        elif actor.way == "open":
            self._buckets.take("everyone", self._rates.everyone)
        else:
            self._buckets.take(actor.credential, self._rates.usual)

    def admit(self, actor: Actor | None, role: Role) -> Actor:
        """Return the actor if its role suffices.

        Raises `LoginNeededError` for a stranger and `ForbiddenError` for a lesser role.
        """
        if actor is None:
            raise LoginNeededError(
                "log in first, or send a token as 'Authorization: Bearer ...'"
                if self.people.exist()
                else "no user is set up; use `her2sr users add` on the host"
            )
        if not actor.role.may(role):
            raise ForbiddenError(
                f"{actor.name} is {actor.role}, and this needs {role}; ask an admin",
                role=role,
            )
        return actor

    def require_own_page(self, actor: Actor, brought: Credentials) -> None:
        """Refuse an order that a browser sends along with its cookie for others.

        Raises `ForbiddenError`.
        """
        if actor.way == "session" and not brought.is_own_page:
            raise ForbiddenError(
                "an order with a cookie must come from a page of this service; "
                "programs use a token"
            )

    def require_lease(self, actor: Actor, fence: int | None) -> None:
        """Raise `LeaseError` for an order without the lease that counts.

        While the gate is open no lease is asked for, but one that is sent must hold.
        """
        if actor.way != "open" or fence is not None:
            self.lease.require(actor, fence)

    def log_in(self, name: str, password: str, *, address: str) -> tuple[Actor, str]:
        """Return who it is and the cookie of a new session.

        Raises `ForbiddenError`, `TooManyError` after too many failures.
        """
        who = (f"name {name}", f"address {address}")
        self._attempts.require_free(*who)
        try:
            entered = self.people.log_in(name, password)
        except ForbiddenError:
            self._attempts.note_failure(*who)
            raise
        self._attempts.forgive(*who)
        return entered
