"""The simulated wheel of emission filters: what stands in the light's path, and when.

Between two filters and on the wrong one next to no light of a dye comes through, so
that a frame under a wrong label is a dark one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from simulators.motion import Motion

PASSES = MappingProxyType({0: None, 1: 405, 2: 488, 3: 561})
"""Position -> line whose emission its filter passes; None: it is open, and all passes.

In the real ones' words: open, 447/60, 525/50, 600/52 (centre and width in nm).
"""
LEAK = 0.002
"""Share of the light that comes through where it should not."""
BETWEEN = -1
"""What it reads while no position is in the light's path."""
POSITIONS_S = 25.0
SETTLE_S = 0.02


class Wheel:
    """One wheel, open at the start. May be used from any thread."""

    def __init__(self, *, time_scale: float, clock: Callable[[], float]) -> None:
        """``time_scale`` simulated seconds pass in one second of ``clock``."""
        self._axis = Motion(
            (0.0,),
            speed_um_s=POSITIONS_S,
            settle_s=SETTLE_S,
            time_scale=time_scale,
            clock=clock,
        )

    def turn(self, place: float) -> None:
        """Set out for a position; a place between two is where it jams.

        Raises ValueError for one beyond the wheel.
        """
        if not 0.0 <= place <= max(PASSES):
            raise ValueError(f"the wheel has the positions 0 to {max(PASSES)}")
        self._axis.move((place,))

    def is_moving(self) -> bool:
        """Return whether it turns or settles."""
        return self._axis.is_moving()

    def position(self) -> int:
        """Return the position in the light's path, or `BETWEEN`."""
        (place,) = self._axis.position_um()
        is_there = not self._axis.is_moving() and place == round(place)
        return round(place) if is_there else BETWEEN

    def share_of(self, nm: int) -> float:
        """Return how much of the emission of a line's dye reaches the camera."""
        position = self.position()
        if position == BETWEEN or PASSES[position] not in (None, nm):
            return LEAK
        return 1.0
