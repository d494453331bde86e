"""How long steps take, summed by name over frames and threads. Knows no steps' work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from her2sr_proc.schema.times import STEPS, StepName, StepTime

Clock = Callable[[], float]


class Stopwatch:
    """Sums what the steps took; may be used by several threads at once.

    A reading of both clocks takes a microsecond, against milliseconds of a frame.
    """

    def __init__(
        self, *, wall: Clock = time.perf_counter, cpu: Clock = time.thread_time
    ) -> None:
        """Take clocks in seconds; ``cpu`` that of the calling thread."""
        self._wall, self._cpu = wall, cpu
        self._lock = threading.Lock()
        self._sums: dict[StepName, tuple[float, float, int]] = {}

    @contextmanager
    def step(self, name: StepName) -> Iterator[None]:
        """Add to a step what happens inside; nothing where it fails."""
        began, burnt = self._wall(), self._cpu()
        yield
        elapsed, cpu = self._wall() - began, self._cpu() - burnt
        with self._lock:
            wall_s, cpu_s, calls = self._sums.get(name, (0.0, 0.0, 0))
            self._sums[name] = wall_s + elapsed, cpu_s + cpu, calls + 1

    def steps(self) -> tuple[StepTime, ...]:
        """Return the sums so far, in the order of the work."""
        with self._lock:
            sums = dict(self._sums)
        return tuple(
            StepTime(
                step=name,
                elapsed_s=max(sums[name][0], 0.0),
                cpu_s=max(sums[name][1], 0.0),
                calls=sums[name][2],
            )
            for name in STEPS
            if name in sums
        )

    def take(self) -> tuple[StepTime, ...]:
        """Return the sums so far, and begin anew."""
        found = self.steps()
        with self._lock:
            self._sums.clear()
        return found
