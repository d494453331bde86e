"""The lines of a case's record: each names the SHA-256 of the one before it.

Text in, text out; files are the store's. A cut tail cannot be seen from the lines
alone: keep the head (`Record.head`) elsewhere, as a printed report does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.case import NAMED, Act, Entry, Identity
from her2sr_proc.scoring.case import Case, after, replay


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of a record."""

    case: Case
    length: int
    head: str
    """SHA-256 of the last line; empty without any."""


def read(lines: Sequence[str]) -> Record:
    """Return the case that lines lead to.

    Raises `IntegrityError` for a line that was changed, removed or is no entry.
    """
    entries: list[Entry] = []
    head = ""
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as exc:
            raise IntegrityError(
                f"line {number} of the record is no entry; restore it from a copy"
            ) from exc
        if entry.previous != head or entry.sequence != number - 1:
            raise IntegrityError(
                f"line {number} of the record does not follow the line before it: one "
                f"of them was changed or removed; restore it from a copy"
            )
        entries.append(entry)
        head = digest(line)
    return Record(replay(entries), len(entries), head)


def add(
    record: Record,
    act: Act,
    *,
    by: str,
    utc: str,
    reason: str = "",
    identity: Identity = NAMED,
) -> tuple[Record, str]:
    """Return the record with an act, and the line to append for it.

    Raises as `her2sr_proc.scoring.case.after`; then nothing is to be written.
    """
    entry = Entry(
        sequence=record.length,
        utc=utc,
        by=by,
        identity=identity,
        act=act,
        reason=reason,
        previous=record.head,
    )
    line = entry.model_dump_json()
    return Record(after(record.case, entry), record.length + 1, digest(line)), line


def digest(line: str) -> str:
    """Return the SHA-256 of a line's text, as hex digits."""
    return hashlib.sha256(line.encode()).hexdigest()
