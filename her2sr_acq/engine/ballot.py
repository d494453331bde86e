"""Where a person's choice of fields waits for the engine, while a run waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from her2sr_acq.engine.choice_views import SelectionRequest
from her2sr_acq.errors import PlanRejectedError, RunConflictError

TOLD = 6
"""Fields that a refusal names; the answer to `GET selection` has all of them."""


def closed(utc: str, by: str, fields: Sequence[str]) -> str:
    """Return the sentence for a choice that comes too late. ``by`` empty: nobody."""
    if not by:
        return (
            f"the choice of fields closed at {utc} and nobody had chosen; submit the "
            f"run again"
        )
    more = f" and {len(fields) - TOLD} more" if len(fields) > TOLD else ""
    return (
        f"the choice of fields closed at {utc}: {by} chose "
        f"{', '.join(fields[:TOLD])}{more}; submit the run again for others"
    )


class Ballot:
    """Open while a run waits. Used from any thread; takes one choice."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: frozenset[str] | None = None
        self._most = 0
        self._choice: SelectionRequest | None = None
        self._closed_utc = ""
        """When it closed, with a choice or without."""

    @contextmanager
    def open_for(self, fields: frozenset[str], *, most: int) -> Iterator[None]:
        """Take a choice of these fields, as long as the context lasts."""
        with self._changed:
            self._known, self._most = fields, most
        try:
            yield
        finally:
            with self._changed:
                self._known = None

    @property
    def is_open(self) -> bool:
        """Whether a choice is waited for."""
        with self._changed:
            return self._known is not None and self._choice is None

    def cast(self, choice: SelectionRequest, *, utc: str) -> None:
        """Hand a choice in at a time.

        Raises `RunConflictError` where none is waited for, or one has been made,
        `PlanRejectedError` for more fields than may be chosen.
        """
        with self._changed:
            if self._choice is not None:
                raise RunConflictError(
                    closed(self._closed_utc, self._choice.by, self._choice.fields)
                )
            if self._closed_utc:
                raise RunConflictError(closed(self._closed_utc, "", ()))
            if self._known is None:
                raise RunConflictError(
                    "this run does not wait for a choice of fields; it does after its "
                    "overview, where its protocol says 'choose: person'"
                )
            if len(choice.fields) > self._most:
                raise PlanRejectedError(
                    f"{len(choice.fields)} fields are chosen and at most {self._most} "
                    f"may be; leave some out, or submit the run with a larger "
                    f"select.fields"
                )
            self._choice, self._closed_utc = choice, utc
            self._changed.notify_all()

    def close(self, *, utc: str) -> SelectionRequest | None:
        """Take no choice from now on; return the one handed in before, if any."""
        with self._changed:
            self._known = None
            self._closed_utc = self._closed_utc or utc
            return self._choice

    def wait(self, timeout_s: float) -> SelectionRequest | None:
        """Return the choice, or None if there is none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._choice is not None, timeout_s)
            return self._choice
