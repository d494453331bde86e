"""Looks on while a unit is taken: where the focus stood, whether its lock let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from her2sr_proc.schema.ledger import FocusRecord


@dataclass(slots=True)
class FocusWatch:
    """Looks after the focus during one unit."""

    method: str
    held_since_utc: str
    read_um: Callable[[], float]
    is_held: Callable[[], bool]
    """True where nothing holds the focus that could let go."""
    z_offset_um: float = 0.0
    z_um: float = 0.0
    z_end_um: float | None = None
    lost_at_frame: int | None = None

    def begin(self) -> None:
        """Read the focus before the burst."""
        self.z_um = self.read_um()

    def end(self) -> None:
        """Read the focus after the burst, before it goes back to its own plane."""
        self.z_end_um = self.read_um()

    def look(self, frame: int) -> None:
        """Note once, in a burst, that the lock has let go. Called for every block."""
        if self.lost_at_frame is None and not self.is_held():
            self.lost_at_frame = frame

    def record(self) -> FocusRecord:
        """Return how the focus stood."""
        return FocusRecord(
            method=self.method,
            held_since_utc=self.held_since_utc,
            z_um=self.z_um,
            z_end_um=self.read_um() if self.z_end_um is None else self.z_end_um,
            z_offset_um=self.z_offset_um,
            lost_at_frame=self.lost_at_frame,
        )
