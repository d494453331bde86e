"""The lease: one client steers the microscope at a time.

Each new holder gets a larger number, the fence, and sends it with every order. Orders
with a smaller one are refused, also by the hardware process, so that an order that was
long on its way cannot undo what the next holder did. A holder that is silent loses it,
by a clock that nobody sets: the stamp that is told is for people, and for a service
that was started anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from her2sr_acq.accounts.audit import Audit
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.roles import Actor
from her2sr_acq.errors import LeaseError, LeaseHeldError

TTL_S = 30.0
LONGEST_S = 300.0
"""A stamp further ahead than a lease can last is of a clock that was set back."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease that was given."""

    fence: int
    holder: str
    expires_utc: str


class Lease:
    """The one lease of a data folder. May be used from any thread."""

    def __init__(
        self,
        database: ServiceDatabase,
        audit: Audit,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._audit = audit
        self._now = now
        self._clock = clock
        self._ends = (-1, 0.0)
        """Fence of the lease that was given here last, and its end by the clock."""

    def take(self, actor: Actor, *, ttl_s: float = TTL_S, force: bool = False) -> Grant:
        """Give the lease to ``actor``, or prolong the one it has.

        Raises `LeaseHeldError` while another client holds it, unless by ``force``.
        """
        now = self._now()
        expires = (now + timedelta(seconds=ttl_s)).isoformat(timespec="milliseconds")
        with self._database.writing():
            fence, name, credential, until = self._row()
            is_held = self._is_held(fence, until)
            is_ours = is_held and credential == actor.credential
            if is_held and not is_ours and not force:
                raise LeaseHeldError(
                    f"{name} steers the microscope until {until}; wait, ask them to "
                    f"give it back, or let an admin take it over",
                    holder=name,
                )
            if not is_ours:
                fence += 1
                if is_held:
                    self._audit.add("lease taken over", by=actor.name, of=name)
            self._database.rows(
                "UPDATE lease SET fence = ?, name = ?, credential = ?, expires_utc = ?",
                fence,
                actor.name,
                actor.credential,
                expires,
            )
            self._ends = (fence, self._clock() + ttl_s)
        return Grant(fence=fence, holder=actor.name, expires_utc=expires)

    def give_back(self, actor: Actor) -> None:
        """End the lease of ``actor``; without one nothing changes."""
        with self._database.writing():
            self._database.rows(
                "UPDATE lease SET expires_utc = '' WHERE credential = ?",
                actor.credential,
            )

    def require(self, actor: Actor, fence: int | None) -> None:
        """Raise `LeaseError` unless ``actor`` holds the lease of that fence now."""
        current, name, credential, until = self._row()
        if not self._is_held(current, until):
            raise LeaseError("nobody holds the lease; ask for it by POST /lease first")
        if credential != actor.credential:
            raise LeaseError(
                f"{name} steers the microscope until {until}; ask for the lease by "
                f"POST /lease after that",
                holder=name,
            )
        if fence != current:
            raise LeaseError(
                f"this order came under the lease {fence}, and {current} is the one "
                f"that counts; send the fence of POST /lease in the header Lease"
            )

    def _is_held(self, fence: int, until: str) -> bool:
        """Return whether a lease lasts; ``until`` is empty where it was given back."""
        given, end_s = self._ends
        if not until or given == fence:
            return bool(until) and self._clock() < end_s
        left = datetime.fromisoformat(until) - self._now()
        return timedelta() < left <= timedelta(seconds=LONGEST_S)

    def _row(self) -> tuple[int, str, str, str]:
        rows = self._database.rows(
            "SELECT fence, name, credential, expires_utc FROM lease"
        )
        fence, name, credential, until = rows[0]
        return int(fence), str(name), str(credential), str(until)
