"""What the engine may ask of the guard. Adapters satisfy it by shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from her2sr_acq.errors import LatchedError

LatchKind = Literal["interlock", "fault", "light", "estop"]
OnDark = Callable[[str], None]
"""Called, from the link's own thread, when the guard orders dark; with the reason."""


class LightGuard(Protocol):
    """Light only under a permit; progress reported; causes that latch passed on."""

    def permit(self, nm: int, *, seconds: float) -> None:
        """Ask for light on one line until `seconds` from now.

        Raises `LatchedError` while latched, `GuardError` when the guard refuses or
        does not answer. Without a return from here nothing is lit.
        """
        ...

    def release(self) -> None:
        """Give the permit back: the light was read back as off."""
        ...

    def pulse(self) -> None:
        """Say that the engine's thread moves on. Cheap; called in every wait."""
        ...

    def latch(self, kind: LatchKind, cause: str) -> None:
        """Latch: no light until a person rearms. Kept over restarts."""
        ...

    @property
    def latched(self) -> str:
        """Why no light is permitted; empty when it is."""
        ...

    def on_dark(self, act: OnDark) -> None:
        """Say what to call when the guard orders dark (e-stop)."""
        ...

    def describe(
        self,
        *,
        phase: str | None = None,
        run: str | None = None,
        trouble: str | None = None,
    ) -> None:
        """Say what the guard's status shows; ``trouble`` forbids a rearm."""
        ...


class Unguarded:
    """No guard process: latches in memory alone. For tests and single devices."""

    def __init__(self) -> None:
        self._cause = ""

    def permit(self, nm: int, *, seconds: float) -> None:
        """Allow, unless latched."""
        if self._cause:
            raise LatchedError(f"no light on {nm} nm: {self._cause}", seconds=seconds)

    def release(self) -> None:
        """Do nothing."""

    def pulse(self) -> None:
        """Do nothing."""

    def latch(self, kind: LatchKind, cause: str) -> None:
        """Keep the first cause."""
        self._cause = self._cause or f"{kind}: {cause}"

    def rearm(self) -> None:
        """Take the latch back."""
        self._cause = ""

    @property
    def latched(self) -> str:
        """The first cause, or nothing."""
        return self._cause

    def on_dark(self, act: OnDark) -> None:
        """Keep nothing: nobody orders."""

    def describe(
        self,
        *,
        phase: str | None = None,
        run: str | None = None,
        trouble: str | None = None,
    ) -> None:
        """Do nothing: nobody asks."""
