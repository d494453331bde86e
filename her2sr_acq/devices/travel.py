"""A stage that never drags the objective across the slide's holder.

A long move goes with the focus lowered to a height at which nothing is in the way, and
the focus returns after it.
"""

from __future__ import annotations

import math

from her2sr_acq.devices.ports import Focus, FocusLock, Stage
from her2sr_acq.errors import AcqError, DeviceError


class ClearedStage:
    """The stage port, with the objective out of the way of long moves."""

    def __init__(
        self,
        stage: Stage,
        focus: Focus,
        *,
        long_um: float,
        clear_z_um: float,
        lock: FocusLock | None = None,
    ) -> None:
        """Take the stage and the focus that stands under it.

        Parameters
        ----------
        long_um : float
            A longer move than this may meet the holder.
        clear_z_um : float
            At this z or below the objective is clear.
        lock : FocusLock or None
            Released before the focus is lowered: it would fight, or let go by itself.
        """
        self._stage = stage
        self._focus = focus
        self._long_um = long_um
        self._clear_z_um = clear_z_um
        self._lock = lock
        self._return_um: float | None = None
        """Where the focus was before a long move that has not ended well."""

    def move_to(self, *, x_um: float, y_um: float) -> None:
        """Move, wait, read back; lower the focus before a long move, and return it.

        After a failed move the focus stays down, where it is safe; the next move that
        succeeds returns it, so that no field is taken from down there.
        """
        z_um = self._focus.position_um()
        # Written so that a position of nan counts as far away and as high.
        is_down = z_um <= self._clear_z_um
        if not is_down and not self._is_short(x_um, y_um):
            if self._lock is not None and self._lock.is_locked():
                self._lock.release()
            self._return_um = z_um
            self._focus.move_to(z_um=self._clear_z_um)
            is_down = True
        try:
            self._stage.move_to(x_um=x_um, y_um=y_um)
        except AcqError as exc:
            if self._return_um is None or not is_down:
                raise
            raise DeviceError(
                f"{exc}; the focus stays lowered at z = {self._clear_z_um:g} um, and "
                f"was at {self._return_um:.2f} um"
            ) from exc
        if self._return_um is not None:
            # A person may have focused since; then it is only waited for and read.
            self._focus.move_to(z_um=self._return_um if is_down else z_um)
            self._return_um = None

    def _is_short(self, x_um: float, y_um: float) -> bool:
        x_now, y_now = self._stage.position_um()
        return math.hypot(x_um - x_now, y_um - y_now) <= self._long_um

    def position_um(self) -> tuple[float, float]:
        """Return x and y as read from the device."""
        return self._stage.position_um()
