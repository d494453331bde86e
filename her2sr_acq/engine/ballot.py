"""Where a person's choice of fields waits for the engine, while a run waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from her2sr_acq.engine.views import SelectionRequest
from her2sr_acq.errors import PlanRejectedError, RunConflictError


class Ballot:
    """Open while a run waits. Used from any thread; takes one choice."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: frozenset[str] | None = None
        self._most = 0
        self._choice: SelectionRequest | None = None

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

    def cast(self, choice: SelectionRequest) -> None:
        """Hand a choice in.

        Raises `RunConflictError` where none is waited for, or one has been made,
        `PlanRejectedError` for more fields than may be chosen.
        """
        with self._changed:
            if self._choice is not None:
                raise RunConflictError(
                    f"the fields of this run were chosen by {self._choice.by} already"
                )
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
            self._choice = choice
            self._changed.notify_all()

    def close(self) -> SelectionRequest | None:
        """Take no choice from now on; return the one handed in before, if any."""
        with self._changed:
            self._known = None
            return self._choice

    def wait(self, timeout_s: float) -> SelectionRequest | None:
        """Return the choice, or None if there is none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._choice is not None, timeout_s)
            return self._choice
