"""What the service asks of the process that owns the hardware.

`ControlClient` satisfies this by shape; tests bring their own.
"""

from __future__ import annotations

from typing import Protocol

from her2sr_acq.engine.views import (
    DevicesView,
    FieldView,
    Health,
    ProtocolView,
    RunRequest,
    RunView,
)


class Control(Protocol):
    """Questions and orders; each raises an `AcqError` or answers in bounded time."""

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Ask for a run."""
        ...

    def runs(self) -> list[RunView]:
        """Return the runs, newest first."""
        ...

    def run(self, run_id: str) -> RunView:
        """Return one run."""
        ...

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run with their units."""
        ...

    def stop(self, run_id: str) -> RunView:
        """End a run early, keeping what there is."""
        ...

    def devices(self) -> DevicesView:
        """Return what every device says of itself."""
        ...

    def health(self) -> Health:
        """Return whether a run could start now."""
        ...

    def protocols(self) -> list[ProtocolView]:
        """Return the packaged protocols and what each would cost."""
        ...
