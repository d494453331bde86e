"""Carries faults out where the devices live: in the process that calls them."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable
from typing import TypeVar

from her2sr_acq.errors import DeviceError
from simulators.client import MicroscopeClient
from simulators.faults.board import BOARD, FaultBoard
from simulators.faults.options import FaultyDevice, Strike

Value = TypeVar("Value", str, float)

SLICE_S = 0.05
FOREVER_S = 3600.0


class DeviceFaults:
    """The faults of one device, asked for before each of its calls."""

    def __init__(
        self,
        device: FaultyDevice,
        client: MicroscopeClient,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._client = client
        self._sleep = sleep
        self._clock = clock
        self._board: FaultBoard | None = None

    def lets(self, operation: str) -> bool:
        """Return whether a setter shall act, having waited if it is to be late.

        Raises `DeviceError` when the call is to fail.
        """
        strike = self._ask(operation)
        if strike is None:
            return True
        self.suffer(strike, operation)
        return strike.kind not in ("lost", "stuck")

    def reported(self, operation: str, true: Value) -> Value:
        """Return what a reading shall say instead of the truth.

        Raises `DeviceError` when the call is to fail.
        """
        strike = self._ask(operation)
        if strike is None:
            return true
        self.suffer(strike, operation)
        if strike.value is None:
            return true
        return type(true)(strike.value)

    def offset(self, operation: str) -> float:
        """Return what shall be added to a position."""
        return self.reported(operation, 0.0)

    def is_stuck(self) -> bool:
        """Return whether a drive shall say for ever that it is busy."""
        strike = self._ask("busy")
        if strike is None:
            return False
        self.suffer(strike, "busy")
        return strike.kind == "stuck"

    def suffer(self, strike: Strike, operation: str) -> None:
        """Wait or raise as told; other kinds are the caller's."""
        if strike.kind == "raises":
            raise DeviceError(f"the {self._device} failed at '{operation}' as planned")
        if strike.kind in ("late", "hangs"):
            self._wait(strike)

    def _wait(self, strike: Strike) -> None:
        seconds = strike.duration_s or FOREVER_S
        if strike.holds_gil:
            _sleep_with_gil(seconds)
            return
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0.0:
            if strike.duration_s is None and not self._has_fault():
                return  # healed
            self._sleep(min(left, SLICE_S))

    def _ask(self, operation: str) -> Strike | None:
        if not self._has_fault():
            return None
        return self._client.strike(self._device, operation)

    def _has_fault(self) -> bool:
        if self._board is None:
            try:
                self._board = FaultBoard(self._client.runtime / BOARD)
            except OSError:
                return False  # no microscope: the call itself will say so
        return self._board.has(self._device)


def _sleep_with_gil(seconds: float) -> None:
    """Sleep in C without letting another Python thread run, as a bad driver does."""
    ctypes.PyDLL(None).sleep(math.ceil(seconds))
