"""``her2sr users``: the accounts of a data folder, changed on its own computer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

from her2sr_acq.accounts.audit import Audit
from her2sr_acq.accounts.clock import utc_now
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.people import People
from her2sr_acq.errors import ConfigError
from her2sr_acq.plan.foresight import require_writable
from her2sr_acq.verbs.data_folder import existing, require_apart
from her2sr_proc.schema.event import Event
from her2sr_proc.store.layout import DataFolder


class Listed(TypedDict):
    """Users and tokens as they are shown."""

    users: list[dict[str, str]]
    tokens: list[dict[str, str]]


@contextmanager
def opened(data: Path, *, is_made: bool = False) -> Iterator[People]:
    """Yield the users of a data folder; to be made, it need not be there yet.

    For a service is put on the network only once it has a user. Raises `ConfigError`
    for what is no data folder, and when it has no users and they are not to be made.
    """
    path = DataFolder(data.resolve()).accounts
    if is_made:
        require_apart(data)
        require_writable(data)
    elif not existing(data).accounts.is_file():
        raise ConfigError(
            f"{data} has no users yet; set one up with `her2sr users add`"
        )
    with ServiceDatabase(path) as database:
        audit = Audit(database, now=utc_now)
        yield People(database, audit, Passwords(), now=utc_now)


def has_users(data: Path) -> bool:
    """Return whether anybody is set up."""
    if not DataFolder(data.resolve()).accounts.is_file():
        return False
    with opened(data) as people:
        return people.exist()


def listed(data: Path) -> Listed:
    """Return users and tokens; none where nothing is set up.

    Raises `ConfigError` for what is no data folder.
    """
    existing(data)
    if not has_users(data):
        return {"users": [], "tokens": []}
    with opened(data) as people:
        return {
            "users": [asdict(user) for user in people.users()],
            "tokens": [asdict(token) for token in people.tokens()],
        }


def audited(data: Path) -> list[Event]:
    """Return the audit after checking its chain. Raises `StorageError`.

    Raises `ConfigError` for what is no data folder.
    """
    path = existing(data).accounts
    if not path.is_file():
        return []
    with ServiceDatabase(path) as database:
        audit = Audit(database, now=utc_now)
        return audit.lines(limit=audit.check())
