"""Users, their tokens and their sessions: who a request comes from.

A token or a session's cookie is a long random text that is shown once; what is kept is
its SHA-256, of no use to whoever reads the file.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from her2sr_acq.accounts.audit import Audit
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.roles import Actor, Role, lesser
from her2sr_acq.errors import (
    AccountConflictError,
    ConfigError,
    ForbiddenError,
    LoginNeededError,
    NoAccountError,
)
from her2sr_proc.schema.block import NAME

SESSION_S = 12 * 3600.0
MAX_TOKEN_DAYS = 366
PREFIX = "her2sr_"
"""Lets a scanner of repositories find a token that was published."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    name: str
    role: Role
    created_utc: str
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed: without what it is used by."""

    id: str
    user: str
    label: str
    role: Role
    created_utc: str
    expires_utc: str


class People:
    """The users of one data folder. May be used from any thread."""

    def __init__(
        self,
        database: ServiceDatabase,
        audit: Audit,
        passwords: Passwords,
        *,
        now: Callable[[], datetime],
        random: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._database = database
        self._audit = audit
        self._passwords = passwords
        self._now = now
        self._random = random

    def exist(self) -> bool:
        """Return whether any user is set up."""
        return bool(self._database.rows("SELECT 1 FROM users LIMIT 1"))

    def add(self, name: str, role: Role, password: str, *, by: str) -> None:
        """Set a user up. Raises `ConfigError` for a name that is none or taken."""
        if not re.fullmatch(NAME, name):
            raise ConfigError(
                f"'{name[:80]}' is no user name: use 1 to 64 letters, digits, '-' and "
                f"'_'"
            )
        kept = self._passwords.hash(password)
        with self._database.writing():
            if self._has(name):
                raise AccountConflictError(f"there is a user '{name}'; remove it first")
            self._database.rows(
                "INSERT INTO users (name, role, password, created_utc) "
                "VALUES (?, ?, ?, ?)",
                name,
                role,
                kept,
                self._in(0),
            )
            self._audit.add("user added", by=by, user=name, role=role.value)

    def remove(self, name: str, *, by: str) -> None:
        """Remove a user with all tokens and sessions. Raises `ConfigError`."""
        with self._database.writing():
            self._require(name)
            self._database.rows("DELETE FROM users WHERE name = ?", name)
            self._audit.add("user removed", by=by, user=name)

    def users(self) -> list[User]:
        """Return the users by name."""
        rows = self._database.rows(
            "SELECT name, role, created_utc, disabled FROM users ORDER BY name"
        )
        return [User(n, Role(r), created, bool(off)) for n, r, created, off in rows]

    def user(self, name: str) -> User:
        """Return one user. Raises `ConfigError` when there is none."""
        self._require(name)
        return next(user for user in self.users() if user.name == name)

    def change(
        self, name: str, *, role: Role | None, disabled: bool | None, by: str
    ) -> None:
        """Give a user another role, or keep them out or let them in again.

        Raises `ConfigError` for nobody, and where no admin would be left.
        """
        with self._database.writing():
            before = self.user(name)
            new_role = before.role if role is None else role
            is_out = before.is_disabled if disabled is None else disabled
            self._database.rows(
                "UPDATE users SET role = ?, disabled = ? WHERE name = ?",
                new_role,
                int(is_out),
                name,
            )
            was_admin = before.role is Role.ADMIN and not before.is_disabled
            if was_admin and not self._database.rows(
                "SELECT 1 FROM users WHERE role = ? AND disabled = 0", Role.ADMIN
            ):
                raise AccountConflictError(
                    f"{name} is the last admin; make somebody else admin first"
                )
            if is_out:
                self._database.rows("DELETE FROM sessions WHERE user = ?", name)
            self._audit.add(
                "user changed",
                by=by,
                user=name,
                role=new_role.value,
                disabled=str(is_out).lower(),
            )

    def issue(
        self, name: str, *, label: str, role: Role | None, days: int, by: str
    ) -> tuple[Token, str]:
        """Return a new token of a user and the text it is used by, shown only now.

        Its role is never above the user's own. Raises `ConfigError`.
        """
        if not 1 <= days <= MAX_TOKEN_DAYS:
            raise ConfigError(f"a token lasts 1 to {MAX_TOKEN_DAYS} days")
        own = self._require(name)
        if role is not None and not own.may(role):
            raise AccountConflictError(
                f"{name} is {own} and may have no token for {role}"
            )
        text = PREFIX + self._random()
        sha256 = _digest(text)
        token = Token(
            id=sha256[:12],
            user=name,
            label=label[:100],
            role=role or own,
            created_utc=self._in(0),
            expires_utc=self._in(days * 86400.0),
        )
        with self._database.writing():
            self._database.rows(
                "INSERT INTO tokens (id, sha256, role, user, label, created_utc, "
                "expires_utc) VALUES (?, ?, ?, ?, ?, ?, ?)",
                token.id,
                sha256,
                token.role,
                name,
                token.label,
                token.created_utc,
                token.expires_utc,
            )
            self._audit.add(
                "token issued", by=by, user=name, token=token.id, role=token.role.value
            )
        return token, text

    def revoke(self, token_id: str, *, by: str) -> None:
        """Make a token worthless. Raises `NoAccountError` when there is none."""
        with self._database.writing():
            if not self._database.rows("SELECT 1 FROM tokens WHERE id = ?", token_id):
                raise NoAccountError(f"there is no token '{token_id[:80]}'")
            self._database.rows("DELETE FROM tokens WHERE id = ?", token_id)
            self._audit.add("token revoked", by=by, token=token_id)

    def tokens(self) -> list[Token]:
        """Return the tokens, oldest first."""
        rows = self._database.rows(
            "SELECT id, user, label, role, created_utc, expires_utc FROM tokens "
            "ORDER BY created_utc"
        )
        return [Token(i, u, label, Role(r), c, e) for i, u, label, r, c, e in rows]

    def log_in(self, name: str, password: str) -> tuple[Actor, str]:
        """Return who it is and the text of a new session's cookie.

        Raises `ForbiddenError`, which does not tell whether the name or the password
        is wrong.
        """
        rows = self._database.rows(
            "SELECT password, role FROM users WHERE name = ? AND disabled = 0", name
        )
        kept = rows[0][0] if rows else None
        if not self._passwords.fits(password, kept):
            raise ForbiddenError("name or password is wrong")
        text = self._random()
        sha256 = _digest(text)
        with self._database.writing():
            self._database.rows(
                "DELETE FROM sessions WHERE expires_utc <= ?", self._in(0)
            )
            self._database.rows(
                "INSERT INTO sessions VALUES (?, ?, ?)",
                sha256,
                name,
                self._in(SESSION_S),
            )
            self._audit.add("logged in", by=name)
        return Actor(name, Role(rows[0][1]), "session", sha256[:12]), text

    def log_out(self, cookie: str) -> None:
        """End a session; one that is over stays so."""
        with self._database.writing():
            self._database.rows(
                "DELETE FROM sessions WHERE sha256 = ?", _digest(cookie)
            )

    def by_token(self, text: str) -> Actor:
        """Return whose token this is. Raises `LoginNeededError` if nobody's."""
        rows = self._database.rows(
            "SELECT tokens.id, users.name, tokens.role, users.role FROM tokens "
            "JOIN users ON users.name = tokens.user "
            "WHERE tokens.sha256 = ? AND tokens.expires_utc > ? AND users.disabled = 0",
            _digest(text),
            self._in(0),
        )
        if not rows:
            raise LoginNeededError(
                "this token is not known, or has run out; make one with `her2sr users "
                "token`"
            )
        token, name, role, own = rows[0]
        return Actor(name, lesser(Role(role), Role(own)), "token", token)

    def by_cookie(self, text: str) -> Actor:
        """Return whose session this is. Raises `LoginNeededError` if over."""
        sha256 = _digest(text)
        rows = self._database.rows(
            "SELECT users.name, users.role FROM sessions "
            "JOIN users ON users.name = sessions.user "
            "WHERE sessions.sha256 = ? AND sessions.expires_utc > ? "
            "AND users.disabled = 0",
            sha256,
            self._in(0),
        )
        if not rows:
            raise LoginNeededError("this session is over; log in again")
        return Actor(rows[0][0], Role(rows[0][1]), "session", sha256[:12])

    def _has(self, name: str) -> bool:
        return bool(self._database.rows("SELECT 1 FROM users WHERE name = ?", name))

    def _require(self, name: str) -> Role:
        rows = self._database.rows("SELECT role FROM users WHERE name = ?", name)
        if not rows:
            raise NoAccountError(
                f"there is no user '{name[:80]}'; see `her2sr users list`"
            )
        return Role(rows[0][0])

    def _in(self, seconds: float) -> str:
        """Return the stamp of a moment; stamps sort as their moments do."""
        moment = self._now() + timedelta(seconds=seconds)
        return moment.isoformat(timespec="milliseconds")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
