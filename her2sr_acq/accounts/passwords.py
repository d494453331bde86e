"""Passwords as argon2id hashes: made, checked, never kept.

Source of the costs: RFC 9106, second recommended option (64 MiB, 3 passes), which is
what `argon2.PasswordHasher` sets.
"""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from her2sr_acq.errors import ConfigError

MIN_LENGTH = 12
MAX_LENGTH = 256
AT_ONCE = 2
"""Every check takes 64 MiB; many at once would take the memory of a run."""


class Passwords:
    """Hashes and checks passwords. May be used from any thread."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._decoy = ""

    def hash(self, password: str) -> str:
        """Return what to keep. Raises `ConfigError` for one that is too short."""
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            raise ConfigError(
                f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has "
                f"{len(password)}: take several words"
            )
        with self._room:
            return self._hasher.hash(password)

    def fits(self, password: str, kept: str | None) -> bool:
        """Return whether a password is the one; ``kept`` None: there is no user.

        Takes as long without a user, so that time does not tell who exists.
        """
        if len(password) > MAX_LENGTH:
            return False
        with self._room:
            if not self._decoy:  # costs as much as a check: not at every start
                self._decoy = self._hasher.hash("of nobody")
            try:
                self._hasher.verify(kept or self._decoy, password)
            except (VerificationError, InvalidHashError):
                return False
        return kept is not None
