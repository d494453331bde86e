"""The two clocks of the engine, handed in so that tests own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic seconds for durations, aware UTC for stamps."""

    monotonic: Callable[[], float] = time.monotonic
    utc: Callable[[], datetime] = _now

    def stamp(self) -> str:
        """Return the present as ISO 8601 in UTC, to the millisecond."""
        return self.utc().isoformat(timespec="milliseconds").replace("+00:00", "Z")
