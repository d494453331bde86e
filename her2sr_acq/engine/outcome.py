"""What one burst gave, and who decides on light besides the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.safety import Safety
from her2sr_acq.errors import AcqError
from her2sr_acq.guard.ports import LightGuard


@dataclass(slots=True)
class Outcome:
    """What one burst gave."""

    t_s: list[float] = field(default_factory=list)
    """Camera clock of every frame delivered."""
    counts: list[int] = field(default_factory=list)
    """The camera's own count of every frame delivered, if it gives one."""
    lit_s: float = 0.0
    emission_filter: str = ""
    """Label of the filter that was read back before the light; empty: no wheel."""
    filter_doubt: str = ""
    """Why the frames may have been seen through another one; empty: no doubt."""
    stopped: bool = False
    fault: AcqError | None = None
    """Why it ended early, when nobody asked it to."""

    @property
    def delivered(self) -> int:
        """Frames that the camera handed over."""
        return len(self.t_s)


@dataclass(frozen=True, slots=True)
class Light:
    """Who decides on light besides the engine."""

    guard: LightGuard
    safety: Safety
    reins: Reins

    def require(self) -> None:
        """Raise what forbids light now."""
        if self.reins.tripped is not None:
            raise self.reins.tripped
        self.safety.require()

    def require_still(self) -> None:
        """Raise what ends light that is on. Cheap: called for every frame."""
        self.guard.pulse()
        if self.reins.tripped is not None:
            raise self.reins.tripped
        self.safety.require_watching()
