"""Waiting for a drive of MMCore, and saying what is wrong with where it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.errors import DeviceError, DeviceTimeoutError, ReadBackError

POLL_S = 0.005


class DriveConfig(Protocol):
    """What a configuration says of anything that moves."""

    @property
    def label(self) -> str:
        """Its name in the ``.cfg``."""
        ...

    @property
    def timeout_s(self) -> float:
        """Until it stands still."""
        ...

    @property
    def settle_ms(self) -> float:
        """After it stands still."""
        ...


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive by its label, and how long it may take."""

    handle: CoreHandle
    label: str
    timeout_s: float
    settle_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    can_stop: bool = True
    """False: a state device, which the core knows no way to stop."""

    @classmethod
    def of(
        cls,
        handle: CoreHandle,
        config: DriveConfig,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        *,
        can_stop: bool = True,
    ) -> Self:
        """Return the drive that a configuration describes; ask nothing of it."""
        return cls(
            handle,
            config.label,
            timeout_s=config.timeout_s,
            settle_s=config.settle_ms / 1000.0,
            clock=clock,
            sleep=sleep,
            can_stop=can_stop,
        )

    def wait(self) -> None:
        """Return once the drive is at rest and has settled.

        Raises `DeviceTimeoutError` when it is not, after telling it to stop if that can
        be told.
        """
        core = self.handle.core
        deadline = self.clock() + self.timeout_s
        while self._is_busy():
            if self.clock() >= deadline:
                if not self.can_stop:
                    raise DeviceTimeoutError(
                        f"{self.label}: still turning after {self.timeout_s:g} s; "
                        f"check that it turns freely",
                        device=self.label,
                    )
                with speaking_to(self.label):
                    core.stop(self.label)
                raise DeviceTimeoutError(
                    f"{self.label}: still moving after {self.timeout_s:g} s; it was "
                    f"told to stop, check its path",
                    device=self.label,
                )
            self.sleep(POLL_S)
        if self.settle_s > 0.0:
            self.sleep(self.settle_s)

    def _is_busy(self) -> bool:
        with speaking_to(self.label):
            return self.handle.core.deviceBusy(self.label)


def check_limits(
    label: str,
    target_um: Mapping[str, float],
    limits_um: Mapping[str, tuple[float, float]],
) -> None:
    """Raise `DeviceError` if a target lies outside its axis' limits."""
    for axis, value in target_um.items():
        low, high = limits_um[axis]
        if not low <= value <= high:
            raise DeviceError(
                f"{label}: {axis} = {value:.2f} um is outside its limits of {low:g} "
                f"to {high:g} um",
                device=label,
            )


def check_start(
    label: str,
    found_um: Mapping[str, float],
    limits_um: Mapping[str, tuple[float, float]],
) -> None:
    """Raise `DeviceError` if a drive wakes up outside its axis' limits."""
    for axis, value in found_um.items():
        low, high = limits_um[axis]
        if not low <= value <= high:
            raise DeviceError(
                f"{label}: {axis} = {value:.2f} um is outside its limits of {low:g} "
                f"to {high:g} um; lower the objective, drive it back by hand or "
                f"joystick, or set its origin anew, and start again",
                device=label,
            )


def check_arrival(
    label: str,
    target_um: Mapping[str, float],
    found_um: Mapping[str, float],
    *,
    tolerance_um: float,
) -> None:
    """Raise `ReadBackError` if an axis is further from its target than allowed."""
    for axis, target in target_um.items():
        found = found_um[axis]
        # Written so that a reading of nan is refused too.
        if not abs(found - target) <= tolerance_um:
            raise ReadBackError(
                f"{label}: {axis} was sent to {target:.2f} um and reads {found:.2f} "
                f"um; check the drive",
                device=label,
                axis=axis,
            )
