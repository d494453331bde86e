"""How frames flow from the simulated camera's driver into the core, and how they fail.

Runs in the core's acquisition thread.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from simulators.faults.device import DeviceFaults
from simulators.faults.options import Strike

GetBuffer = Callable[[Sequence[int], npt.DTypeLike], npt.NDArray[np.uint16]]

PAUSE_S = 0.0005
TRIES = 20_000
UNDISTURBED_S = 1.0
SETTLE_S = 0.02
ODD_SHAPE = (3, 5)
"""Of a frame that is garbage."""


class Backlog:
    """Frames that lie in the core's ring: waited for when simulated time runs fast.

    The core does not tell a device how full its ring is; but it drops its hold on a
    frame's buffer when that is read.
    """

    def __init__(self, most: int) -> None:
        """``most`` 0: nothing is counted and nothing waited for."""
        self._most = most
        self._put = 0
        self._read = 0

    def add(self, buffer: npt.NDArray[np.uint16]) -> None:
        """Count a frame that goes into the ring."""
        if self._most:
            self._put += 1
            weakref.finalize(buffer, self._count).atexit = False

    def wait_for_room(self, stop: threading.Event) -> None:
        """Wait until fewer than the most lie there, or the burst is stopped."""
        if not self._most:
            return
        while self._put - self._read >= self._most:
            if stop.wait(PAUSE_S):
                return

    def _count(self) -> None:
        self._read += 1


def misbehave(strike: Strike, faults: DeviceFaults) -> None:
    """Wait, raise or crash at a frame; other kinds are `deliver`'s."""
    if strike.kind == "crash":
        ctypes.string_at(0)
    if strike.kind not in ("garbage", "overflow"):
        faults.suffer(strike, "frame")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep other threads of the process from running, as long as nothing waits.

    The core's ring only runs over while a frame lies in it, so no reader may come
    between the frame and what follows it.
    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(UNDISTURBED_S)
    try:
        time.sleep(SETTLE_S)  # whoever waits by the old interval has had its turn
        yield
    finally:
        sys.setswitchinterval(interval_s)


def run_over(get_buffer: GetBuffer, shape: tuple[int, int]) -> NoReturn:
    """Take buffers faster than anyone could read them, until the core refuses one."""
    for _ in range(TRIES):
        get_buffer(shape, np.uint16)
    raise RuntimeError("the core's ring did not run over as planned")
