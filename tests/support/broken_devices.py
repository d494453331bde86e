"""Python devices for MMCore that fail on purpose."""

from __future__ import annotations

import threading

import numpy as np
from pymmcore_plus.experimental.unicore import CameraDevice, GenericDevice


class TiredCamera(CameraDevice):
    """Raises at its fourth frame."""

    def get_exposure(self) -> float:
        return 10.0

    def set_exposure(self, exposure: float) -> None:
        """Keep 10 ms, whatever is asked."""

    def shape(self) -> tuple[int, int]:
        return 64, 64

    def dtype(self) -> type:
        return np.uint16

    def start_sequence(self, n, get_buffer):
        for _ in range(3):
            get_buffer((64, 64), np.uint16)[:] = 7
            yield {}
        raise RuntimeError("the sensor fell off")


class MuteCamera(TiredCamera):
    """Does not say how large it is."""

    def shape(self) -> tuple[int, int]:
        raise ValueError("no cable")


class OddCamera(TiredCamera):
    """Works, with frames that no power of two divides.

    It waits for ``room``, so that a slow reader never makes its ring run over.
    """

    room = threading.Semaphore(30)

    def shape(self) -> tuple[int, int]:
        return 100, 100

    def start_sequence(self, n, get_buffer):
        for i in range(n):
            if not self.room.acquire(timeout=5.0):
                return
            get_buffer((100, 100), np.uint16)[:] = i
            yield {}


class DeafLasers(GenericDevice):
    """Has the right properties and does not do what it is told."""

    output = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.register_property("Power", getter=lambda _: 0.0, setter=lambda _, v: None)
        self.register_property("Output", getter=lambda _: self.output)


class StuckLaser(DeafLasers):
    """Always emits."""

    output = 5.0
