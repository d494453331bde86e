"""What the service asks of the process that owns the hardware.

`ControlClient` satisfies this by shape; tests bring their own.
"""

from __future__ import annotations

from typing import Protocol, Self

from her2sr_acq.engine.choice_views import SelectionRequest, SelectionView
from her2sr_acq.engine.database import LISTED
from her2sr_acq.engine.device_views import CheckupView, DevicesView
from her2sr_acq.engine.hand_views import (
    Jog,
    Marks,
    Picture,
    SnapRequest,
    StagePosition,
    StageView,
)
from her2sr_acq.engine.views import (
    FieldView,
    Health,
    Preflight,
    ProtocolView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.guard.messages import Status, Stopped


class Control(Protocol):
    """Questions and orders; each raises an `AcqError` or answers in bounded time."""

    def under(self, fence: int | None, *, by: str) -> Self:
        """Return the same for one who orders in a name, under a lease."""
        ...

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Ask for a run."""
        ...

    def runs(self, *, limit: int = LISTED, before: str = "") -> list[RunView]:
        """Return runs, newest first: the last, or those before one."""
        ...

    def run(self, run_id: str) -> RunView:
        """Return one run."""
        ...

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run with their units."""
        ...

    def pause(self, run_id: str) -> RunView:
        """Hold a run before its next burst."""
        ...

    def resume(self, run_id: str) -> RunView:
        """Let a paused or interrupted run go on."""
        ...

    def stop(self, run_id: str, stop: StopRequest | None = None) -> RunView:
        """End a run early, keeping what there is."""
        ...

    def retake(self, run_id: str, field: str, retake: RetakeRequest) -> RunView:
        """Take channels of a field again."""
        ...

    def selection(self, run_id: str) -> SelectionView:
        """Return the tiles to choose from, and the choice."""
        ...

    def choose(self, run_id: str, choice: SelectionRequest) -> RunView:
        """Hand in a person's choice of fields."""
        ...

    def preflight(self, request: RunRequest) -> Preflight:
        """Return what would keep a request from running now."""
        ...

    def move(self, position: StagePosition) -> StagePosition:
        """Move the stage in the dark; return where it reads itself."""
        ...

    def where(self) -> StageView:
        """Return where stage and focus stand."""
        ...

    def jog(self, jog: Jog) -> StageView:
        """Step stage and focus by hand."""
        ...

    def mark(self, name: str) -> Marks:
        """Keep the present place under a name."""
        ...

    def marks(self) -> Marks:
        """Return the places marked."""
        ...

    def clear_marks(self) -> Marks:
        """Forget every mark."""
        ...

    def snap(self, asked: SnapRequest) -> Picture:
        """Take one picture under a dose limit."""
        ...

    def devices(self) -> DevicesView:
        """Return what every device says of itself."""
        ...

    def examine(self) -> CheckupView:
        """Look at everything as the doctor does."""
        ...

    def health(self) -> Health:
        """Return whether a run could start now."""
        ...

    def protocols(self) -> list[ProtocolView]:
        """Return the packaged protocols and what each would cost."""
        ...


class Guard(Protocol):
    """The guard, asked directly: it answers while the hardware process does not."""

    def status(self) -> Status:
        """Return how guard and hardware process stand."""
        ...

    def estop(self, *, by: str, reason: str) -> Stopped:
        """Put the light out and latch."""
        ...

    def rearm(self, *, by: str, reason: str) -> None:
        """Take the latch back. Raises `LatchedError` while its cause is there."""
        ...
