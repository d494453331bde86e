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
            return
        low, high = self._config.z_um
        z_um = self._drive.position_um() + um
        if not low <= z_um <= high:
            raise FocusError(
                f"z = {z_um:.2f} um is outside the limits of {low:g} to {high:g} um"
            )
        self._lock.set_offset(self._lock.offset_um() + um)
        self._await_lock()

    def _await_lock(self) -> None:
        assert self._lock is not None
        assert self._config.lock is not None
        until = self._clock.monotonic() + self._config.lock.timeout_s
        agreeing = 0
        while agreeing < AGREEING:
            agreeing = agreeing + 1 if self._lock.is_locked() else 0
            if agreeing == 0 and self._clock.monotonic() >= until:
                raise FocusError(
                    f"the focus lock reads '{self._lock.state()}' after its plane was "
                    f"changed; check the lock"
                )
            self._light.guard.pulse()
            if agreeing < AGREEING:
                self._light.reins.rest(self._config.lock.poll_ms / 1000.0)


def _lost(um: float, cause: AcqError) -> HoldError:
    return HoldError(
        f"the focus was left up to {abs(um):.2f} um away from its plane ({cause}); "
        f"check the focus drive, focus by hand, then resume"
    )
