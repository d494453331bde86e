"""Room on the disk for the next field, and for saying that there is none."""

from __future__ import annotations

from typing import Protocol


class Room(Protocol):
    """What the engine asks of the disk."""

    def trouble(self, needed_bytes: int) -> str:
        """Return why so many bytes may not be begun; empty: they may."""
        ...

    def give_up_reserve(self) -> None:
        """Free what was kept, so that a full disk can be written down."""
        ...

    def restore_reserve(self) -> None:
        """Keep it again, if there is room."""
        ...
