"""Who asks, and what each role may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What a person or a program may do; each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Return whether this role includes the one that is needed."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever sent a request, once that is known."""

    name: str
    role: Role
    way: Literal["open", "session", "token"]
    credential: str = ""
    """Names the session or token, and tells nothing by which to use it."""


NOBODY = Actor(name="unnamed", role=Role.ADMIN, way="open")
"""Everyone, as long as no user is set up and the service is on loopback."""


def lesser(first: Role, second: Role) -> Role:
    """Return the role that may do less."""
    return second if first.may(second) else first
