"""Looks for a place from which the focus lock catches its plane again.

By steps from where the focus is, never by an absolute move: after a failure nobody
knows where it is, and software that then "returns" drives the objective into the slide
(micro-manager#2422). No step leaves the limits, and in the end only own steps are
undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from her2sr_acq.devices.ports import Focus, FocusLock
from her2sr_acq.errors import DeviceError, FocusError


def offsets_um(step_um: float, reach_um: float) -> Iterator[float]:
    """Yield 0, then steps away from the sample and towards it in turn."""
    yield 0.0
    for n in range(1, int(reach_um / step_um + 1e-9) + 1):
        yield -n * step_um
        yield n * step_um


class Relock:
    """One search at a time. Owned by the engine's thread."""

    def __init__(
        self,
        lock: FocusLock,
        focus: Focus,
        *,
        step_um: float,
        reach_um: float,
        limits_um: tuple[float, float],
    ) -> None:
        self._lock = lock
        self._focus = focus
        self._step_um = step_um
        self._reach_um = reach_um
        self._limits_um = limits_um
        self._moved_um = 0.0

    def search(self, still: Callable[[], None]) -> float:
        """Lock, from the nearest place where it can; return the steps taken, in um.

        ``still`` is called before each attempt, and may raise to end the search.
        Raises `FocusError` when it locks nowhere; the own steps are undone then. A
        drive that fails is left where it is.
        """
        self._moved_um = 0.0
        tried = 0
        why = ""
        for offset_um in offsets_um(self._step_um, self._reach_um):
            still()
            if not self._step_to(offset_um):
                continue
            tried += 1
            try:
                self._lock.engage()
                self.require_within()
            except FocusError as exc:
                why = why or str(exc)
            else:
                return self._moved_um
        self._step_to(0.0)
        raise FocusError(
            f"the focus lock found nothing at {tried} places within "
            f"{self._reach_um:g} um up and down ({why})"
        )

    def require_within(self) -> None:
        """Let go and raise `FocusError` where the lock left the limits of the drive."""
        low, high = self._limits_um
        z_um = self._focus.position_um()
        if not low <= z_um <= high:
            self._lock.release()
            raise FocusError(
                f"the focus lock went to z = {z_um:.2f} um, outside the limits of "
                f"{low:g} to {high:g} um; level the slide"
            )

    def _step_to(self, offset_um: float) -> bool:
        """Step to an offset from the start; False where that leaves the limits."""
        step_um = offset_um - self._moved_um
        if step_um == 0.0:
            return True
        low, high = self._limits_um
        if not low <= self._focus.position_um() + step_um <= high:
            return False
        try:
            self._focus.move_by(dz_um=step_um)
        except FocusError:
            raise
        except DeviceError as exc:
            raise FocusError(
                f"the focus drive failed while the lock was looked for ({exc}); it is "
                f"left where it is"
            ) from exc
        self._moved_um = offset_um
        return True
