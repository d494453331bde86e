"""Another plane than the one in focus, for a while, and back: by steps alone.

Where a lock holds the focus the plane is chosen by the lock's own offset, since moving
the drive would take it out of lock. Every step is undone by its opposite, never by an
absolute place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from her2sr_acq.config_focus import FocusConfig
from her2sr_acq.devices.ports import Focus, FocusLock
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.hold import HoldError
from her2sr_acq.engine.outcome import Light
from her2sr_acq.errors import AcqError, DeviceError, FocusError, LightError

AGREEING = 2
"""So many readings in a row say that the lock holds the new plane."""
NEAR_UM, NEAR_SHARE = 0.15, 0.25
"""The drive went as far as the offset if it is off by so much, or by such a share."""


class Planes:
    """Moves the plane in focus. Owned by the engine's thread."""

    def __init__(
        self,
        drive: Focus,
        lock: FocusLock | None,
        config: FocusConfig,
        *,
        light: Light,
        clock: Clock,
    ) -> None:
        """``lock``: what holds the focus in this run; None: nothing does."""
        self._drive = drive
        self._lock = lock
        self._config = config
        self._light = light
        self._clock = clock

    @contextmanager
    def at(self, um: float) -> Iterator[None]:
        """Stand ``um`` above the plane in focus, and go back whatever happens.

        Raises `DeviceError` when the plane lies beyond a limit and nothing moved,
        `HoldError` when it is not known where the focus is left.
        """
        if um == 0.0:
            yield
            return
        before_um = self._where_um()
        try:
            self._step(um)
        except LightError:
            raise
        except AcqError as exc:
            self._require_unmoved(before_um, exc)
            raise DeviceError(
                f"the plane {um:+g} um away was not reached: {exc}"
            ) from exc
        try:
            yield
        finally:
            self._return(um)

    def _return(self, um: float) -> None:
        try:
            self._step(-um)
        except LightError:
            raise
        except AcqError as exc:
            raise _lost(um, exc) from exc

    def _require_unmoved(self, before_um: float, cause: AcqError) -> None:
        try:
            off_um = abs(self._where_um() - before_um)
        except AcqError as exc:
            raise _lost(0.0, exc) from cause
        if not off_um <= self._config.tolerance_um:
            raise _lost(off_um, cause) from cause

    def _where_um(self) -> float:
        return (
            self._drive.position_um() if self._lock is None else self._lock.offset_um()
        )

    def _step(self, um: float) -> None:
        self._light.guard.pulse()
        if self._lock is None:
            self._drive.move_by(dz_um=um)
        else:
            self._shift(self._lock, um)

    def _shift(self, lock: FocusLock, um: float) -> None:
        """Have the lock hold another plane, or raise with its offset as it was."""
        low, high = self._config.z_um
        before_um = self._drive.position_um()
        if not low <= before_um + um <= high:
            raise FocusError(
                f"z = {before_um + um:.2f} um is outside the limits of {low:g} to "
                f"{high:g} um"
            )
        offset_um = lock.offset_um()
        try:
            lock.set_offset(offset_um + um)
            self._await_plane(lock, before_um, um)
        except LightError:
            raise
        except AcqError:
            lock.set_offset(offset_um)
            raise

    def _await_plane(self, lock: FocusLock, before_um: float, um: float) -> None:
        """Wait until the lock holds, and the drive went as far as it was told.

        An offset whose unit or sign is wrong reads back well, and only the drive tells.
        """
        assert self._config.lock is not None
        until = self._clock.monotonic() + self._config.lock.timeout_s
        agreeing = 0
        while agreeing < AGREEING:
            moved_um = self._drive.position_um() - before_um
            has_moved = abs(moved_um - um) <= max(NEAR_UM, NEAR_SHARE * abs(um))
            agreeing = agreeing + 1 if has_moved and lock.is_locked() else 0
            if agreeing == 0 and self._clock.monotonic() >= until:
                raise FocusError(
                    f"the focus lock reads '{lock.state()}' after its plane was "
                    f"changed by {um:+g} um, and the drive went {moved_um:+.2f} um; "
                    f"check the lock and focus.lock.offset_unit_um"
                )
            self._light.guard.pulse()
            if agreeing < AGREEING:
                self._light.reins.rest(self._config.lock.poll_ms / 1000.0)


def _lost(um: float, cause: AcqError) -> HoldError:
    return HoldError(
        f"the focus was left up to {abs(um):.2f} um away from its plane ({cause}); "
        f"check the focus drive, focus by hand, then resume"
    )
